"""
Runs the points of an experiment with the functions of the command `evaluate`, and what that command cannot do: take
measurements away from what methods are shown, and let them learn from other recordings than the one they forecast.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from experiments import Evaluation
from numpy.typing import NDArray
from recordings import holes

from tidecast_predictor.baselines.method import Answer, Fitted, Method, Progress, Series, Task
from tidecast_predictor.evaluation.datasets import Dataset, read_all
from tidecast_predictor.evaluation.methods import METHODS, Effort, Entry
from tidecast_predictor.evaluation.runner import Plan, Tell, run
from tidecast_predictor.evaluation.runs import Shelf
from tidecast_predictor.evaluation.splits import Splitting, split
from tidecast_predictor.evaluation.summaries import Outcome, reaches_of

_HOLES_SEED = 9


@dataclass(frozen=True, slots=True)
class Spending:
    """
    What an evaluation may cost.

    Attributes:
        seeds: Runs of each method that learns by chance.
        effort: Of each network.
        origins: At most so many are tested at.
    """

    seeds: int = 3
    effort: Effort = field(default_factory=Effort)
    origins: int = 400


@dataclass(frozen=True, slots=True)
class Holed:
    """
    A method that is shown only a part of the measurements.

    Attributes:
        inner: The method.
        share: Of each service's steps that it is not shown, all features at once.
    """

    inner: Method
    share: float

    @property
    def name(self) -> str:
        """Of the method."""
        return self.inner.name

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> Fitted:
        """Learns from what is left."""
        shown = [replace(task, series=with_holes(task.series, self.share)) for task in tasks]
        return _HoledFitted(self.inner.fit(shown, seed=seed, progress=progress), self.share)


@dataclass(frozen=True, slots=True)
class _HoledFitted:
    inner: Fitted
    share: float

    def forecast(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> Answer:
        """Forecasts from what is left."""
        return self.inner.forecast(with_holes(series, self.share), origins, window=window, horizon=horizon)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """
    A method that learns from other recordings than the one it is given.

    Attributes:
        inner: The method.
        tasks: Of the other recordings.
    """

    inner: Method
    tasks: tuple[Task, ...]

    @property
    def name(self) -> str:
        """Of the method."""
        return self.inner.name

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> Fitted:  # noqa: ARG002 - the point of it
        """
        Learns from the other recordings alone.

        Raises:
            CannotForecast: If the method holds weights of single services.
        """
        return self.inner.fit(self.tasks, seed=seed, progress=progress)


class Lessons:
    """
    What was learnt in this process, by what it was learnt from.

    Points that differ only in what is tested, as the levels of the load, need no training of their own.
    """

    def __init__(self) -> None:
        self._learnt: dict[tuple[str, int, str], Fitted] = {}

    def of(self, method: Method, tasks: Sequence[Task], *, seed: int, progress: Progress) -> Fitted:
        """What *method* learns from *tasks*, learnt once."""
        known = (method.name, seed, "".join(_digest_of(task) for task in tasks))
        if known not in self._learnt:
            self._learnt[known] = method.fit(tasks, seed=seed, progress=progress)
        return self._learnt[known]


@dataclass(frozen=True, slots=True)
class Once:
    """
    A method that does not learn again what it has learnt.

    Attributes:
        inner: The method.
        lessons: What was learnt.
    """

    inner: Method
    lessons: Lessons

    @property
    def name(self) -> str:
        """Of the method."""
        return self.inner.name

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> Fitted:
        """Learns, or remembers."""
        return self.lessons.of(self.inner, tasks, seed=seed, progress=progress)


def with_holes(series: Series, share: float) -> Series:
    """
    The series with so large a share of the measurements missing.

    A shorter piece of the same series, from its beginning, loses the same ones.
    """
    if not share:
        return series
    missing = holes(*series.values.shape[:2], share, seed=_HOLES_SEED)
    return replace(series, values=np.where(missing[..., None], np.float32(np.nan), series.values))


def evaluate(  # noqa: PLR0913 - a point, what it runs, what it may cost, where it keeps and tells
    point: Evaluation,
    names: Sequence[str],
    steps: Sequence[int],
    spending: Spending,
    *,
    recordings: Path,
    kept: Path,
    tell: Tell,
    lessons: Lessons | None = None,
    methods: Mapping[str, Entry] = METHODS,
) -> list[Outcome]:
    """
    Runs a point of an experiment: an outcome for each of its recordings.

    Args:
        point: Which.
        names: Of the methods; the simple ones are run as well.
        steps: Ahead that scores are about, rising.
        spending: What it may cost.
        recordings: Folder of the recordings.
        kept: Folder of finished runs; points that need the same run share it.
        tell: Is told what is being done, and how many runs of the recording are done.
        lessons: What points before this one learnt, none for nothing.
        methods: All there are, by name.
    """
    splitting = Splitting(point.window, point.horizon, test_origins=spending.origins)
    datasets = read_all([recordings / f"{name}.npz" for name in point.recordings])
    teachers = read_all([recordings / f"{name}.npz" for name in point.learnt_from]) if point.learnt_from else []
    simple = {name: entry for name, entry in methods.items() if entry.simple}
    lessons = lessons or Lessons()
    chosen = {name: _once(methods[name], lessons) for name in names}
    outcomes = []
    for dataset in datasets:
        others = [other for other in teachers if other.digest != dataset.digest]
        asked = {name: _taught(entry, others, splitting) for name, entry in chosen.items()} if others else chosen
        plan = Plan(
            splitting=splitting,
            methods={name: _holed(entry, point.holes) for name, entry in asked.items()},
            simple={name: _holed(entry, point.holes) for name, entry in simple.items()},
            seeds=spending.seeds,
            effort=spending.effort,
            reaches=reaches_of(steps),
        )
        outcomes.append(run(dataset, plan, Shelf(kept / _shelf(point, others)), tell))
    return outcomes


def _once(entry: Entry, lessons: Lessons) -> Entry:
    return entry if entry.simple else replace(entry, make=lambda effort: Once(entry.make(effort), lessons))


def _holed(entry: Entry, share: float) -> Entry:
    return replace(entry, make=lambda effort: Holed(entry.make(effort), share)) if share else entry


def _taught(entry: Entry, others: Sequence[Dataset], splitting: Splitting) -> Entry:
    """Simple methods of the names asked for learn where they forecast, as everywhere."""
    if entry.simple:
        return entry
    tasks = tuple(split(other.series, splitting).task for other in others)
    return replace(entry, make=lambda effort: Elsewhere(entry.make(effort), tasks))


def _digest_of(task: Task) -> str:
    series = task.series
    seen = hashlib.sha256(repr((task.window, task.horizon, task.training_steps, series.step_seconds)).encode())
    seen.update(repr((series.services, series.features)).encode())
    for array in (series.values, series.times, series.segments, series.calls, series.weights):
        seen.update(np.ascontiguousarray(array).tobytes())
    for origins in (task.training, task.validation):
        seen.update(np.ascontiguousarray(origins).tobytes())
    return seen.hexdigest()


def _shelf(point: Evaluation, others: Sequence[Dataset]) -> str:
    """Finished runs are told apart by what they saw; what is hidden from the runner's own bookkeeping is said here."""
    parts = ["runs"]
    if point.holes:
        parts.append(f"holes-{round(100 * point.holes)}-{_HOLES_SEED}")
    if others:
        digest = hashlib.sha256("".join(other.digest for other in others).encode()).hexdigest()
        parts.append(f"elsewhere-{digest[:12]}")
    return "-".join(parts)
