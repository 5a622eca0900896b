"""
Learns a model from a recording: windows drawn at random, measurements hidden at random, the best state kept.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.batch import Material, assemble
from tidecast_predictor.checkpoint import Checkpoint, version_of
from tidecast_predictor.config import DAY_SECONDS, WEEK_SECONDS, Architecture, TrainingSettings
from tidecast_predictor.model import GcnGru
from tidecast_predictor.scaling import Reference
from tidecast_predictor.scores import pinball
from tidecast_predictor.validation import Validation
from tidecast_predictor.windows import Recording, Split

Progress = Callable[[float], None]
"""Is told how much of the work is done, in [0, 1]."""

_ORIGINS = 8  # of a sample that are learnt from: the recurrence over a window is paid once for all of them
_EXTRA_STEPS = 16  # beyond a window, so that origins see windows of every length up to a little more than a full one
_VALIDATIONS = 10  # were it for all of the time; the first half is left out, as the best state is not among them
_LEARNING_RATE = 4e-3
_WARM_UP = 0.15
_AVERAGING = 0.98
_SLACK = 0.1  # of the time; how far a training may fall behind before it is shortened
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
        periods=tuple(period for period in (DAY_SECONDS, WEEK_SECONDS) if seconds >= _CYCLES_TO_TELL * period),
    )
    reference = recording.reference(split.training_steps, settings.horizon_steps)
    validation = Validation(snapshot, recording, reference=reference, split=split, architecture=architecture)
    sampler = _Sampler(recording, reference, split=split, architecture=architecture, settings=settings)
    learner = _Learner(GcnGru(architecture), sampler, validation)
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


class _Sampler:
    """Draws windows to learn from, with some of what was measured hidden."""

    def __init__(
        self,
        recording: Recording,
        reference: Reference,
        *,
        split: Split,
        architecture: Architecture,
        settings: TrainingSettings,
    ) -> None:
        services = max(1, recording.z_TNA.shape[1])
        self._recording, self._reference, self._architecture = recording, reference, architecture
        self._last_origin = split.training_steps - 1 - architecture.horizon_steps
        self._steps = min(architecture.window_steps + _EXTRA_STEPS, self._last_origin + 1)
        self._samples = max(1, settings.rows // services)
        self._generator = torch.Generator().manual_seed(settings.seed)

    def draw(self) -> tuple[Material, Tensor]:
        """A material and, on the model's scale, what came true, (N, B, P, F, H)."""
        starts = self._integers(self._last_origin - self._steps + 2, (self._samples,))
        first = self._steps // 8
        origins = first + self._integers(self._steps - first, (self._samples, _ORIGINS))
        material = self._recording.material(
            starts, origins, reference=self._reference, steps=self._steps, architecture=self._architecture
        )
        truth = self._recording.targets(starts[:, None] + origins, self._architecture)
        return self._hide(material), truth

    def _hide(self, material: Material) -> Material:
        """Hide what a cluster may lack: features, steps, days, calls, and for some services all of their past."""
        z = material.z_BTNA
        samples, steps, services, features = z.shape
        hidden = self._chance(0.3, (samples, 1, services, 1)) & self._chance(0.3, (samples, 1, services, features))
        gaps = self._chance(0.2, (samples, 1, services, 1)) & self._chance(0.3, (samples, steps, services, 1))
        new = self._chance(0.15, (services,))
        young = new & self._chance(0.5, (samples, services))
        born = torch.where(young, self._integers(steps, (samples, services)), torch.tensor(0))
        unborn = torch.arange(steps)[None, :, None] < born[:, None]
        forgotten = self._chance(0.15, (samples, 1, len(self._architecture.days), 1, services, 1))
        kept = ~self._chance(0.1, material.rates_E.shape)
        return replace(
            material,
            z_BTNA=z.masked_fill(hidden | gaps | unborn[..., None], torch.nan),
            before_BNA=material.before_BNA.masked_fill(new[:, None], torch.nan),
            days_BPWJNF=material.days_BPWJNF.masked_fill(new[:, None] | forgotten, torch.nan),
            calls_2E=material.calls_2E[:, kept],
            rates_E=material.rates_E[kept],
            reference=self._without(new.numpy()),
        )

    def _without(self, new_N: NDArray[np.bool_]) -> Reference:
        """The reference as it is when some services have no history."""
        new, reference = new_N[:, None], self._reference
        return Reference(
            median=np.where(new, np.float32(np.nan), reference.median),
            spread=np.where(new, reference.pool.spread, reference.spread),
            change=np.where(new, reference.pool.change, reference.change),
            pool=reference.pool,
        )

    def _chance(self, probability: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.rand(shape, generator=self._generator) < probability

    def _integers(self, below: int, shape: tuple[int, ...]) -> Tensor:
        return torch.randint(0, max(1, below), shape, generator=self._generator)


class _Learner:
    """Takes optimiser steps and keeps the averaged weights that did best on validation."""

    def __init__(self, model: GcnGru, sampler: _Sampler, validation: Validation) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device)
        self._sampler, self._validation = sampler, validation
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=_LEARNING_RATE, weight_decay=1e-3)
        self._averaged = copy.deepcopy(self._model).eval()
        self.best = copy.deepcopy(self._averaged).cpu()
        self._best_error = math.inf

    def run(self, updates: int, progress: Progress, *, deadline: float) -> int:
        """Learn until *updates* steps are taken or the deadline is near; returns the steps taken."""
        began = time.monotonic()
        self._validate()
        # After the last step there is one more validation, the calibration and the final score.
        budget = deadline - time.monotonic() - 4 * (time.monotonic() - began)
        began, validated, update = time.monotonic(), _VALIDATIONS // 2, 0
        while update < updates:
            spent = (time.monotonic() - began) / max(budget, 1e-3)
            if spent >= 1:
                break
            # Time steers only a training that will not make it, lest chance differ from run to run.
            done = max(update / updates, (spent - _SLACK) / (1 - _SLACK))
            self._step(_one_cycle(done), min(_AVERAGING, (1 + update) / (10 + update)))
            if int(done * _VALIDATIONS) > validated:
                validated = int(done * _VALIDATIONS)
                self._validate()
            progress(done)
            update += 1
        self._validate()
        return update

    def _step(self, learning_rate: float, averaging: float) -> None:
        material, truth = self._sampler.draw()
        batch = assemble(material, self._model.architecture)
        target = (truth - batch.centre_NBPF[..., None]) / batch.scale_NF[:, None, None, :, None]
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._model.train()
        forecast = self._model(batch.to(self._device))
        loss = pinball(forecast, target.to(self._device), self._model.architecture.quantiles)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        with torch.no_grad():
            pairs = zip(self._averaged.parameters(), self._model.parameters(), strict=True)
            for average, current in pairs:
                average.lerp_(current, 1 - averaging)

    def _validate(self) -> None:
        error = self._validation.score(self._averaged).error
        if error < self._best_error:
            self._best_error = error
            self.best = copy.deepcopy(self._averaged).cpu()


def _one_cycle(done: float) -> float:
    """The learning rate when *done* of the training is done: a short rise, a long fall."""
    if done < _WARM_UP:
        return _LEARNING_RATE * (0.1 + 0.9 * done / _WARM_UP)
    return _LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
