"""
Makes a model from a recording: learns from all but its last part, chooses, calibrates and scores on that part.
"""

import time

import torch

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.checkpoint import Checkpoint, version_of
from tidecast_predictor.config import DAY_SECONDS, WEEK_SECONDS, Architecture, TrainingSettings
from tidecast_predictor.learning import Learner, Lesson, Progress, Sampler
from tidecast_predictor.model import GcnGru
from tidecast_predictor.scaling import SCALES
from tidecast_predictor.scores import spread
from tidecast_predictor.validation import Validation
from tidecast_predictor.windows import Recording, Split

_CYCLES_TO_TELL = 1.5  # a clock that was seen for fewer rounds tells the date, not the hour


def fit(snapshot: Snapshot, settings: TrainingSettings, *, progress: Progress, deadline: float) -> Checkpoint:
    """
    Train on all but the last part of *snapshot*, choose the best state on that part, calibrate and score it there.

    Args:
        snapshot: The recording.
        settings: How to go about it.
        progress: Is told how far it is.
        deadline: In `time.monotonic()`; what was learnt by then is the result.

    Raises:
        RecordingTooShort: If the recording is too short for the horizon.
    """
    torch.manual_seed(settings.seed)
    split = Split.of(snapshot.steps, settings.horizon_steps)
    recording = Recording.of(snapshot)
    seconds = split.training_steps * snapshot.step_seconds
    architecture = Architecture(
        step_seconds=snapshot.step_seconds,
        window_steps=settings.window_steps,
        horizon_steps=settings.horizon_steps,
        periods=periods_told_by(seconds),
    )
    reference = recording.reference(split.training_steps, settings.horizon_steps)
    validation = Validation(snapshot, recording, reference=reference, split=split, architecture=architecture)
    training = snapshot.values[: split.training_steps, :, : len(FORECAST_FEATURES)]
    lesson = Lesson(recording, reference, split.training_steps, SCALES, spread(training))
    sampler = Sampler([lesson], architecture, rows=settings.rows, seed=settings.seed)
    learner = Learner(GcnGru(architecture), sampler, lambda model: validation.score(model).error)
    updates = learner.run(settings.updates, progress, deadline=deadline)
    model = learner.best.eval()
    validation.calibrate(model)
    scores = validation.score(model)
    trained_time = int(time.time())
    return Checkpoint(
        model=model,
        pool=reference.pool,
        scores=scores,
        start_time=snapshot.start_time,
        end_time=snapshot.end_time,
        updates=updates,
        trained_time=trained_time,
        version=version_of(model, trained_time),
    )


def periods_told_by(seconds: float) -> tuple[int, ...]:
    """The clocks that a training of that length can learn to read."""
    return tuple(period for period in (DAY_SECONDS, WEEK_SECONDS) if seconds >= _CYCLES_TO_TELL * period)
