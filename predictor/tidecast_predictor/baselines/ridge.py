"""
Ridge autoregression: every step ahead is a linear function of the window, the same one for all services.

Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970. In closed form, on standardised
values; one regression for each feature and step ahead. With neighbours it is also given the windows of the weighted mean
of the callers and of that of the callees: what a graph tells a method that cannot learn more than sums.

Shapes: `R` rows, pairs of origin and service; `D` regressors, `F` features, `H` horizon steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.cutting import targets
from tidecast_predictor.baselines.method import Answer, CannotForecast, Progress, Series, Task
from tidecast_predictor.baselines.regressors import Regressors, Told
from tidecast_predictor.baselines.residuals import Residuals
from tidecast_predictor.baselines.standardising import Standard, Standards
from tidecast_predictor.config import DAY_SECONDS

PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""In rows: how many times the sum of all rows' squares a weight of 1 costs."""

SLACK = 1.005
"""
Of what does about as well on validation, within this factor, the plainest is taken: no clock, and a small penalty. A
validation part of a few calm hours prefers a heavy penalty, which a rush hour then pays for.
"""

_NUMBERS = 4_000_000  # regressors worked on at a time
_SQUARES = 16_000_000  # numbers in the normal equations that are solved at a time
_PRODUCTS = 2e11  # multiplications that the sums of one feature may take
_MOST_ROWS = 500_000
_VALIDATION_ROWS = 100_000
_FEWEST_DAYS = 2


@dataclass(frozen=True, slots=True)
class Ridge:
    """
    The method.

    Attributes:
        neighbours: Whether it is told of callers and callees.
        clock: Whether it is told the time of day, where the training part has two days or more.
    """

    neighbours: bool = False
    clock: bool = True

    @property
    def name(self) -> str:
        """As in tables."""
        return "ridge-neighbours" if self.neighbours else "ridge"

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> "FittedRidge":
        """
        Learn; the penalty of each feature, and whether it reads the clock, are chosen by squared error on validation.

        Without validation the plainest is taken. *seed* decides nothing.

        Raises:
            CannotForecast: If there is nothing to learn from.
        """
        del seed
        if not tasks or not all(len(task.training) for task in tasks):
            raise CannotForecast(f"{self.name} has no origin to learn from")
        standards = [Standard.of(task.series.values[: task.training_steps]) for task in tasks]
        seconds = min(task.training_steps * task.series.step_seconds for task in tasks)
        period = DAY_SECONDS if self.clock and seconds >= _FEWEST_DAYS * DAY_SECONDS else None
        told = Told(tasks[0].window, period, self.neighbours)
        lessons = [
            _Lesson(task, standard, Regressors.of(task.series, standard, told, steps=task.known_steps))
            for task, standard in zip(tasks, standards, strict=True)
        ]
        weights, errors = [], []
        features = len(tasks[0].series.features)
        for feature in range(features):
            best, error = _learn(lessons, feature)
            weights.append(best)
            errors.append(error)
            progress((feature + 1) / features)
        known = tuple((task.series, standard) for task, standard in zip(tasks, standards, strict=True))
        bands = Residuals.of(np.stack(errors, axis=1), centred=False)
        return FittedRidge(np.stack(weights), Standards(known), told, bands)


