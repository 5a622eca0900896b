"""
Turns a window of measurements into a forecast, with the best method that is ready for each service.
"""

from pathlib import Path

from tidecast_contract.forecast import Forecast, ModelInfo
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.history import History


class Forecaster:
    """
    Answers forecasts. Safe to use from several threads; never waits for a training.

    Args:
        history: Where seasonal inputs, scales and the spread of naive forecasts come from. The caller appends to it.
        checkpoint_dir: The newest valid checkpoint in it is served from the start; None starts without a model.
        device: As torch names it; None takes CUDA when there is one, else the CPU.
    """

    def __init__(self, history: History, checkpoint_dir: Path | None, *, device: str | None = None) -> None:
        raise NotImplementedError

    def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """
        Forecast every service of *snapshot* for the next *horizon_steps*.

        Works with any number of steps in the window; what the model cannot do (no model yet, a longer horizon or
        another step than it was trained for) a naive method answers, and `Forecast.model.reason` says why.

        Raises:
            ValueError: If *horizon_steps* is not positive.
        """
        raise NotImplementedError

    def model_info(self) -> ModelInfo:
        """What is served at present, and why not something better."""
        raise NotImplementedError
