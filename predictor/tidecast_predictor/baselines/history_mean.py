"""
The mean of all that was measured so far is the forecast of every step. On pure noise nothing is better.
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series
from tidecast_predictor.baselines.naive import Naive


class HistoryMean(Naive):
    """The mean of what was measured up to the origin, in any segment; NaN where there is nothing."""

    @property
    def name(self) -> str:
        """As in tables."""
        return "history-mean"

    def say(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> NDArray[np.float32]:
        """Of shape (S, N, F, H)."""
        del window
        shape = series.values.shape[1:]
        total, count, begin = np.zeros(shape), np.zeros(shape, np.int64), 0
        means = np.empty((len(origins), *shape), np.float32)
        for place in np.argsort(origins, kind="stable").tolist():
            end = int(origins[place]) + 1
            came = series.values[begin:end]
            total += np.nansum(came, axis=0, dtype=np.float64)
            count += np.isfinite(came).sum(axis=0)
            means[place] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
            begin = end
        return np.repeat(means[..., None], horizon, axis=-1)
