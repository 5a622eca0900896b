"""
Trainings of small models, followed to their end.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders.recordings import QUICK
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import TrainingState, TrainingStatus
from tidecast_predictor.history import History
from tidecast_predictor.inference import Forecaster
from tidecast_predictor.training import Trainer


def trainer(
    snapshot: Snapshot, directory: Path | None = None, *, device: str = "cpu", **changes: Any
) -> tuple[Trainer, Forecaster]:
    """A trainer that knows *snapshot*, and the forecaster that gets its models."""
    history = History(None, limit_seconds=60 * 86_400)
    history.append(snapshot)
    forecaster = Forecaster(history, directory, device=device)
    return Trainer(history, forecaster, directory, replace(QUICK, **changes)), forecaster


def finished(training: Trainer) -> TrainingStatus:
    """How the training ended that runs."""
    for _ in range(1200):
        if training.status().state is not TrainingState.RUNNING:
            return training.status()
        time.sleep(0.1)
    raise AssertionError(training.status())
