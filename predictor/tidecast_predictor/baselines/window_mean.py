"""
The mean of the window is the forecast of every step. Best where there is nothing but noise around a level.
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.cutting import segment_begins, windows
from tidecast_predictor.baselines.method import Series
from tidecast_predictor.baselines.naive import Naive, latest

_NUMBERS = 4_000_000  # of windows, worked on at a time


class WindowMean(Naive):
    """The mean of what was measured in the window, else the last value before it; NaN where there is none."""

    @property
    def name(self) -> str:
        """As in tables."""
        return "window-mean"

    def say(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> NDArray[np.float32]:
        """Of shape (S, N, F, H)."""
        means = latest(series, origins)
        begins = segment_begins(series.segments)
        size = max(1, _NUMBERS // max(1, window * series.values[0].size))
        for begin in range(0, len(origins), size):
            part = slice(begin, begin + size)
            cut = windows(series.values, begins, origins[part], window)
            count = np.isfinite(cut).sum(axis=1)
            mean = np.nansum(cut, axis=1, dtype=np.float64) / np.maximum(count, 1)
            means[part] = np.where(count > 0, mean, means[part])
        return np.repeat(means[..., None], horizon, axis=-1)
