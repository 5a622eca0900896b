"""
Gives the predictor the history that it lacks: from Prometheus, in chunks, in the background.

Level-triggered: what is missing follows from what the predictor says that it holds. What it holds reaches without a
hole from start to end, so a hole after the end is closed first, and then the start is moved back chunk by chunk.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus
from tidecast_operator import snapshots
from tidecast_operator.background import Background
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.doors import Collects, Predicts
from tidecast_operator.errors import TidecastError
from tidecast_operator.telemetry.partial_answers import PartialAnswers

_log = logging.getLogger(__name__)
_CHUNK_CELLS = 2_000_000  # services times steps: 56 MB of values
_CHUNK_SECONDS = 6 * 3600
_CHUNK_LEAST_STEPS = 15


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    The history that the predictor should hold.

    Attributes:
        start_time: From here, unix seconds.
        window_start_time: The first step of the window that the cycle itself sends, once nothing before it is missing.
        window_end_time: Its last step; nothing after it is fetched.
        step_seconds: Between two steps.
        services: About how many, which decides on the length of a chunk.
    """

    start_time: int
    window_start_time: int
    window_end_time: int
    step_seconds: int
    services: int

    @property
    def chunk_steps(self) -> int:
        """How many steps are fetched at once."""
        by_size = _CHUNK_CELLS // max(1, self.services)
        return max(_CHUNK_LEAST_STEPS, min(by_size, _CHUNK_SECONDS // self.step_seconds))


@dataclass(frozen=True, slots=True)
class Asked:
    """
    How far Prometheus was asked, whether or not it knew anything.

    Attributes:
        back_to: The earliest step that was asked for; None before the first.
        forth_to: The last step after the end of the history that was asked for; None before the first.
    """

    back_to: int | None = None
    forth_to: int | None = None


def next_chunk(history: HistoryStatus, wanted: Wanted, asked: Asked) -> tuple[int, int] | None:
    """
    The first and the last step to fetch next; None if nothing is missing, or the cycle has to send its window first.
    """
    step = wanted.step_seconds
    if history.step_seconds != step:
        return None
    length = (wanted.chunk_steps - 1) * step
    end = max(history.end_time, asked.forth_to or 0)
    if end < wanted.window_start_time - step:
        first = max(end + step, _aligned(wanted.start_time, step))
        # Not just up to the window: it moves on while this is fetched.
        return first, min(first + length, wanted.window_end_time)
    start = history.start_time if asked.back_to is None else min(history.start_time, asked.back_to)
    last = start - step
    first = max(_aligned(wanted.start_time, step), last - length)
    return None if first > last else (first, last)


class HistoryFiller:
    """
    At most one chunk is under way at a time, in a task of its own.

    Args:
        when_filled: Called once all is there that was missing, if any of it came.
    """

    def __init__(self, when_filled: Callable[[], None] = lambda: None) -> None:
        self._when_filled = when_filled
        self._asked = Asked()
        self._known_end = self._known_steps = 0
        self._background = Background("history filling")
        self._doors: tuple[Collects, Predicts] | None = None
        self._message = ""
        self._is_interrupted = False
        self._partial_answers = PartialAnswers()

    @property
    def is_running(self) -> bool:
        """Whether history is being fetched now."""
        return self._background.is_running

    @property
    def is_progressing(self) -> bool:
        """Whether more history is about to come: not while every attempt to fetch it fails."""
        return self.is_running and not self._is_interrupted

    @property
    def message(self) -> str:
        """What is being fetched, or what went wrong with it."""
        return self._message

    def notice(self, history: HistoryStatus, *, step_seconds: int) -> None:
        """
        A predictor that lost some of its history, or is another one, gets everything again that it lacks.

        A history grows, or keeps its length where it is at its limit. It gets shorter there only when the limit passes a
        hole, each of which is then asked for once more.

        Args:
            history: What it says that it holds, before it is sent anything.
            step_seconds: Between two steps now.
        """
        is_other = history.step_seconds != step_seconds
        if is_other or history.end_time < self._known_end or history.steps < self._known_steps:
            self._asked = Asked()
            # What is under way was meant for the old history: it would leave a hole that nobody sees.
            self._background.cancel()
        self._known_end, self._known_steps = history.end_time, 0 if is_other else history.steps

    def forget(self) -> None:
        """Another replica leads: the predictor may lose meanwhile what this one has seen it hold."""
        self._asked = Asked()
        self._known_end = self._known_steps = 0

    def appendable(self, window: Snapshot, history: HistoryStatus) -> Snapshot | None:
        """
        The steps of the window that the predictor lacks; None if there are none, or if a hole would be left before.
        """
        step = window.step_seconds
        if history.step_seconds != step:
            return window
        end = max(history.end_time, self._asked.forth_to or 0)
        if end < window.start_time - step:
            return None
        missing = (window.end_time - history.end_time) // step
        if missing <= 0:
            return None
        return replace(window, values=window.values[-missing:])

    def progress(self, history: HistoryStatus, *, end_time: int, wanted_seconds: int) -> float:
        """How much of the wanted time is there or was asked for in vain, between 0 and 1."""
        if not history.step_seconds:
            return 0.0
        start = history.start_time if self._asked.back_to is None else min(history.start_time, self._asked.back_to)
        # The first step describes the time before it.
        return max(0.0, min(1.0, (end_time - start + history.step_seconds) / wanted_seconds))

    def consider(
        self,
        history: HistoryStatus,
        wanted: Wanted,
        doors: tuple[Collects, Predicts],
        workloads: Callable[[], WorkloadIndex],
    ) -> None:
        """
        Starts to fetch what is missing, unless that is under way through these doors.

        Args:
            history: What the predictor says that it holds.
            wanted: What it should hold.
            doors: Where it is fetched from and sent to.
            workloads: The cluster, asked for at every chunk.
        """
        if self.is_running and doors == self._doors:
            return
        # What is under way is cancelled: it asks a Prometheus or a predictor that is not the one in use any more.
        self._background.cancel()
        self._doors = doors
        if next_chunk(history, wanted, self._asked) is None:
            self._message = ""
            return
        self._background.start(self._fill(history, wanted, doors, workloads))

    async def idle(self) -> None:
        """Returns when nothing is under way."""
        await self._background.idle()

    async def stop(self) -> None:
        """Ends what is under way; it is taken up again where it was."""
        await self._background.stop()

    async def _fill(
        self,
        history: HistoryStatus,
        wanted: Wanted,
        doors: tuple[Collects, Predicts],
        workloads: Callable[[], WorkloadIndex],
    ) -> None:
        steps_before = history.steps
        try:
            while (chunk := next_chunk(history, wanted, self._asked)) is not None:
                self._message = f"Collecting {(chunk[1] - chunk[0]) // 3600 + 1} h of history from Prometheus."
                closes_hole = chunk[0] > history.end_time
                history = await self._transfer(chunk, history, doors, workloads())
                self._known_end = max(self._known_end, history.end_time)
                self._known_steps = max(self._known_steps, history.steps)
                self._remember(chunk, closes_hole=closes_hole)
                self._is_interrupted = False
            self._message = ""
            if history.steps > steps_before:
                self._when_filled()
        except (TidecastError, ContractMismatch) as error:
            self._is_interrupted = True
            self._message = f"Interrupted, tried again at the next step: {error}"
            _log.warning("history filling interrupted: %s", error)
        except Exception:  # noqa: BLE001 - the edge of a task that nobody awaits; forecasts go on without it
            self._is_interrupted = True
            self._message = "Interrupted by an error of the operator's own, see its log; tried again at the next step."
            _log.exception("history filling failed")

    async def _transfer(
        self,
        chunk: tuple[int, int],
        history: HistoryStatus,
        doors: tuple[Collects, Predicts],
        workloads: WorkloadIndex,
    ) -> HistoryStatus:
        collector, predictor = doors
        observations = await asyncio.to_thread(collector.collect, *chunk, history.step_seconds)
        self._partial_answers.refuse(observations)
        built = await asyncio.to_thread(snapshots.build, observations, workloads)
        if not built.snapshot.services:
            return history  # Prometheus did not know anything yet, or no more
        after = await predictor.append_history([built.snapshot])
        _log.info("history: sent %d steps of %d services", built.snapshot.steps, len(built.snapshot.services))
        return after

    def _remember(self, chunk: tuple[int, int], *, closes_hole: bool) -> None:
        if closes_hole:
            self._asked = replace(self._asked, forth_to=chunk[1])
        else:
            self._asked = replace(self._asked, back_to=min(chunk[0], self._asked.back_to or chunk[0]))


def _aligned(time: int, step: int) -> int:
    return -(-time // step) * step
