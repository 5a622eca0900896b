"""
One day of history: its services, their values and the calls that were seen, in a folder or in memory.

The values are a memory-mapped array of raw float32, so that a day of many services costs address space, not memory.
Everything else is JSON or npz, written beside and renamed into place.
"""

import io
import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FEATURES, REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot

FORMAT = 1
_VALUES, _SERVICES, _STATE = "values.f32", "services.json", "state.npz"

Graph = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Calls, as callers and callees, and the rate of each."""

_DAMAGE = (FileNotFoundError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, BadZipFile)
"""
What reading a file raises that is gone or holds something else. No other OSError: a disk that hiccups, too many open files
or too little memory pass.
"""


class DayDamaged(Exception):
    """A day's folder does not hold what it says; the text says what is wrong."""


class OtherFormat(Exception):
    """A day was written by a release that keeps days in another way; the text names both formats."""


@dataclass(slots=True)
class Day:
    """
    The steps of one day.

    Attributes:
        directory: Its folder; None keeps it in memory.
        start_time: The time of row 0, unix seconds.
        step_seconds: The time between two rows.
        values: float32 of shape (rows, capacity, F), NaN where nothing was measured.
        columns: The column of each service.
        first_row: The first row that was written; -1 before.
        last_row: The last one.
        measured: Of each row, whether requests of anybody were measured in it.
        calls: All that were seen, as columns, int64 of shape (2, E).
        rates: Of each when it was seen last, float32 of shape (E,).
    """

    directory: Path | None
    start_time: int
    step_seconds: int
    values: NDArray[np.float32]
    columns: dict[ServiceId, int] = field(default_factory=dict)
    first_row: int = -1
    last_row: int = -1
    measured: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    calls: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    rates: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    @classmethod
    def create(cls, directory: Path | None, start_time: int, step_seconds: int, rows: int, services: int) -> Self:
        """An empty day with room for some more than *services*."""
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        values = _allocate(directory, rows, services)
        return cls(directory, start_time, step_seconds, values, measured=np.zeros(rows, np.bool_))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """
        The day kept in *directory*.

        Calls of services that it does not know are left out.

        Raises:
            DayDamaged: If a file is missing, makes no sense or does not fit the others.
            OtherFormat: If it was written in another format.
            OSError: If it cannot be read at present, which says nothing about what it holds.
        """
        try:
            # Read as a whole first: a damaged archive sends its reader to places where no file can be read either.
            with np.load(io.BytesIO((directory / _STATE).read_bytes()), allow_pickle=False) as state:
                numbers = state["numbers"]
                if numbers[0] != FORMAT:  # the rest may look like anything
                    raise OtherFormat(f"its format is {numbers[0]}, and this release reads {FORMAT}")
                calls, rates = state["calls"], state["rates"]
                measured = state["measured"] if "measured" in state else np.zeros(0, np.bool_)
            _, start_time, step_seconds, rows, first_row, last_row = (int(number) for number in numbers)
            services = [ServiceId.parse(text) for text in json.loads((directory / _SERVICES).read_text())]
            flat = np.memmap(directory / _VALUES, dtype=np.float32, mode="r+")
            values = flat.reshape(rows, -1, len(FEATURES))
            known = ((calls >= 0) & (calls < len(services))).all(axis=0)
            calls, rates = calls[:, known], rates[known]
        except _DAMAGE as error:
            raise DayDamaged(str(error)) from error
        if len(services) > values.shape[1]:
            raise DayDamaged(f"{len(services)} services do not fit values of shape {values.shape}")
        if not measured.size:  # an earlier release did not tell
            measured = measured_in(values[:, : len(services)])
        if measured.shape != (rows,) or measured.dtype != np.bool_:
            raise DayDamaged(f"what is told of {measured.shape} rows does not fit {rows} of them")
        columns = {service: column for column, service in enumerate(services)}
        return cls(directory, start_time, step_seconds, values, columns, first_row, last_row, measured, calls, rates)

    @property
    def first_time(self) -> int:
        """The time of the first row that was written, unix seconds."""
        return self.start_time + self.first_row * self.step_seconds

    @property
    def last_time(self) -> int:
        """The time of the last row that was written, unix seconds."""
        return self.start_time + self.last_row * self.step_seconds

    def write(self, rows: slice, snapshot: Snapshot, steps: slice) -> None:
        """Put *steps* of *snapshot* into *rows*; of calls that were seen in later rows the rate stays."""
        columns = self._columns_of(snapshot.services)
        self.values[rows, columns] = snapshot.values[steps]
        self.measured[rows] |= measured_in(snapshot.values[steps])
        seen = [(columns[snapshot.calls], snapshot.rates), (self.calls, self.rates)]
        self.calls, self.rates = merged(seen if rows.stop - 1 >= self.last_row else seen[::-1])
        self.first_row = rows.start if self.first_row < 0 else min(self.first_row, rows.start)
        self.last_row = max(self.last_row, rows.stop - 1)
        self._save_state()

    def read_into(
        self,
        target: NDArray[np.float32],
        positions: NDArray[np.int64],
        rows: NDArray[np.int64],
        services: Sequence[ServiceId],
    ) -> None:
        """Copy *rows* to *positions* of *target* (len, N, F); what is not held stays as it is."""
        found = np.fromiter((self.columns.get(service, -1) for service in services), np.int64, len(services))
        present = np.flatnonzero(found >= 0)
        target[np.ix_(positions, present)] = self.values[np.ix_(rows, found[present])]

    def graph_of(self, services: Sequence[ServiceId]) -> Graph:
        """The calls that were seen among *services*, as positions in *services*."""
        position = np.full(len(self.columns), -1, dtype=np.int64)
        for index, service in enumerate(services):
            if service in self.columns:
                position[self.columns[service]] = index
        calls = position[self.calls]
        kept = (calls >= 0).all(axis=0)
        return calls[:, kept], self.rates[kept]

    def remove(self) -> None:
        """Forget this day for good."""
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _columns_of(self, services: Sequence[ServiceId]) -> NDArray[np.int64]:
        unknown = [service for service in services if service not in self.columns]
        if unknown:
            needed = len(self.columns) + len(unknown)
            if needed > self.values.shape[1]:
                self.values = _allocate(self.directory, self.values.shape[0], needed, older=self.values)
            columns = self.columns | {service: len(self.columns) + index for index, service in enumerate(unknown)}
            self._save_services(columns)
            self.columns = columns  # not before they are saved: a state that names more of them makes no sense
        return np.fromiter((self.columns[service] for service in services), np.int64, len(services))

    def _save_services(self, columns: Iterable[ServiceId]) -> None:
        if self.directory is not None:
            beside = self.directory / f"{_SERVICES}.new"
            beside.write_text(json.dumps([str(service) for service in columns]))
            beside.replace(self.directory / _SERVICES)

    def _save_state(self) -> None:
        if self.directory is None:
            return
        numbers = [FORMAT, self.start_time, self.step_seconds, len(self.values), self.first_row, self.last_row]
        beside = self.directory / f"{_STATE}.new"
        with beside.open("wb") as file:
            told = np.array(numbers, np.int64)
            np.savez(file, numbers=told, measured=self.measured, calls=self.calls, rates=self.rates)
        beside.replace(self.directory / _STATE)


