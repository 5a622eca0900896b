"""
Measurements of past days on one grid of steps, and windows of them as the operator saw them then.

Shapes: `T` steps, `N` services, `F` features, `E` calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import CPU, REQUESTS, Feature, index_of
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """
    What was measured. Steps that nobody measured are there, with NaN.

    Attributes:
        name: What it is a recording of, for people.
        start_time: Of the first step, unix seconds, a multiple of the step.
        step_seconds: Between two steps.
        services: N of them.
        values: float32 of shape (T, N, F) in the order and the units of `FEATURES`; NaN where missing; may lie in a file.
        calls: Who calls whom, int64 of shape (2, E).
        rates: Requests per second along each call, float32 of shape (E,).
        about: What it says of itself, such as whether the load is real; empty if nothing.
    """

    name: str
    start_time: int
    step_seconds: int
    services: tuple[ServiceId, ...]
    values: NDArray[np.float32]
    calls: NDArray[np.int64]
    rates: NDArray[np.float32]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.values)

    @property
    def end_time(self) -> int:
        """Of the last step, unix seconds."""
        return self.time_of(self.steps - 1)

    def time_of(self, step: int) -> int:
        """When a step ends, unix seconds."""
        return self.start_time + step * self.step_seconds

    def step_at(self, time: int) -> int:
        """The first step that ends at *time* or later, which may lie outside."""
        return -(-(time - self.start_time) // self.step_seconds)

    def leading(self) -> Feature:
        """What tells that a service was measured at all: its requests, or its CPU where requests were never recorded."""
        return REQUESTS if np.isfinite(self.values[:, :, index_of(REQUESTS)]).any() else CPU

    def is_measured(self) -> NDArray[np.bool_]:
        """At which steps any service was, as `leading` tells, of shape (T,)."""
        return np.asarray(np.isfinite(self.values[:, :, index_of(self.leading())]).any(axis=1))

    def window(self, step: int, steps: int) -> Snapshot:
        """At most *steps* steps up to *step*, and nothing later."""
        return self.snapshot(max(0, step - steps + 1), step + 1)

    def snapshot(self, begin: int, end: int) -> Snapshot:
        """The steps from *begin* up to, not including, *end*."""
        values = np.ascontiguousarray(self.values[begin:end])
        return Snapshot(self.time_of(end - 1), self.step_seconds, self.services, values, self.calls, self.rates)
