"""
Prometheus' answers as arrays on a grid of steps. Pure; knows no metric and no HTTP.

Shapes: `P` points of an answer, `T` steps, `S` series.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 11_000
"""More steps than this Prometheus refuses to answer at once."""


@dataclass(frozen=True, slots=True)
class Grid:
    """
    Successive steps of time.

    Attributes:
        start_time: The first step, unix seconds, a multiple of `step_seconds`.
        end_time: The last step, unix seconds.
        step_seconds: The time between two steps.

    Raises:
        ValueError: If the times do not lie on the grid, or the end lies before the start.
    """

    start_time: int
    end_time: int
    step_seconds: int

    def __post_init__(self) -> None:
        if self.step_seconds <= 0:
            raise ValueError(f"step_seconds must be positive, not {self.step_seconds}")
        if self.start_time % self.step_seconds or self.end_time % self.step_seconds:
            raise ValueError(
                f"start_time {self.start_time} and end_time {self.end_time} "
                f"must be multiples of step_seconds {self.step_seconds}"
            )
        if self.end_time < self.start_time:
            raise ValueError(f"end_time {self.end_time} lies before start_time {self.start_time}")

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return (self.end_time - self.start_time) // self.step_seconds + 1

    def first(self, steps: int) -> "Grid":
        """The first *steps* steps, or all if there are fewer."""
        end_time = min(self.end_time, self.start_time + (steps - 1) * self.step_seconds)
        return Grid(self.start_time, end_time, self.step_seconds)

    def after(self, other: "Grid") -> "Grid | None":
        """What is left of this grid after the end of *other*; None if nothing is."""
        start_time = other.end_time + self.step_seconds
        return Grid(start_time, self.end_time, self.step_seconds) if start_time <= self.end_time else None


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """
    The points of an answer, one series after the other.

    Attributes:
        labels: S of them.
        series: Which series each point belongs to, int64 of shape (P,).
        times: Unix seconds, float64 of shape (P,).
        values: float64 of shape (P,).
    """

    labels: tuple[Mapping[str, str], ...]
    series: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """
    Series on a grid.

    Attributes:
        labels: S of them, each once.
        values: float64 of shape (T, S); NaN where there was no point, or one that is no number.
    """

    labels: tuple[Mapping[str, str], ...]
    values: NDArray[np.float64]

    def scaled(self, factor: float) -> "Table":
        """The same in another unit."""
        return self if factor == 1 else Table(self.labels, self.values * factor)


def parse(result: Sequence[Mapping[str, Any]]) -> Samples:
    """
    The `result` of an answer, a vector or a matrix, as arrays; `values` may be one already, as `decode` makes it.

    A point that is a native histogram is left out: no query of ours asks for one.
    """
    points = [_points(each) for each in result]
    together = np.concatenate([np.empty((0, 2)), *points])
    return Samples(
        labels=tuple(each["metric"] for each in result),
        series=np.repeat(np.arange(len(points), dtype=np.int64), [len(own) for own in points]),
        times=together[:, 0],
        values=together[:, 1],
    )


def _points(result: Mapping[str, Any]) -> NDArray[np.float64]:
    if "values" in result and isinstance(result["values"], np.ndarray):
        return result["values"]
    points = result["values"] if "values" in result else [result["value"]] if "value" in result else []
    return np.array([(time, float(text)) for time, text in points], dtype=np.float64).reshape(-1, 2)


def align(samples: Samples, grid: Grid) -> Table:
    """
    The samples on the grid. An infinite value is no measurement, and a point between two steps belongs to neither.
    """
    values = np.full((grid.steps, len(samples.labels)), np.nan)
    position = (samples.times - grid.start_time) / grid.step_seconds
    step = np.rint(position).astype(np.int64)
    on_grid = (np.abs(position - step) < 1e-6) & (step >= 0) & (step < grid.steps) & np.isfinite(samples.values)
    values[step[on_grid], samples.series[on_grid]] = samples.values[on_grid]
    return Table(samples.labels, values)


def stack(tables: Iterable[Table]) -> Table:
    """
    Tables of successive times as one, over the series of all; a series that a table lacks is NaN there.
    """
    tables = tuple(tables)
    if len(tables) == 1:
        return tables[0]
    columns: dict[frozenset[tuple[str, str]], int] = {}
    labels: list[Mapping[str, str]] = []
    places = []
    for table in tables:
        places.append(np.zeros(len(table.labels), dtype=np.int64))
        for index, each in enumerate(table.labels):
            places[-1][index] = columns.setdefault(frozenset(each.items()), len(columns))
            if len(columns) > len(labels):
                labels.append(each)
    values = np.full((sum(len(table.values) for table in tables), len(labels)), np.nan)
    row = 0
    for table, place in zip(tables, places, strict=True):
        values[row : row + len(table.values), place] = table.values
        row += len(table.values)
    return Table(tuple(labels), values)