def merged(graphs: Sequence[Graph]) -> Graph:
    """All calls of some graphs, (2, E) and (E,), each with the rate of the first that has it."""
    calls = np.concatenate([calls for calls, _ in graphs], axis=1)
    rates = np.concatenate([rates for _, rates in graphs])
    # Numbers are sorted much faster than pairs, and this is done at every step.
    _, first = np.unique(calls[0] * (calls.max(initial=0) + 1) + calls[1], return_index=True)
    first.sort()
    return calls[:, first], rates[first]


def measured_in(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Of each step of (T, N, F), whether requests of anybody were measured: what else there is tells nothing of load."""
    measured: NDArray[np.bool_] = np.any(np.isfinite(values[..., index_of(REQUESTS)]), axis=1)
    return measured


def _allocate(
    directory: Path | None, rows: int, services: int, *, older: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Values with room for some more than *services*: *older* ones first, else NaN. In *directory* they replace it."""
    shape = (rows, services + services // 8 + 8, len(FEATURES))
    beside = None if directory is None else directory / f"{_VALUES}.new"
    if beside is None:
        values = np.empty(shape, np.float32)
    else:
        _reserve(beside, 4 * math.prod(shape))
        values = np.memmap(beside, np.float32, mode="r+", shape=shape)
    held = 0 if older is None else older.shape[1]
    values[:, held:] = np.nan
    if older is not None:
        values[:, :held] = older
    if beside is not None and directory is not None:
        beside.replace(directory / _VALUES)  # the map follows its file
    return values


def _reserve(path: Path, size: int) -> None:
    """Make *path* a file of *size* bytes that the disk has room for: a map that runs out of disk ends the process."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