@dataclass(frozen=True, slots=True, eq=False)
class FittedRidge:
    """
    The regression, learnt. Its quantiles are its forecast and what it erred by on validation.

    Attributes:
        weights: float64 of shape (F, D, H).
        standards: How series are scaled.
        told: What it is told.
        residuals: Of validation.
    """

    weights: NDArray[np.float64]
    standards: Standards
    told: Told
    residuals: Residuals

    def forecast(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> Answer:
        """As of `Fitted`; a series it did not learn from is scaled by its own steps up to the first origin."""
        if (window, horizon) != (self.told.window, self.weights.shape[2]):
            raise CannotForecast(f"ridge learnt from {self.told.window} steps to say {self.weights.shape[2]} ahead")
        said = np.empty((len(origins), *series.values.shape[1:], horizon), dtype=np.float32)
        if not len(origins):
            return Answer(said, self.residuals.around(said, np.ones(said.shape[1:3], np.float32)))
        standard = self.standards.of(series, int(origins.min()))
        regressors = Regressors.of(series, standard, self.told, steps=int(origins.max()) + 1)
        for feature, weights in enumerate(self.weights):
            for part in _parts(len(origins), regressors):
                said[part, :, feature] = regressors.at(origins[part], feature) @ weights
        said *= standard.deviation[..., None]
        said += standard.mean[..., None]
        return Answer(said, self.residuals.around(said, standard.deviation))


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    task: Task
    standard: Standard
    regressors: Regressors

    def rows(
        self, origins: NDArray[np.int64], feature: int, most: int
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Regressors (R, D) and what came true (R, H), NaN where missing, of about *most* rows, evenly spread."""
        count = min(len(origins), max(1, most // self.regressors.filled.shape[1]))
        chosen = origins[np.linspace(0, len(origins) - 1, count).astype(np.int64)]
        series, steps, horizon = self.task.series, self.task.known_steps, self.task.horizon
        mean, deviation = (one[:, feature] for one in (self.standard.mean, self.standard.deviation))
        for part in _parts(count, self.regressors):
            own = series.values[:steps, :, feature, None]
            came = targets(own, series.segments[:steps], chosen[part], horizon)[..., 0]
            scaled = ((came - mean) / deviation).transpose(0, 2, 1).reshape(-1, horizon)
            yield (
                self.regressors.at(chosen[part], feature).reshape(-1, self.regressors.count),
                scaled.astype(np.float64),
            )


def _learn(lessons: Sequence[_Lesson], feature: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The weights (D, H) of a feature, and the errors (R, H) they make on validation."""
    groups = [_candidates(lessons, feature, steps) for steps in _steps(lessons[0])]
    candidates = [np.concatenate(of_steps, axis=1) for of_steps in zip(*groups, strict=True)]
    squares = np.zeros(len(candidates))
    for inputs, came in _validation(lessons, feature):
        for index, weights in enumerate(candidates):
            squares[index] += np.nansum((came - inputs @ weights) ** 2)
    best = candidates[int(np.flatnonzero(squares <= SLACK * squares.min())[0])]
    errors = [(came - inputs @ best).astype(np.float32) for inputs, came in _validation(lessons, feature)]
    return best, np.concatenate(errors) if errors else np.zeros((0, best.shape[1]), np.float32)


def _candidates(lessons: Sequence[_Lesson], feature: int, steps: slice) -> list[NDArray[np.float64]]:
    """The weights (D, H') of *steps*: for each penalty without the clock, then, if there is one, for each with it."""
    equations = _sums(lessons, feature, steps)
    clock, nothing = lessons[0].regressors.clock_columns, slice(0)
    left_out = (clock, nothing) if clock.stop > clock.start else (nothing,)
    return [weights for columns in left_out for weights in _solve(*equations, without=columns)]


def _steps(lesson: _Lesson) -> Iterator[slice]:
    """Groups along H whose normal equations bound the memory; usually one, as only a long window makes them large."""
    size = max(1, _SQUARES // lesson.regressors.count**2)
    for begin in range(0, lesson.task.horizon, size):
        yield slice(begin, min(begin + size, lesson.task.horizon))


def _validation(lessons: Sequence[_Lesson], feature: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The rows to validate on; made anew each time, as keeping them takes more memory than all else."""
    for lesson in lessons:
        if len(lesson.task.validation):
            yield from lesson.rows(lesson.task.validation, feature, _VALIDATION_ROWS // len(lessons))


def _sums(lessons: Sequence[_Lesson], feature: int, steps: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    The normal equations of some steps ahead, over the rows whose target was measured: (H', D, D) and (H', D), as means.
    """
    count, ahead = lessons[0].regressors.count, steps.stop - steps.start
    most = int(min(_MOST_ROWS, _PRODUCTS / (count**2 * lessons[0].task.horizon))) // len(lessons)
    squares = np.zeros((ahead, count, count))
    products = np.zeros((ahead, count))
    rows = np.zeros(ahead)
    for lesson in lessons:
        for inputs, came_of_all in lesson.rows(lesson.task.training, feature, most):
            came = came_of_all[:, steps]
            known = np.isfinite(came)
            products += np.nan_to_num(came).T @ inputs
            rows += known.sum(axis=0)
            complete = known.all(axis=1)
            squares += inputs[complete].T @ inputs[complete]
            partial, masks = inputs[~complete], known[~complete]
            for step in range(ahead):
                some = partial[masks[:, step]]
                squares[step] += some.T @ some
    rows = np.maximum(rows, 1)
    return squares / rows[:, None, None], products / rows[:, None]


def _solve(
    squares: NDArray[np.float64], products: NDArray[np.float64], *, without: slice
) -> Iterator[NDArray[np.float64]]:
    """The weights (D, H) for each penalty, 0 for the regressors *without*; that of the one is not penalised."""
    kept = np.delete(np.arange(squares.shape[1]), without)
    cost = np.ones(len(kept))
    cost[0] = 1e-9  # no more than keeps a feature that was never measured solvable
    for penalty in PENALTIES:
        weights = np.zeros(products.shape).T
        solved = np.linalg.solve(squares[:, kept[:, None], kept] + penalty * np.diag(cost), products[:, kept, None])
        weights[kept] = solved[..., 0].T
        yield weights


def _parts(count: int, regressors: Regressors) -> Iterator[slice]:
    """Slices of *count* origins that bound the memory."""
    size = max(1, _NUMBERS // (regressors.filled.shape[1] * regressors.count * regressors.filled.shape[2]))
    for begin in range(0, count, size):
        yield slice(begin, begin + size)
