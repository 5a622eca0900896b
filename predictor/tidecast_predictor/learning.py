"""
Learns from what is drawn, and keeps of the averaged weights those that do best.
"""

import copy
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tidecast_predictor.batch import Batch, assemble
from tidecast_predictor.config import Architecture
from tidecast_predictor.model import GcnGru
from tidecast_predictor.predicting import rescale
from tidecast_predictor.sampling import Draw, Lesson, Sampler
from tidecast_predictor.scaling import tensor_to_units
from tidecast_predictor.scores import pinball
from tidecast_predictor.straight_line import Examples

Progress = Callable[[float], None]
"""Is told how much of the work is done, in [0, 1]."""

Clock = Callable[[], float]
"""Tells the time that has passed since some moment, seconds."""

Watch = Callable[[int, float], None]
"""Is told how many optimiser steps were taken, and the validation error of what they led to."""

_LINE_DRAWS = 48
_VALIDATIONS = 10  # were it for all of the time; the first half is left out, as the best state is not among them
_LEARNING_RATE = 4e-3
_PACE_OF_GATES = 10.0
_WARM_UP = 0.15
_AVERAGING = 0.98
_SLACK = 0.1  # of the time; how far a training may fall behind before it is shortened
_MEAN_WEIGHT = 0.3
_ZERO_WEIGHT = 0.2
_OUTLIER = 5.0  # spreads; beyond, an error counts in proportion and not squared, lest one moment outweighs all others


class Learner:
    """
    Takes optimiser steps and keeps the averaged weights that did best by *judge*, which is given the model.

    Args:
        model: Learns.
        sampler: What from.
        judge: The validation error of a model; None where there is nothing to judge by: the newest is the best then.
        watch: Is told of every validation.
    """

    def __init__(
        self,
        model: GcnGru,
        sampler: Sampler,
        judge: Callable[[GcnGru], float | None],
        watch: Watch = lambda _updates, _error: None,
    ) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device)
        self._sampler, self._judge, self._watch = sampler, judge, watch
        self._optimizer = torch.optim.AdamW(_paced(self._model), lr=_LEARNING_RATE, weight_decay=1e-3)
        self._averaged = copy.deepcopy(self._model).eval()
        if self._averaged.gru is not None:
            self._averaged.gru.flatten_parameters()  # a copy's lie apart, and a GPU would gather them at every call
        self.best = copy.deepcopy(self._averaged).cpu()
        self._best_error = math.inf

    def run(self, updates: int, progress: Progress, *, deadline: float, clock: Clock = time.monotonic) -> int:
        """Learn until *updates* steps are taken or the deadline on *clock* is near; returns the steps taken."""
        began = clock()
        self._validate(0)
        # After the last step there is one more validation, the calibration and the final score.
        budget = deadline - clock() - 4 * (clock() - began)
        began, validated, update = clock(), _VALIDATIONS // 2, 0
        while update < updates:
            spent = (clock() - began) / max(budget, 1e-3)
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
        if error is not None:
            self._watch(updates, error)
        if error is None or error < self._best_error:
            self._best_error = math.inf if error is None else error
            self.best = copy.deepcopy(self._averaged).cpu()


def solve_line(model: GcnGru, sampler: Sampler) -> None:
    """Let *model* have the straight line that fits what was measured best."""
    architecture = model.architecture
    with torch.no_grad():
        model.line.solve(_examples(sampler.draw_whole, architecture), _examples(sampler.draw_gappy, architecture))


def _examples(draws: Callable[[], Draw], architecture: Architecture) -> Examples:
    for _ in range(_LINE_DRAWS):
        draw = draws()
        batch = assemble(draw.material, architecture)
        yield batch, batch.graph(), batch.in_changes(draw.truth)


def loss_of(model: GcnGru, batch: Batch, truth: Tensor, lesson: Lesson) -> Tensor:
    """Of the quantiles and of what is zero on the model's scale, of the mean in units, where it has to be the mean."""
    answer = model(batch)
    loss = pinball(answer.quantiles_NBPFHQ, batch.in_changes(truth), model.architecture.quantiles)
    scaled = rescale(answer.mean_NBPFH[..., None], batch)[..., 0]
    said, came = (tensor_to_units(z, lesson.scales, dim=3) for z in (scaled, truth))
    spread_NF = torch.from_numpy(lesson.spread_NF).to(truth.device)
    error = (said - came) / spread_NF[:, None, None, :, None]
    known = torch.isfinite(error)
    squared = functional.huber_loss(error.nan_to_num(0.0), torch.zeros_like(error), reduction="none", delta=_OUTLIER)
    chance = functional.binary_cross_entropy_with_logits(answer.zero_NBPFH, (truth == 0).float(), reduction="none")
    beside = _MEAN_WEIGHT * squared + _ZERO_WEIGHT * chance
    return loss + (beside * known).sum() / known.sum().clamp(min=1)


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
