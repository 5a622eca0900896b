"""
Learns: windows drawn at random, measurements hidden at random, and of the averaged weights those that do best.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tidecast_predictor.batch import Batch, Material, assemble
from tidecast_predictor.config import Architecture
from tidecast_predictor.convolution import CallGraph
from tidecast_predictor.model import GcnGru
from tidecast_predictor.predicting import rescale
from tidecast_predictor.recording import Recording
from tidecast_predictor.scaling import Reference, Scale, tensor_to_units
from tidecast_predictor.scores import pinball
from tidecast_predictor.subgraphs import Neighbourhoods

Progress = Callable[[float], None]
"""Is told how much of the work is done, in [0, 1]."""

Watch = Callable[[int, float], None]
"""Is told how many optimiser steps were taken, and the validation error of what they led to."""

_ORIGINS = 8  # of a sample that are learnt from: the recurrence over a window is paid once for all of them
_LINE_DRAWS = 48
_DRAWS_HELD = 16  # after so many the memory that was read for them is given back
_EXTRA_STEPS = 16  # beyond a window, so that origins see windows of every length up to a little more than a full one
_VALIDATIONS = 10  # were it for all of the time; the first half is left out, as the best state is not among them
_LEARNING_RATE = 4e-3
_PACE_OF_GATES = 10.0
_WARM_UP = 0.15
_AVERAGING = 0.98
_SLACK = 0.1  # of the time; how far a training may fall behind before it is shortened
_SHIFTED = 0.5
_MEAN_WEIGHT = 0.3
_ZERO_WEIGHT = 0.2
_OUTLIER = 5.0  # spreads; beyond, an error counts in proportion and not squared, lest one moment outweighs all others


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """
    A recording to learn from.

    Attributes:
        recording: The whole of it.
        reference: How each service behaved in the part that is learnt from.
        training_steps: That part is the steps before this one; targets lie in it too.
        scales: How units and the model's scale belong together.
        spread_NF: Of each series in units, positive; what errors of the mean are measured by.
    """

    recording: Recording
    reference: Reference
    training_steps: int
    scales: Sequence[Scale]
    spread_NF: NDArray[np.float32]

    def among(self, services: NDArray[np.int64]) -> "Lesson":
        """On these services only, and the calls between them."""
        return replace(
            self,
            recording=self.recording.among(services),
            reference=self.reference.among(services),
            spread_NF=self.spread_NF[services],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What one optimiser step looks at: a material and, on the model's scale, what came true, (N, B, P, F, H)."""

    material: Material
    truth: Tensor
    lesson: Lesson


