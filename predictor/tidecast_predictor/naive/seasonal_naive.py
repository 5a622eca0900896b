"""
What was measured at the same time yesterday comes again: the forecast to beat over hours.
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import ModelKind
from tidecast_predictor.config import DAY_SECONDS
from tidecast_predictor.windows import Past


class SeasonalNaive:
    """The measurement one season before each step ahead, or as many seasons as it takes to be in the past."""

    kind = ModelKind.SEASONAL_NAIVE

    def __init__(self, season_seconds: int = DAY_SECONDS) -> None:
        self.season_seconds = season_seconds

    def forecast(self, past: Past, horizon_steps: int) -> NDArray[np.float32]:
        """The medians in units, float32 of shape (N, F, H); NaN where nothing was measured a season ago."""
        step = past.snapshot.step_seconds
        season = max(1, round(self.season_seconds / step)) * step
        ahead = np.arange(1, horizon_steps + 1, dtype=np.int64) * step
        times = past.snapshot.end_time + ahead - season * -(-ahead // season)
        return past.values(times)[..., : len(FORECAST_FEATURES)].transpose(1, 2, 0)
