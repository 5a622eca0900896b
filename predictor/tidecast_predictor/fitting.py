"""
Makes a model from a recording: learns from all but its last part, chooses, calibrates and scores on that part.
"""

import copy
import math
import time
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.calibrating import calibrate
from tidecast_predictor.checkpoint import Checkpoint, version_of
from tidecast_predictor.config import DAY_SECONDS, WEEK_SECONDS, Architecture, TrainingSettings
from tidecast_predictor.day import measured_in
from tidecast_predictor.learning import Learner, Progress, Watch, solve_line
from tidecast_predictor.model import GcnGru
from tidecast_predictor.recording import Recording
from tidecast_predictor.sampling import Lesson, Sampler
from tidecast_predictor.scaling import SCALES
from tidecast_predictor.scores import spread
from tidecast_predictor.subgraphs import among, sample
from tidecast_predictor.validation import Validation
from tidecast_predictor.windows import Split

_CYCLES_TO_TELL = 1.5  # a clock that was seen for fewer rounds tells the date, not the hour

_UPDATES, _UPDATES_POWER = 80, 0.3
"""
Of services times steps: 650 optimiser steps for two hours of twenty services, 12,000 for two weeks of a thousand. Measured by
`benchmarks/forecasting/training_length.py`: about a third of it costs 2.6 percent of the error on a day of 41 services and 0.8
on three days of 310. Nearly three times of it won nothing on the day of 41; elsewhere that was not tried.
"""

_SCORED_SERVICES = 256  # of more a sample is held out: enough for a mean within a percent, few enough to score often
_PATCH = 32


def fit(  # noqa: PLR0913 - what is learnt from, what is to be beaten, what it may cost, and who is told
    snapshot: Snapshot,
    settings: TrainingSettings,
    *,
    progress: Progress,
    deadline: float,
    watch: Watch = lambda _updates, _error: None,
    served: Checkpoint | None = None,
) -> Checkpoint:
    """
    Train on all but the last part of *snapshot*, choose the best state on that part, calibrate and score it there.

    Takes memory for some windows of some services: a recording in a file may be larger than memory.

    Args:
        snapshot: The recording. One in a file is read fastest if `values` is the transpose of a (N, T, F) array.
        settings: How to go about it.
        progress: Is told how far it is.
        deadline: In `time.monotonic()`; what was learnt by then is the result.
        watch: Is told of every validation.
        served: What is there already. Two trainings on nearly the same history differ by chance: calibrated anew it stays,
            unless the new one is better on the held-out part. One of another shape goes, and one that has learnt
            from what is held out here, as when history was filled with what was before.

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
    spreads, moments = _spreads_and_moments(recording, split.training_steps)
    reference = recording.reference(split.training_steps, settings.horizon_steps, moments=moments)
    scored = sample(snapshot, _SCORED_SERVICES, patch=_PATCH, seed=settings.seed)
    validation = Validation(
        among(snapshot, scored),
        recording.among(scored),
        reference=reference.among(scored),
        split=split,
        architecture=architecture,
    )
    lesson = Lesson(recording, reference, split.training_steps, SCALES, spreads, moments)
    sampler = Sampler([lesson], architecture, rows=settings.rows, seed=settings.seed, services=settings.services)
    model = GcnGru(architecture)
    solve_line(model, sampler)
    learner = Learner(model, sampler, lambda model: validation.score(model).error, watch)
    steps = split.training_steps if moments is None else len(moments)
    length = settings.updates or updates_worth(recording.services, steps)
    updates = learner.run(length, progress, deadline=deadline)
    model = learner.best.eval()
    calibrate(model, [validation.held_out()])
    scores, now = validation.score(model), int(time.time())
    held_out_time = snapshot.start_time + split.training_steps * snapshot.step_seconds
    if served is not None and served.model.architecture == architecture and _learnt_until(served) <= held_out_time:
        before = copy.deepcopy(served.model)
        calibrate(before, [validation.held_out()])
        again = validation.score(before)
        if again.error <= scores.error:
            return replace(served, model=before, scores=again, trained_time=now, version=version_of(before, now))
    return Checkpoint(
        model=model,
        pool=reference.pool,
        scores=scores,
        start_time=snapshot.start_time,
        end_time=snapshot.end_time,
        updates=updates,
        trained_time=now,
        version=version_of(model, now),
    )


def _learnt_until(checkpoint: Checkpoint) -> int:
    """Where the part of its history ends that it was trained on, unix seconds."""
    architecture = checkpoint.model.architecture
    steps = (checkpoint.end_time - checkpoint.start_time) // architecture.step_seconds + 1
    known = Split.of(steps, architecture.horizon_steps).training_steps
    return checkpoint.start_time + known * architecture.step_seconds


def _spreads_and_moments(recording: Recording, steps: int) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Of the first *steps* the spread of each series, and when requests were measured; None where that is most of them."""
    spreads, measured = [], np.zeros(steps, np.bool_)
    for values in recording.in_units(steps, len(FORECAST_FEATURES)):
        spreads.append(spread(values))
        measured |= measured_in(values)
    moments = np.flatnonzero(measured)
    return np.concatenate(spreads), moments if 0 < 2 * len(moments) < steps else None


def updates_worth(services: int, steps: int) -> int:
    """How many optimiser steps it pays to take on a recording: more of it holds more to be learnt, ever less of it new."""
    return max(1, round(_UPDATES * math.pow(services * steps, _UPDATES_POWER)))


def periods_told_by(seconds: float) -> tuple[int, ...]:
    """The clocks that a training of that length can learn to read."""
    return tuple(period for period in (DAY_SECONDS, WEEK_SECONDS) if seconds >= _CYCLES_TO_TELL * period)
