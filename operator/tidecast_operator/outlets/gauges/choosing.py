"""
Which services, steps and resources are shown, so that the number of series is bounded. Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES, REQUESTS
from tidecast_contract.forecast import Forecast
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.outlets.gauges.facts import Facts
from tidecast_operator.scaling import Mode

OFFSETS_SECONDS = (300, 1800)
"""How far ahead, rounded to steps, as far as the horizon has them."""

STAY_FACTOR = 1.25
"""A service that is shown makes way for one that is so many times busier: series that come and go are costly."""

_MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The services to show.

    Attributes:
        services: With their rows in the forecast, in its order.
        left_out: How many more have a forecast.
    """

    services: tuple[tuple[int, ServiceId], ...] = ()
    left_out: int = 0


def steps_of(forecast: Forecast) -> tuple[int, ...]:
    """How many steps ahead, rising; the first step where the horizon has none of the offsets."""
    wanted = {max(1, round(seconds / forecast.step_seconds)) for seconds in OFFSETS_SECONDS}
    return tuple(sorted(step for step in wanted if step <= forecast.horizon_steps)) or (1,)


def services_of(forecast: Forecast, facts: Facts, *, limit: int, shown: frozenset[ServiceId]) -> Choice:
    """
    At most *limit* of those of which the forecast says something.

    First those that have asked for a hint, then the busiest.

    Args:
        forecast: The one to show.
        facts: Who has asked, and which features are shown.
        limit: How many.
        shown: Those that were shown before; they stay when in doubt.
    """
    features = [row for row, feature in enumerate(FORECAST_FEATURES) if feature.name in facts.metrics]
    steps = [step - 1 for step in steps_of(forecast)]
    speaking = np.flatnonzero(np.isfinite(forecast.values[:, features][:, :, steps]).any(axis=(1, 2, 3)))
    if len(speaking) > limit:
        ranks = _ranks(facts.board)
        group = np.array([ranks.get(forecast.services[row], len(Mode)) for row in speaking])
        stay = np.array([STAY_FACTOR if forecast.services[row] in shown else 1.0 for row in speaking])
        order = np.lexsort((-stay * _loads(forecast)[speaking], group))
        rows = np.sort(speaking[order[:limit]])
    else:
        rows = speaking
    return Choice(tuple((row, forecast.services[row]) for row in rows.tolist()), len(speaking) - len(rows))


def resources_of(facts: Facts, *, limit: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """
    Namespace and name of at most *limit* resources, and how many are left out.

    First those whose hints autoscalers act on, then those with any other hint, then the rest by name.
    """
    entries = sorted(facts.board.entries.values(), key=lambda entry: (_rank(entry), entry.key))
    known = list(dict.fromkeys((*(entry.key for entry in entries), *sorted(facts.trusted))))
    return tuple(known[:limit]), max(0, len(known) - limit)


def _loads(forecast: Forecast) -> NDArray[np.float64]:
    """The mean of the requests' median over the horizon, of shape (N,); 0 where it says nothing, which ranks last."""
    middle = int(np.abs(np.array(forecast.quantiles) - _MEDIAN).argmin())
    medians = forecast.values[:, FORECAST_FEATURES.index(REQUESTS), :, middle].astype(np.float64)
    known = np.isfinite(medians)
    means: NDArray[np.float64] = np.where(known, medians, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return means


def _ranks(board: Board) -> dict[ServiceId, int]:
    return {entry.target: _rank(entry) for entry in board.entries.values()}


def _rank(entry: Entry) -> int:
    return int(entry.scaling is None or entry.scaling.mode is not Mode.ACTIVE)
