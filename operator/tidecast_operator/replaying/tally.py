"""
What is counted of one way to scale, and what is drawn of it.

Shapes: `N` workloads, `C` columns of a picture.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tidecast_operator.replaying.autoscaler import Counts, Loads, Pods

COLUMNS = 1000
"""A picture has no more: of the steps in one the highest load and the lowest capacity are kept."""

_ROUNDING = 1e-6  # of the capacity
_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """
    Sums for each workload, over the time in which its load was measured; float64 of shape (N,).

    Attributes:
        per_replica: What one ready replica carries.
        measured_seconds: For how long the load was measured.
        short_seconds: For how long it was more than the ready replicas carry.
        replica_seconds: Of all replicas, those that were starting included.
        changes: How often the number of replicas was changed.
        worst: The most that the load exceeded the capacity by, as a share of the capacity; 0 for never.
    """

    per_replica: _Array
    measured_seconds: _Array = field(init=False)
    short_seconds: _Array = field(init=False)
    replica_seconds: _Array = field(init=False)
    changes: _Array = field(init=False)
    worst: _Array = field(init=False)

    def __post_init__(self) -> None:
        for name in ("measured_seconds", "short_seconds", "replica_seconds", "changes", "worst"):
            object.__setattr__(self, name, np.zeros_like(self.per_replica))

    def add(self, load: Loads, pods: Pods, *, changed: NDArray[np.bool_], seconds: float) -> None:
        """
        Counts a stretch of time.

        Args:
            load: What there was to carry; NaN where it was not measured.
            pods: Those there were.
            changed: Where the number of replicas was changed at its beginning.
            seconds: How long it was.
        """
        measured = np.isfinite(load)
        capacity = pods.ready * self.per_replica
        excess = np.where(measured, load / np.maximum(capacity, self.per_replica * 1e-3) - 1, 0)
        is_short = excess > _ROUNDING
        self.measured_seconds[measured] += seconds
        self.short_seconds[is_short] += seconds
        self.replica_seconds[measured] += seconds * pods.replicas[measured]
        self.changes[measured & changed] += 1
        np.maximum(self.worst, np.where(is_short, excess, 0), out=self.worst)


class Trace:
    """
    What is drawn of all workloads over time, float32 of shape (N, C) each; NaN where there is nothing.

    Args:
        per_replica: What one ready replica of each workload carries.
        steps: How many steps are drawn.
        scalings: The names of the ways to scale.
    """

    def __init__(self, per_replica: _Array, steps: int, scalings: tuple[str, ...]) -> None:
        self.steps, self.carried = steps, per_replica
        self.columns = min(COLUMNS, steps)
        shape = (len(per_replica), self.columns)
        self.load = np.full(shape, np.nan, np.float32)
        self.low, self.high = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        self.trusted = np.ones(shape, np.bool_)
        self.ready = {name: np.full(shape, np.nan, np.float32) for name in scalings}

    def measured(self, step: int, load: NDArray[np.float32], trusted: NDArray[np.bool_]) -> None:
        """The load of a step, counted from the first that is drawn, and whether hints were trusted."""
        column = self._column(step)
        self.load[:, column] = np.fmax(self.load[:, column], load)
        self.trusted[:, column] &= trusted

    def scaled(self, step: int, name: str, ready: Counts) -> None:
        """The ready replicas in a step."""
        held = self.ready[name][:, self._column(step)]
        self.ready[name][:, self._column(step)] = np.fmin(held, ready)

    def forecast(self, steps: NDArray[np.int64], band: NDArray[np.float32]) -> None:
        """A band of each workload, (2, N), and the step it speaks of, (N,); those outside are left out."""
        rows = np.flatnonzero((steps >= 0) & (steps < self.steps))
        columns = steps[rows] * self.columns // self.steps
        self.low[rows, columns] = np.fmin(self.low[rows, columns], band[0, rows])
        self.high[rows, columns] = np.fmax(self.high[rows, columns], band[1, rows])

    def _column(self, step: int) -> int:
        return step * self.columns // self.steps
