"""
Trains in the background, never in the way of inference: a process of its own, at low priority.
"""

from pathlib import Path

from tidecast_contract.status import TrainingStatus
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.history import History
from tidecast_predictor.inference import Forecaster

__all__ = ["Trainer", "TrainingSettings"]


class Trainer:
    """
    Runs one training at a time and hands the model to *forecaster* when it beats the naive methods.

    Args:
        history: What is learnt from.
        forecaster: Gets the new model.
        checkpoint_dir: Where models are kept; None keeps none beyond this process.
        settings: Used when `start` is given none.
    """

    def __init__(
        self, history: History, forecaster: Forecaster, checkpoint_dir: Path | None, settings: TrainingSettings
    ) -> None:
        raise NotImplementedError

    def start(self, settings: TrainingSettings | None = None) -> bool:
        """
        Start a training and return at once.

        Returns False, and starts none, when one is running or there is too little history; `status().message` says
        which.
        """
        raise NotImplementedError

    def status(self) -> TrainingStatus:
        """What the training does, how far it is, and how the last one ended."""
        raise NotImplementedError

    def stop(self) -> None:
        """End a running training without a result and wait until it is gone."""
        raise NotImplementedError
