"""
What was measured last stays: the forecast to beat within minutes, and the one that needs no history.
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import ModelKind
from tidecast_predictor.windows import Past


class LastValue:
    """The newest measurement, for every step ahead."""

    kind = ModelKind.LAST_VALUE

    def forecast(self, past: Past, horizon_steps: int) -> NDArray[np.float32]:
        """The medians in units, float32 of shape (N, F, H); NaN where nothing was measured for a day."""
        latest = past.latest()[:, : len(FORECAST_FEATURES), None]
        return np.repeat(latest, horizon_steps, axis=2)
