"""
The history of snapshots that training learns from and that seasonal inputs look into.

Days of steps, each a folder of its own with its services, its values as a memory-mapped array and the calls that were seen
in it, so that forgetting is removing a folder and a service that is gone takes its columns along.
"""

import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus
from tidecast_predictor.config import DAY_SECONDS
from tidecast_predictor.day import Day, DayDamaged, OtherFormat, measured_in, merged

logger = logging.getLogger(__name__)

_FOLDER = re.compile(r"(-?[0-9]+)(\.damaged|\.unread)?")


class History:
    """
    Every step that was measured within the last `limit_seconds`. Safe to use from several threads.

    Days that cannot be made out are kept aside, in folders `<start_time>.damaged`, and forgotten by their age like others.
    So are days that another release wrote, or that have not begun; when their place is needed, as `<start_time>.unread`.

    Args:
        directory: Where it is kept, so that it survives a restart; None keeps it in memory.
        limit_seconds: Older steps are forgotten, a day at a time.
        clock: The time, unix seconds: days that begin more than a day after it are not taken from *directory*.

    Raises:
        ValueError: If *limit_seconds* is not positive.
        OSError: If *directory* cannot be read at present; nothing in it is deleted.
    """

    def __init__(self, directory: Path | None, *, limit_seconds: int, clock: Callable[[], float] = time.time) -> None:
        if limit_seconds <= 0:
            raise ValueError(f"limit_seconds must be positive, not {limit_seconds}")
        self._directory = directory
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._lock = threading.RLock()
        self._step_seconds = 0
        self._days: dict[int, Day] = {}
        self._aside: dict[Path, int] = {}  # folders of days that are not held, and when these begin
        self._service_count: int | None = 0
        if directory is not None:
            self._load(directory)

    def append(self, snapshot: Snapshot) -> None:
        """
        Take in the steps of *snapshot*; steps that are held already are overwritten for its services.

        Unknown services are added. Steps between what is held and *snapshot* stay missing (NaN). A snapshot with
        other `step_seconds` starts the history anew; steps beyond the limit are ignored. A history begins with requests that
        were measured: where Prometheus or the mesh is young, the hours before it are not held.
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
            snapshot = self._from_what_was_measured(snapshot)
            if not snapshot.steps:
                return
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

    def measured_seconds(self) -> int:
        """How long requests of anybody were measured: what there is to learn from, whatever is missing between."""
        with self._lock:
            if not self._days:
                return 0
            first, step = self._start_time(), self._step_seconds
            rows = (day.measured[max(0, (first - day.start_time) // step) :].sum() for day in self._days.values())
            return step * int(sum(rows))

    def latest(self, *, seen_seconds: int) -> Snapshot | None:
        """
        The newest step, with all services and all calls of the days that reach into the last *seen_seconds*.

        What is silent at night is among them in the night too. None when nothing is held.
        """
        with self._lock:
            if not self._days:
                return None
            end_time = self._end_time()
            days = [day for _, day in sorted(self._days.items()) if day.last_time >= end_time - seen_seconds]
            services = _services_of(days)
            calls, rates = merged([day.graph_of(services) for day in reversed(days)])
            values = self.values_at(services, np.array([end_time]))
            return Snapshot(end_time, self._step_seconds, services, values, calls, rates)

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

    def _from_what_was_measured(self, snapshot: Snapshot) -> Snapshot:
        """Without the steps at its beginning in which nothing was measured, as far as they lie before what is held."""
        # Of nothing but missing steps the last is held: operators tell by it how far they have come.
        held_from = self._start_time() if self._days else snapshot.end_time
        ahead = max(0, min((held_from - snapshot.start_time) // self._step_seconds, snapshot.steps))
        measured = measured_in(snapshot.values[:ahead])
        first = int(measured.argmax()) if measured.any() else ahead
        return replace(snapshot, values=snapshot.values[first:])

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
            if directory in self._aside:
                self._put_aside(directory, "unread")
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
        for folder in [folder for folder, start in self._aside.items() if start + DAY_SECONDS < oldest]:
            del self._aside[folder]
            shutil.rmtree(folder, ignore_errors=True)

    def _clear(self) -> None:
        for day in self._days.values():
            day.remove()
        self._days = {}

    def _load(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for folder in sorted(directory.iterdir()):
            named = _FOLDER.fullmatch(folder.name)
            if named is None or not folder.is_dir():
                continue
            start_time, suffix = named.groups()
            self._aside[folder] = int(start_time)
            day = None if suffix else self._loaded(folder)
            if day is not None:
                del self._aside[folder]
                self._adopt(day)
        self._service_count = None

    def _loaded(self, folder: Path) -> Day | None:
        """The day in *folder*; None when it is left out, which the log tells."""
        try:
            day = Day.load(folder)
        except DayDamaged as damage:
            logger.warning("history of %s is left out and kept as %s.damaged: %s", folder.name, folder.name, damage)
            self._put_aside(folder, "damaged")
            return None
        except OtherFormat as other:
            logger.warning("history of %s is left out and stays as it is: %s", folder.name, other)
            return None
        except OSError as error:
            raise OSError(
                error.errno,
                f"history of {folder.name} cannot be read at present ({error.strerror}); it is left as it is. "
                "Start again once the volume can be read, or move the folder away to start without it",
                str(folder),
            ) from error
        if day.start_time > self._clock() + DAY_SECONDS:
            logger.warning("history of %s is left out: that day has not begun; check the clocks", folder.name)
            return None
        return day

    def _put_aside(self, folder: Path, suffix: str) -> None:
        aside = folder.with_name(f"{folder.name}.{suffix}")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        self._aside[aside] = self._aside.pop(folder)

    def _adopt(self, day: Day) -> None:
        if self._step_seconds not in (0, day.step_seconds):
            logger.warning("history of steps of %d s is left out", self._step_seconds)
            self._clear()
        self._step_seconds = day.step_seconds
        self._days[day.start_time // (self._steps_a_day * self._step_seconds)] = day


def _services_of(days: Iterable[Day]) -> tuple[ServiceId, ...]:
    return tuple(dict.fromkeys(service for day in days for service in day.columns))
