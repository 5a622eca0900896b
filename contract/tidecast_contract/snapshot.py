"""
A window of measurements over a service graph: what the predictor is given, and what its history is made of.

Shapes: `T` steps, `N` services, `F` features, `E` calls.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """
    Measurements of every service of a graph at T successive steps, and who calls whom.

    A missing measurement is NaN, never zero: a service that was silent and one that was not seen are different facts.

    Attributes:
        end_time: The time of the last step, unix seconds, a multiple of `step_seconds`. A measurement of the step
            at time t describes what happened in (t - step_seconds, t].
        step_seconds: The time between two steps.
        services: The nodes of the graph, unique; N of them.
        values: What was measured, float32 of shape (T, N, F), in the order and the units of `FEATURES`.
        calls: Who calls whom, int64 of shape (2, E): row 0 the callers, row 1 the callees, each pair at most once.
        rates: Requests per second along each call, the mean over the window, float32 of shape (E,), finite and >= 0.

    Raises:
        ValueError: If shapes or types disagree, a service stands twice, or a call names a service that is not here.
    """

    end_time: int
    step_seconds: int
    services: tuple[ServiceId, ...]
    values: NDArray[np.float32]
    calls: NDArray[np.int64]
    rates: NDArray[np.float32]

    def __post_init__(self) -> None:
        _check_time(self.end_time, self.step_seconds)
        _check_services(self.services)
        if self.values.dtype != np.float32 or self.values.ndim != 3:
            raise ValueError(f"values must be float32 of shape (T, N, F), not {_shape(self.values)}")
        if self.values.shape[1:] != (len(self.services), len(FEATURES)):
            raise ValueError(
                f"values of shape {self.values.shape} do not fit {len(self.services)} services "
                f"and {len(FEATURES)} features"
            )
        self._check_calls()

    def _check_calls(self) -> None:
        if self.calls.dtype != np.int64 or self.calls.ndim != 2 or self.calls.shape[0] != 2:
            raise ValueError(f"calls must be int64 of shape (2, E), not {_shape(self.calls)}")
        if self.rates.dtype != np.float32 or self.rates.shape != self.calls.shape[1:]:
            raise ValueError(f"rates must be float32 of shape ({self.calls.shape[1]},), not {_shape(self.rates)}")
        if self.calls.size == 0:
            return
        if self.calls.min() < 0 or self.calls.max() >= len(self.services):
            beyond = self.calls[(self.calls < 0) | (self.calls >= len(self.services))][0]
            raise ValueError(f"a call names service {beyond}, and there are {len(self.services)}, from 0 on")
        pairs = self.calls[0] * len(self.services) + self.calls[1]
        if np.unique(pairs).size != pairs.size:
            raise ValueError("a call stands twice; merge the rates of both")
        if not (np.isfinite(self.rates).all() and (self.rates >= 0).all()):
            raise ValueError("rates must be finite and not negative; leave out a call that was not seen")

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return int(self.values.shape[0])

    @property
    def start_time(self) -> int:
        """The time of the first step, unix seconds."""
        return self.end_time - (self.steps - 1) * self.step_seconds

    @property
    def times(self) -> NDArray[np.int64]:
        """The time of each step, unix seconds, int64 of shape (T,)."""
        return np.arange(self.steps, dtype=np.int64) * self.step_seconds + self.start_time


def _check_time(end_time: int, step_seconds: int) -> None:
    if step_seconds <= 0:
        raise ValueError(f"step_seconds must be positive, not {step_seconds}")
    if end_time % step_seconds:
        raise ValueError(f"end_time {end_time} is not a multiple of step_seconds {step_seconds}")


def _check_services(services: tuple[ServiceId, ...]) -> None:
    if len(set(services)) != len(services):
        counts = Counter(services)
        twice = next(service for service in services if counts[service] > 1)
        raise ValueError(f"service {twice} stands twice")


def _shape(array: NDArray[np.generic]) -> str:
    return f"{array.dtype} of shape {array.shape}"
