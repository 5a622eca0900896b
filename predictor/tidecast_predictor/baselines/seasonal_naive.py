"""
What was a day before comes again.

Looked up by time, not by counting steps, so that a gap between segments does not shift the hour; the day before may lie
in another segment, as it is a measurement of the past and no part of a window.
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series
from tidecast_predictor.baselines.naive import Naive, latest
from tidecast_predictor.config import DAY_SECONDS


class SeasonalNaive(Naive):
    """
    The measurement a day before each target, of the newest day that lies before the origin.

    Where that is missing, or the recording does not reach back for a day, the last value; NaN where there is none.
    """

    @property
    def name(self) -> str:
        """As in tables."""
        return "seasonal-naive"

    def say(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> NDArray[np.float32]:
        """Of shape (S, N, F, H)."""
        del window
        said = np.repeat(latest(series, origins)[..., None], horizon, axis=-1)
        order = np.argsort(series.times, kind="stable")
        for ahead in range(1, horizon + 1):
            seconds = ahead * series.step_seconds
            days = max(1, int(np.ceil(seconds / DAY_SECONDS)))
            rows = _nearest(series, order, series.times[origins] + (seconds - days * DAY_SECONDS))
            rows[rows > origins] = -1  # segments need not follow each other in time
            yesterday = series.values[np.maximum(rows, 0)]
            yesterday[rows < 0] = np.nan
            said[..., ahead - 1] = np.where(np.isfinite(yesterday), yesterday, said[..., ahead - 1])
        return said


def _nearest(series: Series, order: NDArray[np.int64], moments: NDArray[np.floating]) -> NDArray[np.int64]:
    """The step nearest to each moment; -1 where none is within half a step."""
    times = series.times[order]
    after = np.searchsorted(times, moments).clip(1, max(1, len(times) - 1))
    before = after - 1
    after = np.minimum(after, len(times) - 1)
    closer = np.where(np.abs(times[after] - moments) < np.abs(times[before] - moments), after, before)
    near = np.abs(times[closer] - moments) <= series.step_seconds / 2
    return np.where(near, order[closer], -1)
