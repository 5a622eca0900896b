"""
The GCN-GRU as one method among others, and its ablations.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_predictor.baselines.method import QUANTILES, Answer, CannotForecast, Fitted, Progress, Series, Task
from tidecast_predictor.batch import RECENT_STEPS, Material, assemble
from tidecast_predictor.calibrating import HeldOut, calibrate
from tidecast_predictor.config import Architecture
from tidecast_predictor.conformal import moved, stretch_online
from tidecast_predictor.evaluation.grid import Layout, lay_out, recorded_on, scales_for
from tidecast_predictor.evaluation.splits import thinned
from tidecast_predictor.fitting import periods_told_by
from tidecast_predictor.learning import Learner, loss_of, solve_line
from tidecast_predictor.model import GcnGru
from tidecast_predictor.predicting import on_scale, rescale
from tidecast_predictor.recording import Recording
from tidecast_predictor.sampling import Lesson, Sampler
from tidecast_predictor.scaling import Pool, Reference, Scale, tensor_to_units
from tidecast_predictor.scores import spread
from tidecast_predictor.track_record import beside, mix_online, simple_forecasts

Rewire = Callable[[NDArray[np.int64], int], NDArray[np.int64]]
"""Calls and a seed to other calls."""

_JUDGED_ORIGINS = 64
_CALIBRATED_ORIGINS = 512
_ROWS_AT_ONCE = 4096
_ORIGINS_BEFORE = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """
    How ours learns, the same on every recording.

    Attributes:
        updates: Optimiser steps.
        seconds: Processor time; a training that will not make it is shortened.
        rows: (sample, service) pairs an optimiser step looks at.
        hidden: Units of the recurrent state.
    """

    updates: int = 1500
    seconds: float = 600.0
    rows: int = 128
    hidden: int = 64


@dataclass(frozen=True, slots=True)
class GcnGruMethod:
    """
    The predictor's own model, learning from explicit splits.

    Attributes:
        name: In tables.
        settings: How it learns.
        rewire: What it takes for the graph instead of the recorded one; an ablation.
        recurrent: False leaves the GRU out; an ablation.
        timed: False leaves the clock and the days before out; an ablation.
        online: Whether forecasts are corrected by what came true meanwhile; False is an ablation.
    """

    name: str = "gcn-gru"
    settings: Settings = field(default_factory=Settings)
    rewire: Rewire | None = None
    recurrent: bool = True
    timed: bool = True
    online: bool = True

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> Fitted:
        """Learn from *tasks*; on their validation origins the state is chosen and the quantiles are calibrated."""
        torch.manual_seed(seed)
        first = tasks[0]
        architecture = Architecture(
            step_seconds=max(1, round(first.series.step_seconds)),
            window_steps=first.window,
            horizon_steps=first.horizon,
            periods=periods_told_by(first.training_steps * first.series.step_seconds) if self.timed else (),
            hidden=self.settings.hidden,
            quantiles=QUANTILES,
            features=len(first.series.features),
            forecast_features=len(first.series.features),
            recurrent=self.recurrent,
            seasonal=self.timed,
        )
        scales = scales_for(first.series, first.training_steps)
        courses = [Course.of(self.seen(task.series, seed), architecture, scales) for task in tasks]
        lessons = [course.lesson(task) for course, task in zip(courses, tasks, strict=True)]
        judge = _Judge(courses, lessons, [task.validation for task in tasks])
        deadline = time.process_time() + self.settings.seconds
        model, sampler = GcnGru(architecture), Sampler(lessons, architecture, rows=self.settings.rows, seed=seed)
        solve_line(model, sampler)
        learner = Learner(model, sampler, judge.error)
        learner.run(self.settings.updates, progress, deadline=deadline, clock=time.process_time)
        model = learner.best.eval()
        calibrate(model, judge.held_out())
        return _FittedGcnGru(self, model, scales, _shared(lessons), seed)

    def seen(self, series: Series, seed: int) -> Series:
        """The series as this method is shown them: an ablation of the graph gets other calls."""
        if self.rewire is None:
            return series
        calls = self.rewire(series.calls, seed)
        return replace(series, calls=calls, weights=series.weights[: calls.shape[1]])


@dataclass(frozen=True, slots=True, eq=False)
class _FittedGcnGru:
    """The model after learning; knows no single service, so any series with the same features will do."""

    method: GcnGruMethod
    model: GcnGru
    scales: tuple[Scale, ...]
    pool: Pool
    seed: int

    def forecast(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> Answer:
        """Forecast at *origins*; how services usually behave is taken from the steps before the first of them."""
        architecture = self.model.architecture
        if horizon != architecture.horizon_steps or window != architecture.window_steps:
            raise CannotForecast(
                f"it learnt to look back {architecture.window_steps} and ahead {architecture.horizon_steps} steps, "
                f"not {window} and {horizon}"
            )
        course = Course.of(self.method.seen(series, self.seed), architecture, self.scales)
        reference = course.reference(int(origins.min()) + 1, self.pool)
        asked = len(origins)
        if self.method.online:
            origins = np.concatenate([_before(int(origins[0]), horizon), origins])
        scaled, means, simple = [], [], []
        for material in course.materials(origins, reference):
            with torch.inference_mode():
                batch = assemble(material, architecture).to(self.model.device)
                answer = self.model(batch)
                scaled.append(_by_origin(on_scale(self.model, answer, batch)))
                means.append(_by_origin(rescale(answer.mean_NBPFH[..., None], batch)[..., 0]))
            simple.append(
                simple_forecasts(material.z_BTNA[:, -RECENT_STEPS:].transpose(1, 2).numpy(), reference.median)
            )
        quantiles, mean = np.concatenate(scaled), self._in_units(np.concatenate(means))
        if self.method.online:
            steps, truth = course.layout.positions[origins], course.truth(origins)
            median, weighed = quantiles[..., QUANTILES.index(0.5)], np.concatenate(simple)
            by = mix_online(beside(median, weighed), truth, steps, squared=False) - median
            quantiles = stretch_online(moved(quantiles, by, QUANTILES), truth, QUANTILES, steps)
            # What is usual is a median; under squared error a series that is mostly low is best called by its mean.
            usual_mean = np.broadcast_to((reference.median + reference.skew)[..., None], (*weighed.shape[:-1], 1))
            weighed = self._in_units(np.concatenate([weighed, usual_mean], axis=-1))
            mean = mix_online(beside(mean, weighed), self._in_units(truth), steps, squared=True)
        values = np.maximum.accumulate(self._in_units(quantiles), axis=-1)
        return Answer(mean[-asked:], values[-asked:])

    def _in_units(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """From the model's scale, (S, N, F, ...)."""
        return tensor_to_units(torch.from_numpy(values), self.scales, dim=2).numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """
    Series as the model reads them.

    Attributes:
        series: In units.
        layout: Where its steps lie on the recording's grid.
        recording: On the model's scale.
        architecture: Of the model.
        scales: Between the two.
    """

    series: Series
    layout: Layout
    recording: Recording
    architecture: Architecture
    scales: tuple[Scale, ...]

    @classmethod
    def of(cls, series: Series, architecture: Architecture, scales: tuple[Scale, ...]) -> "Course":
        """The course of *series*."""
        layout = lay_out(series, apart=architecture.window_steps + architecture.horizon_steps + 1)
        return cls(series, layout, recorded_on(series, layout, scales), architecture, scales)

    def reference(self, steps: int, pool: Pool | None = None) -> Reference:
        """How each service behaved in the first *steps* steps of the series."""
        moments = self.layout.positions[: max(1, steps)]
        horizon = self.architecture.horizon_steps
        return self.recording.reference(int(moments[-1]) + 1, horizon, pool=pool, moments=moments)

    def lesson(self, task: Task) -> Lesson:
        """What is learnt from."""
        moments = self.layout.positions[: task.training_steps]
        steps = int(moments[-1]) + 1
        spreads = spread(task.series.values[: task.training_steps])
        pauses = None if steps == len(moments) else moments
        return Lesson(self.recording, self.reference(task.training_steps), steps, self.scales, spreads, pauses)

    def materials(self, origins: NDArray[np.int64], reference: Reference) -> Iterator[Material]:
        """The windows that end at *origins*, some at a time."""
        steps = self.architecture.window_steps
        size = max(1, _ROWS_AT_ONCE // max(1, len(self.series.services)))
        for begin in range(0, len(origins), size):
            starts = torch.from_numpy(self.layout.positions[origins[begin : begin + size]]) - steps + 1
            yield self.recording.material(
                starts,
                torch.full((len(starts), 1), steps - 1),
                reference=reference,
                steps=steps,
                architecture=self.architecture,
            )

    def truth(self, origins: NDArray[np.int64]) -> NDArray[np.float32]:
        """What came true after *origins*, on the model's scale, (S, N, F, H)."""
        bases = torch.from_numpy(self.layout.positions[origins])[:, None]
        return _by_origin(self.recording.targets(bases, self.architecture))


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Says on the validation origins how good a model is."""

    courses: Sequence[Course]
    lessons: Sequence[Lesson]
    origins: Sequence[NDArray[np.int64]]

    def error(self, model: GcnGru) -> float | None:
        """The loss that is learnt by; the mean over courses. None where nothing came true."""
        errors, is_known = [], False
        for course, lesson, origins in zip(self.courses, self.lessons, self.origins, strict=True):
            for material in course.materials(thinned(origins, _JUDGED_ORIGINS), lesson.reference):
                with torch.inference_mode():
                    batch = assemble(material, course.architecture).to(model.device)
                    came = course.recording.came_after(material, course.architecture).to(model.device)
                    is_known |= bool(torch.isfinite(came).any())
                    errors.append(float(loss_of(model, batch, came, lesson)))
        return float(np.mean(errors)) if is_known else None

    def held_out(self) -> list[HeldOut]:
        """The moments as a model is calibrated on them."""
        return [
            HeldOut(_with_targets(course, origins, lesson.reference), course.scales, lesson.spread_NF)
            for course, lesson, origins in zip(self.courses, self.lessons, self.origins, strict=True)
        ]


def _before(first: int, horizon: int) -> NDArray[np.int64]:
    """Origins before the *first*, rising, whose forecasts are not asked for: what came true of them corrects the others."""
    apart = max(1, horizon // 4)
    count = min(_ORIGINS_BEFORE, first // apart)
    return first - apart * np.arange(count, 0, -1)


def _with_targets(
    course: Course, origins: NDArray[np.int64], reference: Reference
) -> Iterator[tuple[Material, Tensor]]:
    for material in course.materials(thinned(origins, _CALIBRATED_ORIGINS), reference):
        yield material, course.recording.came_after(material, course.architecture)


def _by_origin(values_NBPX: Tensor) -> NDArray[np.float32]:
    """From (N, S, 1, ...) to (S, N, ...)."""
    return values_NBPX[:, :, 0].transpose(0, 1).cpu().numpy()


def _shared(lessons: Sequence[Lesson]) -> Pool:
    """What is usual among the services of all lessons."""
    pools = [lesson.reference.pool for lesson in lessons]
    return Pool(
        np.mean([pool.spread for pool in pools], axis=0, dtype=np.float32),
        np.mean([pool.change for pool in pools], axis=0, dtype=np.float32),
    )
