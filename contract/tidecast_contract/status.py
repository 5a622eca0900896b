"""
What the predictor says about itself between two forecasts: how much history it holds and whether it trains.
"""

from dataclasses import dataclass
from enum import StrEnum

from tidecast_contract.forecast import ModelInfo


class TrainingState(StrEnum):
    """What the training in the background does."""

    IDLE = "Idle"
    RUNNING = "Running"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class TrainingStatus:
    """
    Attributes:
        state: What it does now; after a success it is idle again.
        progress: Between 0 and 1 while it runs, else 0.
        message: In words: the outcome of the last training, or why none has run.
        finished_time: When the last one ended, unix seconds; None before the first.
    """

    state: TrainingState
    progress: float = 0.0
    message: str = ""
    finished_time: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryStatus:
    """
    The history that the predictor holds; what it lacks, the operator sends.

    Attributes:
        step_seconds: The time between two steps; 0 while the history is empty.
        start_time: The time of the first step, unix seconds; 0 while empty.
        end_time: The time of the last step, unix seconds; 0 while empty.
        services: How many services it knows.
    """

    step_seconds: int = 0
    start_time: int = 0
    end_time: int = 0
    services: int = 0

    @property
    def steps(self) -> int:
        """How many steps lie between start and end, both included; 0 while empty."""
        return 0 if not self.step_seconds else (self.end_time - self.start_time) // self.step_seconds + 1


@dataclass(frozen=True, slots=True)
class PredictorStatus:
    """Everything the predictor says about itself."""

    model: ModelInfo
    history: HistoryStatus
    training: TrainingStatus
