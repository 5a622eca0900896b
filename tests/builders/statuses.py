"""
Valid statuses of a predictor, changed where a test says so.
"""

from typing import Any

from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.status import HistoryStatus, PredictorStatus, TrainingState, TrainingStatus


def status(**changes: Any) -> PredictorStatus:
    """A predictor that serves a model and trains the next."""
    valid: dict[str, Any] = {
        "model": ModelInfo(
            ModelKind.GCN_GRU, version="v1", trained_time=100, reason="beats both", error=0.3, naive_error=0.4
        ),
        "history": HistoryStatus(step_seconds=60, start_time=60, end_time=600, services=7),
        "training": TrainingStatus(TrainingState.RUNNING, progress=0.25, message="epoch 3", finished_time=50),
    }
    return PredictorStatus(**(valid | changes))
