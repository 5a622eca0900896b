"""
Forecasts for the study without a cluster: from ones that know the future to ones that know nothing.

Shapes: `T` steps, `H` steps ahead, `Q` quantiles. All series are of the factor of the load; a service's demand is
proportional to it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tidecast_simulator.randomness import Floats

QUANTILES = (0.1, 0.5, 0.9)
HORIZON_STEPS = 30
DAY_STEPS = 1440
_FADES_STEPS = 10.0
_STRIDE = 7
_LEAST = 0.01  # a recorded load has silent minutes, of which there are no ratios

Says = Callable[[int], Floats]


def kinds(truth: Floats, usual: Floats) -> dict[str, Callable[[int], Floats]]:
    """
    Forecasters by name: each says for an origin, as a step of *truth*, the (H, Q) values of the steps after it.

    A forecaster sees the step of its origin as the newest one, and bands are those of its own errors on the day before.

    Args:
        truth: The load, of shape (T,); forecasts begin after two days of it.
        usual: Its part that recurs, of shape (T,).
    """
    truth, usual = np.maximum(truth, _LEAST), np.maximum(usual, _LEAST)
    ahead = np.arange(1, HORIZON_STEPS + 1)
    fading = np.exp(-ahead / _FADES_STEPS)
    medians: dict[str, Says] = {
        "perfect": lambda origin: truth[origin + ahead],
        "informed": lambda origin: usual[origin + ahead] * (truth[origin] / usual[origin]) ** fading,
        "day before": lambda origin: truth[origin + ahead - DAY_STEPS],
        "last value": lambda origin: np.full(HORIZON_STEPS, truth[origin]),
    }
    return {name: _banded(median, truth) for name, median in medians.items()}


def skills(truth: Floats, says: Mapping[str, Says], origins: Sequence[int], *, steps: int) -> dict[str, float]:
    """
    What each forecast's median saves of the error of the better naive one, so many steps ahead: what trust looks at.

    Last value and the day before are the naive ones, so the better of them is at 0 here.
    """
    errors = {
        name: float(np.mean([abs(says_of(origin)[steps - 1, 1] - truth[origin + steps]) for origin in origins]))
        for name, says_of in says.items()
    }
    naive = min(errors["last value"], errors["day before"])
    return {name: 1 - error / naive for name, error in errors.items()}


def _banded(median: Says, truth: Floats) -> Says:
    origins = np.arange(DAY_STEPS, 2 * DAY_STEPS - HORIZON_STEPS, _STRIDE)
    ahead = np.arange(1, HORIZON_STEPS + 1)
    errors = np.stack([np.log(truth[origin + ahead] / median(int(origin))) for origin in origins])
    band = np.exp(np.quantile(errors, QUANTILES, axis=0).T)  # (H, Q)
    band[:, 1] = 1.0
    band = np.sort(band, axis=1)
    return lambda origin: np.asarray(median(origin)[:, None] * band)
