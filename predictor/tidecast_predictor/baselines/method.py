"""
What every method does that is measured against others: it learns from tasks, then it answers at origins.

Shapes: `T` steps, `N` services, `F` features, `H` horizon steps, `S` origins, `Q` quantiles, `E` calls.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[float], None]
"""Is told how much of the work is done, in [0, 1]."""

QUANTILES = (0.1, 0.5, 0.9)


class CannotForecast(Exception):
    """A method cannot do what was asked, by its nature; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """
    What was recorded, in the units it was recorded in.

    Attributes:
        values: float32 of shape (T, N, F); NaN where missing.
        times: Of the steps, unix seconds, int64 of shape (T,).
        step_seconds: Between two steps.
        segments: int32 of shape (T,); no window and no target crosses from one to another.
        calls: Callers and callees, positions along N, int64 of shape (2, E).
        weights: Of the calls, float32 of shape (E,), positive.
        services: Their names, N of them.
        features: Their names, F of them: rps, p50_ms, error_rate, cpu, mem, speed ...
    """

    values: NDArray[np.float32]
    times: NDArray[np.int64]
    step_seconds: float
    segments: NDArray[np.int32]
    calls: NDArray[np.int64]
    weights: NDArray[np.float32]
    services: tuple[str, ...]
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """
    Series, and the origins a method may learn from and choose its state by.

    A forecast at an origin may use every step up to and including it; `window` is what a network looks back on.
    What lies after `known_steps` is not there for `fit`: not for scaling, not for anything.

    Attributes:
        series: The recording, all of it.
        window: Steps that a network looks back on.
        horizon: Steps ahead that are forecast.
        training: Origins whose targets all lie in the training part, int64, rising.
        validation: Origins for the choice of epoch and of settings, after a gap.
        training_steps: The training part is the steps before this one.
        known_steps: Training and validation part are the steps before this one.
    """

    series: Series
    window: int
    horizon: int
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    training_steps: int
    known_steps: int


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """
    Forecasts at S origins, in the units of the series.

    Attributes:
        mean: What is best under squared error, float32 of shape (S, N, F, H); NaN where a method cannot say.
        quantiles: `QUANTILES`, of shape (S, N, F, H, Q), not falling along Q; NaN of a feature whose band is not known. None
            if the method has none at all, and then `mean` stands for the median too.
    """

    mean: NDArray[np.float32]
    quantiles: NDArray[np.float32] | None = None

    @property
    def median(self) -> NDArray[np.float32]:
        """What is best under absolute error, (S, N, F, H)."""
        return self.mean if self.quantiles is None else self.quantiles[..., QUANTILES.index(0.5)]


class Fitted(Protocol):
    """A method that has learnt."""

    def forecast(self, series: Series, origins: NDArray[np.int64], *, window: int, horizon: int) -> Answer:
        """
        Forecast at *origins*, from nothing that was measured after each of them.

        Raises:
            CannotForecast: If the series are others than those it learnt from and it holds weights of single services.
        """


class Method(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str:
        """As on the command line and in tables: lower case, with dashes."""

    def fit(self, tasks: Sequence[Task], *, seed: int, progress: Progress) -> Fitted:
        """
        Learn from *tasks*: usually one; several, with the same features, window, horizon and step, for unseen graphs.

        Raises:
            CannotForecast: If there are several tasks and it holds weights of single services.
        """
