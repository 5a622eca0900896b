"""
The one trainer of all networks that are measured against: same inputs, same scaling, same budget, same choice of state.

A network gets windows (B, T, N, C) and the graph, and says standardised values (B, H, N, F). Its channels are, in this
order: F standardised values, 0 where missing; F masks, 1 where measured; the clock, sine and cosine of the time of day
and of the time of the week, as far as the training part is long enough to tell them.

Shapes: `B` samples, `T` steps of a window, `N` services, `C` channels, `F` features, `H` horizon steps, `E` calls.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tidecast_predictor.baselines.batching import Batch, Feed, Graph, clocks_told_by
from tidecast_predictor.baselines.method import Answer, CannotForecast, Progress, Series, Task
from tidecast_predictor.baselines.residuals import Residuals
from tidecast_predictor.baselines.standardising import Standard, Standards

__all__ = ["Budget", "Graph", "NeuralMethod", "Shape", "newest_in"]

Loss = Literal["mae", "mse"]

ROWS = 16_384
"""Pairs of sample and service that a batch has at most: memory stays bounded as services grow in number."""

_SLACK = 0.1  # of the time; how far a training may fall behind before time counts


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """
    What a network is built for.

    Attributes:
        services: N; 0 for an inductive network, which may not depend on it.
        channels: C.
        features: F.
        window: T.
        horizon: H.
        step_seconds: Between two steps.
        calls: Callers and callees, int64 of shape (2, E); none for an inductive network, which is given the graph.
        weights: Of the calls, float32 of shape (E,).
    """

    services: int
    channels: int
    features: int
    window: int
    horizon: int
    step_seconds: float
    calls: Tensor
    weights: Tensor

    @property
    def clock(self) -> int:
        """How many of the channels, the last ones, are the clock: 0, 2 (day) or 4 (day, week)."""
        return self.channels - 2 * self.features


@dataclass(frozen=True, slots=True)
class Budget:
    """
    What every network may spend on learning.

    Attributes:
        updates: Optimiser steps.
        seconds: Of processor time, all threads together, so that what runs beside does not matter; what was learnt by
            then is the result.
        batch: Samples in a batch, as far as `ROWS` allow it.
        evaluations: How often the state is tried on validation.
        patience: After that many tries without a better one the learning ends.
        origins: Of validation that a try looks at, evenly spread, as far as 8 * `ROWS` allow it.
    """

    updates: int = 1500
    seconds: float = 600.0
    batch: int = 32
    evaluations: int = 15
    patience: int = 6
    origins: int = 512


@dataclass(frozen=True, slots=True)
class NeuralMethod:
    """
    A method that is a network of `forward(x, graph)`.

    A network that decodes step by step and learns with the truth fed back has a method `teach(targets, done)`: it is
    called before each forward pass of learning with the standardised truth (B, H, N, F), 0 where missing, and how much
    of the learning is done, in [0, 1].

    Attributes:
        name: As in tables.
        build: Makes the network, with fresh weights.
        loss: What it minimises, over standardised values that were measured.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        inductive: Whether it holds nothing of single services, so that it forecasts other ones.
        budget: What it may spend.
    """

    name: str
    build: Callable[[Shape], nn.Module]
    loss: Loss = "mae"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    inductive: bool = False
    budget: Budget = field(default_factory=Budget)

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> "FittedNetwork":
        """
        Learn; of the states tried, the one with the smallest absolute error on validation is kept.

        Raises:
            CannotForecast: If there are several tasks and the network is not inductive, or nothing to learn from.
        """
        if len(tasks) != 1 and not self.inductive:
            raise CannotForecast(f"{self.name} holds weights of single services: it learns from one recording only")
        if not tasks or not all(len(task.training) for task in tasks):
            raise CannotForecast(f"{self.name} has no origin to learn from")
        torch.manual_seed(seed)
        standards = [Standard.of(task.series.values[: task.training_steps]) for task in tasks]
        clocks = clocks_told_by(min(task.training_steps * task.series.step_seconds for task in tasks))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        feeds = [
            Feed.of(task.series, standard, clocks=clocks, sizes=(task.window, task.horizon), steps=task.known_steps)
            for task, standard in zip(tasks, standards, strict=True)
        ]
        network = self.build(_shape(tasks[0], feeds[0], inductive=self.inductive)).to(device)
        learner = _Learner(network, self, tasks, feeds, seed=seed)
        learner.run(progress)
        network.load_state_dict(learner.best)
        known = tuple((task.series, standard) for task, standard in zip(tasks, standards, strict=True))
        bands = Residuals.of(learner.errors(), centred=self.loss == "mae")
        return FittedNetwork(self, network.eval(), Standards(known), clocks, bands)


@dataclass(frozen=True, slots=True, eq=False)
class FittedNetwork:
    """
    A network that has learnt. Its quantiles are its forecast and what it erred by on validation.

    Attributes:
        method: What it is.
        network: With its weights.
        standards: How series are scaled: those it learnt from by their training part, others by their own steps up to
            the first origin that is asked for.
        clocks: The periods it reads, seconds.
        residuals: Of validation.
    """

    method: NeuralMethod
    network: nn.Module
    standards: Standards
    clocks: tuple[int, ...]
    residuals: Residuals

    def forecast(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> Answer:
        """As of `Fitted`; memory is bounded but for the answer and one scaled copy of the series."""
        if not self.method.inductive and not any(
            series.services == other.services for other, _ in self.standards.known
        ):
            raise CannotForecast(f"{self.method.name} holds weights of single services, and these are others")
        if not len(origins):
            empty = np.zeros((0, *series.values.shape[1:], horizon), dtype=np.float32)
            return Answer(empty, np.zeros((*empty.shape, 3), dtype=np.float32))
        standard = self.standards.of(series, int(origins.min()))
        feed = Feed.of(series, standard, clocks=self.clocks, sizes=(window, horizon), steps=int(origins.max()) + 1)
        scaled = np.concatenate([said for said, _ in _passes(self.network, feed, origins)])
        mean = np.moveaxis(standard.in_units(scaled), 1, -1)
        return Answer(mean, self.residuals.around(mean, standard.deviation))


def newest_in(x: Tensor, features: int) -> Tensor:
    """
    The newest measured value of each series in a window.

    Args:
        x: Of shape (B, T, N, C), as networks are given it.
        features: F.

    Returns:
        Of shape (B, N, F); 0, the mean, where a window holds none.
    """
    values, masks = x[..., :features], x[..., features : 2 * features]
    steps = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)[:, None, None]
    at = (masks * steps).argmax(dim=1, keepdim=True)
    return values.gather(1, at)[:, 0]


def _shape(task: Task, feed: Feed, *, inductive: bool) -> Shape:
    services, features = task.series.values.shape[1:]
    graph = Graph.of(task.series)
    return Shape(
        services=0 if inductive else services,
        channels=feed.channels,
        features=features,
        window=task.window,
        horizon=task.horizon,
        step_seconds=task.series.step_seconds,
        calls=graph.calls[:, :0] if inductive else graph.calls,
        weights=graph.weights[:0] if inductive else graph.weights,
    )


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


@torch.no_grad()
def _passes(
    network: nn.Module, feed: Feed, origins: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Standardised forecasts (B, H, N, F) and the truth, batch by batch."""
    network.eval()
    device, graph = _device(network), feed.graph.to(_device(network))
    size = max(1, ROWS // feed.services)
    for begin in range(0, len(origins), size):
        batch = feed.batch(origins[begin : begin + size])
        yield network(batch.x.to(device), graph).cpu().numpy(), batch.truth.numpy()


class _Learner:
    """Takes optimiser steps and keeps the state that did best on validation."""

    def __init__(
        self, network: nn.Module, method: NeuralMethod, tasks: Sequence[Task], feeds: Sequence[Feed], *, seed: int
    ) -> None:
        self._network, self._method, self._tasks, self._feeds = network, method, tasks, feeds
        self._chance = np.random.default_rng(seed)
        self._graphs = [feed.graph.to(_device(network)) for feed in feeds]
        self._optimizer = torch.optim.Adam(
            network.parameters(), lr=method.learning_rate, weight_decay=method.weight_decay
        )
        self._validation = [
            _spread(task.validation, min(method.budget.origins, max(1, 8 * ROWS // feed.services)))
            for task, feed in zip(tasks, feeds, strict=True)
        ]
        self.best = copy.deepcopy(network.state_dict())
        self._best_error = math.inf

    def run(self, progress: Progress) -> None:
        """Learn until the budget is spent, or until nothing has become better for long."""
        budget, began = self._method.budget, time.process_time()
        tried, since_best, update, done = 0, 0, 0, 0.0
        while update < budget.updates and since_best < budget.patience:
            self._step(done)
            update += 1
            # Time counts only for a training that will not make it, lest chance differ from run to run.
            spent = (time.process_time() - began) / budget.seconds
            done = max(update / budget.updates, (spent - _SLACK) / (1 - _SLACK))
            if int(done * budget.evaluations) > tried:
                tried = int(done * budget.evaluations)
                since_best = 0 if self._try() else since_best + 1
            progress(min(done, 1.0))
            if done >= 1:
                break

    def errors(self) -> NDArray[np.float32]:
        """Of the best state on validation, standardised, (R, F, H), a row for each origin and service."""
        self._network.load_state_dict(self.best)
        parts = [np.zeros((0, self._feeds[0].scaled.shape[2], self._feeds[0].horizon), np.float32)]
        for feed, origins in zip(self._feeds, self._validation, strict=True):
            for said, truth in _passes(self._network, feed, origins):
                errors = truth - said
                parts.append(errors.transpose(0, 2, 3, 1).reshape(-1, errors.shape[3], errors.shape[1]))
        return np.concatenate(parts)

    def _step(self, done: float) -> None:
        which = int(self._chance.integers(len(self._tasks)))
        task, feed = self._tasks[which], self._feeds[which]
        size = max(1, min(self._method.budget.batch, ROWS // feed.services, len(task.training)))
        batch = feed.batch(self._chance.choice(task.training, size, replace=False)).to(_device(self._network))
        self._network.train()
        teach = getattr(self._network, "teach", None)
        if teach is not None:
            teach(batch.truth.nan_to_num(0.0), done)
        self._optimizer.zero_grad(set_to_none=True)
        loss = _loss(self._network(batch.x, self._graphs[which]), batch, self._method.loss)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._optimizer.step()

    def _try(self) -> bool:
        """Whether the present state is the best so far. Without anything to validate on the latest one is."""
        total, count = 0.0, 0
        for feed, origins in zip(self._feeds, self._validation, strict=True):
            for said, truth in _passes(self._network, feed, origins):
                errors = np.abs(truth - said)
                total += float(np.nansum(errors, dtype=np.float64))
                count += int(np.isfinite(errors).sum())
        error = total / count if count else 0.0
        if math.isfinite(error) and (error < self._best_error or not count):
            self.best, self._best_error = copy.deepcopy(self._network.state_dict()), error
            return True
        return False


def _loss(said: Tensor, batch: Batch, kind: Loss) -> Tensor:
    known = torch.isfinite(batch.truth)
    errors = torch.where(known, said - batch.truth.nan_to_num(0.0), 0.0)
    total = errors.abs().sum() if kind == "mae" else errors.square().sum()
    return total / known.sum().clamp(min=1)


def _spread(origins: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most *count* of *origins*, evenly spread."""
    if len(origins) <= count:
        return origins
    return origins[np.linspace(0, len(origins) - 1, count).astype(np.int64)]
