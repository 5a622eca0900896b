"""
What has to be carried within the lead time, read from a forecast. Pure.

Shapes: `H` horizon steps, `Q` quantiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class Demand:
    """
    The highest load within the lead time.

    Attributes:
        load: The chosen quantile of it, in the unit of the signal.
        time: When it is expected, unix seconds.
        is_whole: Whether the forecast reaches to the end of the lead time.
    """

    load: float
    time: int
    is_whole: bool


def highest(
    values: NDArray[np.float32],
    quantiles: Sequence[float],
    times: NDArray[np.int64],
    *,
    quantile: float,
    within: tuple[int, int],
) -> Demand | None:
    """
    The highest value of a quantile of a forecast within a stretch of time.

    A quantile that was not forecast is read off between its neighbours; beyond the outermost it goes on as the upper half
    of a normal distribution would that passes through the median and the outermost.

    Args:
        values: Of one service and feature, float32 of shape (H, Q).
        quantiles: Q of them, rising.
        times: That the steps speak of, int64 of shape (H,), unix seconds.
        quantile: The chosen one, from 0.5 on.
        within: First and last moment, unix seconds, both included.

    Returns:
        None where the forecast says nothing of that time, or the chosen quantile is not known at each of its steps: a band
        is known of the next steps first, and what they need may be less than what comes after them.
    """
    first, last = within
    inside = np.flatnonzero((times >= first) & (times <= last))
    chosen = _quantile_of(values[inside].astype(np.float64), quantiles, quantile)
    if not len(chosen) or not np.isfinite(chosen).all():
        return None
    place = int(chosen.argmax())
    return Demand(float(chosen[place]), int(times[inside[place]]), is_whole=bool(times[-1] >= last))


def _quantile_of(values: NDArray[np.float64], quantiles: Sequence[float], wanted: float) -> NDArray[np.float64]:
    for place, quantile in enumerate(quantiles):
        if abs(quantile - wanted) < 1e-9:
            return values[:, place]
    scores = [NormalDist().inv_cdf(quantile) for quantile in quantiles]
    score = NormalDist().inv_cdf(wanted)
    above = int(np.searchsorted(scores, score))
    if above < len(quantiles):
        low, high = max(above - 1, 0), max(above, 1)
    else:
        low, high = min(range(len(quantiles)), key=lambda place: abs(quantiles[place] - _MEDIAN)), len(quantiles) - 1
    if low == high:
        return np.full(len(values), np.nan)
    share = (score - scores[low]) / (scores[high] - scores[low])
    return values[:, low] + share * (values[:, high] - values[:, low])
