"""
Learns what replicas carry from the days before the operator's start: from Prometheus, chunk by chunk, in the background.

The newest days come first: they count for most. Steps are coarse and a cycle asks for one chunk at most, so that
Prometheus hardly notices.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from tidecast_operator import snapshots
from tidecast_operator.background import Background
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.doors import Collects
from tidecast_operator.errors import TidecastError
from tidecast_operator.hints.capacities import CapacityKeeper
from tidecast_operator.telemetry.partial_answers import PartialAnswers

_log = logging.getLogger(__name__)

HISTORY_SECONDS = 7 * 86_400
"""So far back: a week has all hours of all days."""

COARSE_SECONDS = 300
"""A step of history is about so long."""

WATCHED_SECONDS = 86_400
"""After so long of its own watching the operator can do without history."""

_CHUNK_SECONDS = 86_400
_CHUNK_CELLS = 2_000_000  # services times steps: 56 MB of values
_CHUNK_LEAST_STEPS = 15


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    The history that capacities should be learned from.

    Attributes:
        end_time: Up to this moment, unix seconds: from there on the cycle's own measurements tell.
        step_seconds: Of the cycle.
        services: About how many, which decides on the length of a chunk.
    """

    end_time: int
    step_seconds: int
    services: int

    @property
    def coarse_seconds(self) -> int:
        """Of a step of history, a multiple of the cycle's."""
        return -(-COARSE_SECONDS // self.step_seconds) * self.step_seconds

    @property
    def chunk_steps(self) -> int:
        """How many steps are asked for at once."""
        by_size = _CHUNK_CELLS // max(1, self.services)
        return max(_CHUNK_LEAST_STEPS, min(by_size, _CHUNK_SECONDS // self.coarse_seconds))


def next_chunk(wanted: Wanted, asked_back_to: int | None) -> tuple[int, int] | None:
    """
    The first and the last step to ask for next; None if there is nothing left.

    Args:
        wanted: All of it.
        asked_back_to: The moment from which on everything was asked for; None for nothing yet.
    """
    step = wanted.coarse_seconds
    # A step at t tells of (t - step, t].
    last = min(wanted.end_time, wanted.end_time if asked_back_to is None else asked_back_to) // step * step
    first = max(last - (wanted.chunk_steps - 1) * step, wanted.end_time - HISTORY_SECONDS + step)
    first = -(-first // step) * step
    return None if first > last else (first, last)


class CapacityFiller:
    """
    At most one chunk is under way at a time, in a task of its own.

    Args:
        keeper: Who learns.
    """

    def __init__(self, keeper: CapacityKeeper) -> None:
        self._keeper = keeper
        self._back_to: int | None = None
        self._is_complete = False
        self._partial_answers = PartialAnswers()
        self._background = Background("capacity filling")
        self._collector: Collects | None = None

    @property
    def is_running(self) -> bool:
        """Whether a chunk is under way."""
        return self._background.is_running

    @property
    def is_ready(self) -> bool:
        """
        Whether enough of the past is known for capacities to be told.

        Of a quiet night alone a replica would seem to carry little, and far too many would be asked for in the morning.
        """
        return self._is_complete or self._keeper.watched_seconds >= WATCHED_SECONDS

    def consider(
        self, collector: Collects, workloads: Callable[[], WorkloadIndex], *, step_seconds: int, services: int
    ) -> None:
        """
        Starts to fetch the next chunk, unless one is under way or there is none; to be called once a cycle.

        Args:
            collector: Who is asked; nobody else may use it meanwhile.
            workloads: The cluster.
            step_seconds: Of the cycle.
            services: About how many there are.
        """
        if self._is_complete or self._keeper.begin_time is None or (self.is_running and collector is self._collector):
            return
        # What is under way is cancelled: it asks a Prometheus that is not the one in use any more.
        self._background.cancel()
        wanted = Wanted(self._keeper.begin_time, step_seconds, services)
        chunk = next_chunk(wanted, self._back_to)
        if chunk is None:
            self._is_complete = True
            return
        self._collector = collector
        self._background.start(self._fill(chunk, wanted.coarse_seconds, collector, workloads))

    async def idle(self) -> None:
        """Returns when nothing is under way."""
        await self._background.idle()

    async def stop(self) -> None:
        """Ends what is under way; it is taken up again where it was."""
        await self._background.stop()

    async def _fill(
        self, chunk: tuple[int, int], step_seconds: int, collector: Collects, workloads: Callable[[], WorkloadIndex]
    ) -> None:
        try:
            observations = await asyncio.to_thread(collector.collect, *chunk, step_seconds)
            self._partial_answers.refuse(observations)
            built = await asyncio.to_thread(snapshots.build, observations, workloads())
        except TidecastError as error:
            _log.warning("history of capacities interrupted, tried again at the next step: %s", error)
            return
        except Exception:  # noqa: BLE001 - the edge of a task that nobody awaits; forecasts go on without it
            _log.exception("history of capacities failed, tried again at the next step")
            return
        # Before it is learned: what is cut short here must not be learned twice.
        self._back_to = chunk[0] - step_seconds
        if built.snapshot.services:
            await asyncio.to_thread(self._keeper.learn, built.snapshot)
