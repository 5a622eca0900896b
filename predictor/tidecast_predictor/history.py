"""
The history of snapshots that training learns from and that seasonal inputs look into.

Days of steps, each a folder of its own with its services, its values as a memory-mapped array and the last graph seen
in it, so that forgetting is removing a folder and a service that is gone takes its columns along.
"""

import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus
from tidecast_predictor.config import DAY_SECONDS
from tidecast_predictor.day import Day, DayDamaged

logger = logging.getLogger(__name__)

_READ_STEPS = 360


class History:
    """
    Every step that was measured within the last `limit_seconds`. Safe to use from several threads.

    Args:
        directory: Where it is kept, so that it survives a restart; None keeps it in memory.
        limit_seconds: Older steps are forgotten, a day at a time.

    Raises:
        ValueError: If *limit_seconds* is not positive.
    """

    def __init__(self, directory: Path | None, *, limit_seconds: int) -> None:
        if limit_seconds <= 0:
            raise ValueError(f"limit_seconds must be positive, not {limit_seconds}")
        self._directory = directory
        self._limit_seconds = limit_seconds
        self._lock = threading.RLock()
        self._step_seconds = 0
        self._days: dict[int, Day] = {}
        self._service_count: int | None = 0
        if directory is not None:
            self._load(directory)

    def append(self, snapshot: Snapshot) -> None:
        """
        Take in the steps of *snapshot*; steps that are held already are overwritten for its services.

        Unknown services are added. Steps between what is held and *snapshot* stay missing (NaN). A snapshot with
        other `step_seconds` starts the history anew; steps beyond the limit are ignored.
        """
        if not snapshot.steps:
            return
        with self._lock:
            if self._step_seconds not in (0, snapshot.step_seconds):
                logger.warning(
                    "history starts anew: steps of %d s instead of %d s", snapshot.step_seconds, self._step_seconds
                )
                self._clear()
            self._step_seconds = snapshot.step_seconds
            oldest = max(snapshot.end_time, self._end_time()) - self._limit_seconds
            self._forget(oldest)  # before a new day, for which there may be no room yet
            self._service_count = None
            for index, rows, steps in self._places(snapshot):
                if (index + 1) * self._steps_a_day * self._step_seconds > oldest:
                    self._day(index, len(snapshot.services)).write(rows, snapshot, steps)

    def status(self) -> HistoryStatus:
        """What is held."""
        with self._lock:
            if not self._days:
                return HistoryStatus()
            if self._service_count is None:
                self._service_count = len({service for day in self._days.values() for service in day.columns})
            return HistoryStatus(self._step_seconds, self._start_time(), self._end_time(), self._service_count)

    def read(self, start_time: int, end_time: int, *, services: Sequence[ServiceId] | None = None) -> Snapshot | None:
        """
        All held steps with start_time <= time <= end_time as one snapshot, with the latest graph among them.

        Args:
            start_time: Unix seconds.
            end_time: Unix seconds.
            services: Only these, and the calls among them; None for all that were seen in that time.

        Returns:
            Values are NaN where nothing was measured. None when no step lies within.
        """
        with self._lock:
            if not self._days:
                return None
            step = self._step_seconds
            first = max(-(-start_time // step) * step, self._start_time())
            last = min(end_time // step * step, self._end_time())
            days = [day for _, day in sorted(self._days.items()) if day.last_time >= first and day.first_time <= last]
            if first > last or not days:
                return None
            known = tuple(dict.fromkeys(service for day in days for service in day.columns))
            chosen = known if services is None else tuple(services)
            calls, rates = days[-1].graph_of(chosen)
        times = np.arange(first, last + 1, step, dtype=np.int64)
        values = np.empty((len(times), len(chosen), len(FEATURES)), dtype=np.float32)
        # Weeks of many services take seconds to read; forecasts get their turn in between.
        for begin in range(0, len(times), _READ_STEPS):
            part = slice(begin, begin + _READ_STEPS)
            values[part] = self.values_at(chosen, times[part])
        return Snapshot(last, step, chosen, values, calls, rates)

    def values_at(self, services: Sequence[ServiceId], times: NDArray[np.int64]) -> NDArray[np.float32]:
        """Measurements of *services* at *times*, float32 of shape (len(times), N, F); NaN where none is held."""
        values = np.full((len(times), len(services), len(FEATURES)), np.nan, dtype=np.float32)
        with self._lock:
            if not self._days:
                return values
            slots, offsets = np.divmod(np.asarray(times, dtype=np.int64), self._step_seconds)
            indices, rows = np.divmod(slots, self._steps_a_day)
            for index in np.unique(indices):
                day = self._days.get(int(index))
                if day is not None:
                    wanted = np.flatnonzero((indices == index) & (offsets == 0))
                    day.read_into(values, wanted, rows[wanted], services)
        return values

    @property
    def _steps_a_day(self) -> int:
        return -(-DAY_SECONDS // self._step_seconds)

    def _places(self, snapshot: Snapshot) -> Iterator[tuple[int, slice, slice]]:
        """For each day that *snapshot* touches: its index, the rows within the day, the steps of the snapshot."""
        begin = snapshot.start_time // self._step_seconds
        end = begin + snapshot.steps
        for index in range(begin // self._steps_a_day, (end - 1) // self._steps_a_day + 1):
            origin = index * self._steps_a_day
            first, last = max(begin, origin), min(end, origin + self._steps_a_day)
            yield index, slice(first - origin, last - origin), slice(first - begin, last - begin)

    def _day(self, index: int, services: int) -> Day:
        if index not in self._days:
            start_time = index * self._steps_a_day * self._step_seconds
            directory = None if self._directory is None else self._directory / str(start_time)
            self._days[index] = Day.create(directory, start_time, self._step_seconds, self._steps_a_day, services)
        return self._days[index]

    def _start_time(self) -> int:
        first = self._days[min(self._days)].first_time
        oldest = self._end_time() - self._limit_seconds
        return max(first, -(-oldest // self._step_seconds) * self._step_seconds)

    def _end_time(self) -> int:
        return self._days[max(self._days)].last_time if self._days else 0

    def _forget(self, oldest: int) -> None:
        for index in [index for index, day in self._days.items() if day.last_time < oldest]:
            self._days.pop(index).remove()

    def _clear(self) -> None:
        for day in self._days.values():
            day.remove()
        self._days = {}

    def _load(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for folder in sorted(directory.iterdir()):
            if not (folder.is_dir() and folder.name.lstrip("-").isdigit()):
                continue
            try:
                day = Day.load(folder)
            except DayDamaged as damage:
                logger.warning("history of %s is left out: %s", folder.name, damage)
                shutil.rmtree(folder)
                continue
            self._adopt(day)
        self._service_count = None

    def _adopt(self, day: Day) -> None:
        if self._step_seconds not in (0, day.step_seconds):
            logger.warning("history of steps of %d s is left out", self._step_seconds)
            self._clear()
        self._step_seconds = day.step_seconds
        self._days[day.start_time // (self._steps_a_day * self._step_seconds)] = day
