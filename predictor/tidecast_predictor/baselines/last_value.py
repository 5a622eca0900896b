"""
The last value goes on: the newest measurement is the forecast of every step. Best for a random walk.
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series
from tidecast_predictor.baselines.naive import Naive, latest


class LastValue(Naive):
    """The newest measurement in the segment, within the window or before it; NaN where there is none."""

    @property
    def name(self) -> str:
        """As in tables."""
        return "last-value"

    def say(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> NDArray[np.float32]:
        """Of shape (S, N, F, H)."""
        del window
        return np.repeat(latest(series, origins)[..., None], horizon, axis=-1)
