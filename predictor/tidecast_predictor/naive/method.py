"""
What every forecasting method does, however simple.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.forecast import ModelKind
from tidecast_predictor.windows import Past


class ForecastingMethod(Protocol):
    """A method that says, from what is known at a moment, what comes next."""

    kind: ModelKind

    def forecast(self, past: Past, horizon_steps: int) -> NDArray[np.float32]:
        """The medians in units, float32 of shape (N, F, H), F the `FORECAST_FEATURES`; NaN where it cannot say."""
