"""
What the naive methods share: nothing to learn but, from validation, how far they err.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.cutting import filled, segment_begins, targets
from tidecast_predictor.baselines.method import Answer, Progress, Series, Task
from tidecast_predictor.baselines.residuals import Residuals
from tidecast_predictor.baselines.standardising import Standard, Standards

_NUMBERS = 20_000_000  # errors that bands are taken from, at most


class Naive(ABC):
    """A rule that forecasts without weights; its bands are its errors on validation."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As in tables."""

    @abstractmethod
    def say(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> NDArray[np.float32]:
        """Forecasts in units, (S, N, F, H), from nothing after each origin; NaN where the rule cannot say."""

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> "FittedNaive":
        """Learn the bands; *seed* decides nothing."""
        del seed
        errors, known = [], []
        for task in tasks:
            series = task.series
            standard = Standard.of(series.values[: task.training_steps])
            known.append((series, standard))
            origins = _few(task)
            if len(origins):
                said = self.say(series, origins, window=task.window, horizon=task.horizon)
                came = targets(
                    series.values[: task.known_steps], series.segments[: task.known_steps], origins, task.horizon
                )
                off = (came.transpose(0, 2, 3, 1) - said) / standard.deviation[..., None]
                errors.append(off.reshape(-1, *off.shape[2:]))
            progress(len(known) / len(tasks))
        bands = Residuals.of(np.concatenate(errors), centred=True) if errors else Residuals(None)
        return FittedNaive(self, Standards(tuple(known)), bands)


@dataclass(frozen=True, slots=True, eq=False)
class FittedNaive:
    """
    A naive method that knows how far it errs.

    Attributes:
        rule: What it says.
        standards: In which unit the errors are.
        residuals: Of validation.
    """

    rule: Naive
    standards: Standards
    residuals: Residuals

    def forecast(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> Answer:
        """As of `Fitted`."""
        mean = self.rule.say(series, origins, window=window, horizon=horizon)
        first = int(origins.min()) if len(origins) else 0
        return Answer(mean, self.residuals.around(mean, self.standards.of(series, first).deviation))


def latest(series: Series, origins: NDArray[np.int64]) -> NDArray[np.float32]:
    """The newest measurement at each origin, in its segment, (S, N, F); NaN where there is none."""
    steps = int(origins.max()) + 1 if len(origins) else 0
    carried: NDArray[np.float32] = filled(series.values[:steps], segment_begins(series.segments[:steps]))[origins]
    return carried


def _few(task: Task) -> NDArray[np.int64]:
    """Origins of validation, evenly spread, few enough for memory."""
    size = task.series.values[0].size * task.horizon
    count = min(len(task.validation), max(1, _NUMBERS // max(1, size)))
    return task.validation[np.linspace(0, len(task.validation) - 1, count).astype(np.int64)]