class Sampler:
    """
    Draws windows to learn from, with some of what was measured hidden.

    Args:
        lessons: Each draw is from one of them.
        architecture: Of the model that learns.
        rows: How many (sample, service) pairs a draw has, about.
        seed: Of all draws.
        services: How many services a draw has at most; None is all of a lesson.
    """

    def __init__(
        self,
        lessons: Sequence[Lesson],
        architecture: Architecture,
        *,
        rows: int,
        seed: int,
        services: int | None = None,
    ) -> None:
        self._lessons, self._architecture, self._rows = lessons, architecture, rows
        self._generator = torch.Generator().manual_seed(seed)
        self._parts = [_parts_of(lesson.recording, services, seed) for lesson in lessons]
        self._draws = 0

    def draw(self) -> Draw:
        """Windows of one of the lessons, some of what was measured hidden."""
        draw = self.draw_whole()
        return replace(draw, material=self._hide(draw.material))

    def draw_whole(self) -> Draw:
        """Windows of one of the lessons as they were measured."""
        index = int(self._integers(len(self._lessons), ()))
        lesson = self._lessons[index].among(self._parts[index].draw())
        last_origin = lesson.training_steps - 1 - self._architecture.horizon_steps
        steps = min(self._architecture.window_steps + _EXTRA_STEPS, last_origin + 1)
        samples = max(1, self._rows // max(1, lesson.recording.services))
        starts = self._integers(last_origin - steps + 2, (samples,))
        first = steps // 8
        origins = first + self._integers(steps - first, (samples, _ORIGINS))
        material = lesson.recording.material(
            starts, origins, reference=lesson.reference, steps=steps, architecture=self._architecture
        )
        truth = lesson.recording.targets(starts[:, None] + origins, self._architecture)
        self._draws += 1
        if self._draws % _DRAWS_HELD == 0:
            lesson.recording.let_go()
        return Draw(material, truth, lesson)

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
        material = self._shift(material)
        return replace(
            material,
            z_BTNA=z.masked_fill(hidden | gaps | unborn[..., None], torch.nan),
            before_BNA=material.before_BNA.masked_fill(new[:, None], torch.nan),
            days_BPWJNF=material.days_BPWJNF.masked_fill(new[:, None] | forgotten, torch.nan),
            calls_2E=material.calls_2E[:, kept],
            rates_E=material.rates_E[kept],
            reference=_without(material.reference, new.numpy()),
        )

    def _shift(self, material: Material) -> Material:
        """
        Let the days before have been on another level: a first weekend, growth, a release.

        Without it a model takes the few days it has seen for a law, and pulls every forecast towards their level. A
        series moves as far as it wanders: the level of mere noise stays, and going back to it is right.
        """
        if not bool(self._chance(_SHIFTED, ())):
            return material
        reference = material.reference
        features = material.days_BPWJNF.shape[-1]
        amount_A = torch.randn(reference.spread.shape[1], generator=self._generator)
        shift_NA = amount_A * torch.from_numpy(reference.wandering)
        return replace(
            material,
            days_BPWJNF=material.days_BPWJNF + shift_NA[:, :features],
            reference=replace(reference, median=reference.median + shift_NA.numpy()),
        )

    def _chance(self, probability: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.rand(shape, generator=self._generator) < probability

    def _integers(self, below: int, shape: tuple[int, ...]) -> Tensor:
        return torch.randint(0, max(1, below), shape, generator=self._generator)


class Learner:
    """
    Takes optimiser steps and keeps the averaged weights that did best by *judge*, which is given the model.

    Args:
        model: Learns.
        sampler: What from.
        judge: The validation error of a model.
        watch: Is told of every validation.
    """

    def __init__(
        self,
        model: GcnGru,
        sampler: Sampler,
        judge: Callable[[GcnGru], float],
        watch: Watch = lambda _updates, _error: None,
    ) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device)
        self._sampler, self._judge, self._watch = sampler, judge, watch
        self._optimizer = torch.optim.AdamW(_paced(self._model), lr=_LEARNING_RATE, weight_decay=1e-3)
        self._averaged = copy.deepcopy(self._model).eval()
        self.best = copy.deepcopy(self._averaged).cpu()
        self._best_error = math.inf

    def run(self, updates: int, progress: Progress, *, deadline: float) -> int:
        """Learn until *updates* steps are taken or the deadline is near; returns the steps taken."""
        began = time.monotonic()
        self._validate(0)
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
                self._validate(update + 1)
            progress(done)
            update += 1
        self._validate(update)
        return update

    def _step(self, learning_rate: float, averaging: float) -> None:
        draw = self._sampler.draw()
        batch = assemble(draw.material, self._model.architecture).to(self._device)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate * group["pace"]
        self._model.train()
        loss = loss_of(self._model, batch, draw.truth.to(self._device), draw.lesson)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        with torch.no_grad():
            pairs = zip(self._averaged.parameters(), self._model.parameters(), strict=True)
            for average, current in pairs:
                average.lerp_(current, 1 - averaging)

    def _validate(self, updates: int) -> None:
        error = self._judge(self._averaged)
        self._watch(updates, error)
        if error < self._best_error:
            self._best_error = error
            self.best = copy.deepcopy(self._averaged).cpu()


def solve_line(model: GcnGru, sampler: Sampler) -> None:
    """Let *model* have the straight line that fits what was measured best."""
    with torch.no_grad():
        model.line.solve(_examples(sampler, model.architecture))


def _examples(sampler: Sampler, architecture: Architecture) -> Iterator[tuple[Batch, CallGraph, Tensor]]:
    for _ in range(_LINE_DRAWS):
        draw = sampler.draw_whole()
        batch = assemble(draw.material, architecture)
        graph = CallGraph.of(batch.calls_2E, batch.rates_E, len(batch.steps_NBTC))
        yield batch, graph, _changes(batch, draw.truth)


def loss_of(model: GcnGru, batch: Batch, truth: Tensor, lesson: Lesson) -> Tensor:
    """Of the quantiles and of what is zero on the model's scale, of the mean in units, where it has to be the mean."""
    answer = model(batch)
    loss = pinball(answer.quantiles_NBPFHQ, _changes(batch, truth), model.architecture.quantiles)
    scaled = rescale(answer.mean_NBPFH[..., None], batch)[..., 0]
    said, came = (tensor_to_units(z, lesson.scales, dim=3) for z in (scaled, truth))
    spread_NF = torch.from_numpy(lesson.spread_NF).to(truth.device)
    error = (said - came) / spread_NF[:, None, None, :, None]
    known = torch.isfinite(error)
    squared = functional.huber_loss(error.nan_to_num(0.0), torch.zeros_like(error), reduction="none", delta=_OUTLIER)
    chance = functional.binary_cross_entropy_with_logits(answer.zero_NBPFH, (truth == 0).float(), reduction="none")
    beside = _MEAN_WEIGHT * squared + _ZERO_WEIGHT * chance
    return loss + (beside * known).sum() / known.sum().clamp(min=1)


def _changes(batch: Batch, truth: Tensor) -> Tensor:
    """What came true as the model says it: changes in usual changes."""
    return (truth - batch.centre_NBPF[..., None]) / batch.scale_NF[:, None, None, :, None]


def _parts_of(recording: Recording, limit: int | None, seed: int) -> Neighbourhoods:
    limit = recording.services if limit is None else limit
    return Neighbourhoods(recording.calls_2E.numpy(), recording.services, limit=limit, seed=seed)


def _without(reference: Reference, new_N: NDArray[np.bool_]) -> Reference:
    """The reference as it is when some services have no history."""
    new = new_N[:, None]
    return Reference(
        median=np.where(new, np.float32(np.nan), reference.median),
        spread=np.where(new, reference.pool.spread, reference.spread),
        change=np.where(new, reference.pool.change, reference.change),
        skew=np.where(new, np.float32(0), reference.skew),
        pool=reference.pool,
    )


def _paced(model: GcnGru) -> list[dict[str, Any]]:
    """All parameters, those faster of which each has far to go: a gate that is to be open or shut."""
    gates = [model.gates_by_step, model.skew_by_step]
    others = [parameter for parameter in model.parameters() if all(parameter is not gate for gate in gates)]
    return [{"params": others, "pace": 1.0}, {"params": gates, "pace": _PACE_OF_GATES, "weight_decay": 0.0}]


def _one_cycle(done: float) -> float:
    """The learning rate when *done* of the training is done: a short rise, a long fall."""
    if done < _WARM_UP:
        return _LEARNING_RATE * (0.1 + 0.9 * done / _WARM_UP)
    return _LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
