"""
A Lease that one replica holds: that one runs cycles, the others stand by.

The holder renews the Lease; whoever sees it unchanged for its whole duration takes it over. Times are measured on each
replica's own clock, so the clocks of two machines need not agree. With d the duration, and t the moment at which the
holder began its last renewal that succeeded: it begins no write after t + 2/3 d, what it began is over `WRITE_SECONDS`
later, and nobody else writes before t + d.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from tidecast_operator.api_answers import Outcome
from tidecast_operator.errors import Misconfigured, TidecastError
from tidecast_operator.fencing import WRITE_SECONDS, Fence, uptime
from tidecast_operator.leases import Lease

_log = logging.getLogger(__name__)
_TRIES = 2  # where somebody else has changed the Lease between reading and writing
_CLEARING_SECONDS = WRITE_SECONDS + 1


class ReadsAndWritesLeases(Protocol):
    """What leadership needs of the cluster."""

    def read_lease(self, namespace: str, name: str) -> Lease | None:
        """A Lease; None if it is not there."""

    def write_lease(self, lease: Lease) -> Outcome:
        """Creates or renews a Lease."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    Who runs for leadership of what.

    Attributes:
        identity: Unique among the replicas.
        namespace: Of the Lease.
        name: Of the Lease.
        duration_seconds: How long a Lease holds without being renewed; it is renewed five times as often. More than
            three times `WRITE_SECONDS`.
    """

    identity: str
    namespace: str
    name: str = "tidecast-operator"
    duration_seconds: int = 15


class Leadership:
    """
    Whether this replica may write.

    Args:
        leases: Where the Lease is.
        candidate: Who this replica is.
        fence: What its writes pass; open while it leads.
        clock: Of the fence: seconds that go on while this process does not.

    Attributes:
        on_change: Called on the event loop when this replica has become the leader or is one no more.
    """

    def __init__(
        self,
        leases: ReadsAndWritesLeases,
        candidate: Candidate,
        fence: Fence | None = None,
        *,
        clock: Callable[[], float] = uptime,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._leases = leases
        self._candidate = candidate
        self._fence = fence or Fence(clock=clock)
        self._clock = clock
        self._seen: tuple[str, float] = ("", -float("inf"))
        self._takes_over_at = -float("inf")
        self._holder = ""
        self._term, self._entered_term = 0, -1
        self._led = False  # in the cycle before
        self._is_over = False

    @property
    def is_leader(self) -> bool:
        """Whether the Lease is held now; turns false by itself when it could not be renewed in time."""
        return self._fence.is_open

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last looked at."""
        return self._holder

    def enter(self) -> bool:
        """A cycle begins; whether this replica leads, and the cycle may write until it leads no more."""
        if self._led and self._entered_term != self._term:
            # It slept through another's term: first it forgets what it knew, as after a cycle of standing by.
            self._led, self._entered_term = False, -1
            self.on_change()
            return False
        self._entered_term = self._term
        self._led = self.is_leader
        return self._led

    @property
    def may_write(self) -> bool:
        """
        Whether this replica leads, and has done so ever since its cycle began.

        A cycle that slept through another replica's term knows less than that one, also if this replica leads again.
        """
        return self._entered_term == self._term and self.is_leader

    def step(self) -> bool:
        """
        One attempt to take or renew the Lease; whether it is held afterwards. Synchronous: call it in a thread.

        Raises:
            TidecastError: If the API server cannot be asked, or refuses; leadership then lapses with its time.
        """
        for _ in range(_TRIES):
            started = self._clock()
            lease = self._leases.read_lease(self._candidate.namespace, self._candidate.name)
            # After reading: a Lease that was given back must not be taken again.
            if self._is_over or not self._may_take(lease):
                break
            outcome = self._leases.write_lease(self._mine(lease))
            if outcome is Outcome.GONE:
                raise Misconfigured("--namespace", f"there is no namespace {self._candidate.namespace}", "create it")
            if outcome is Outcome.DONE:
                self._hold(started, lease)
                return True
        self._fence.shut()
        return False

    def release(self) -> None:
        """
        Gives the Lease back, so that another replica need not wait; for good. Synchronous.

        Not before the last write is over: one that hangs keeps the Lease until it lapses.
        """
        self._is_over = True
        self._fence.end()
        if not self._fence.wait_until_clear(_CLEARING_SECONDS):
            _log.warning("a write hangs, so the lease is left to lapse")
            return
        for _ in range(_TRIES):
            lease = self._leases.read_lease(self._candidate.namespace, self._candidate.name)
            if lease is None or lease.holder != self._candidate.identity:
                return
            if self._leases.write_lease(replace(lease, holder="")) is not Outcome.CONFLICT:
                return

    async def run(self) -> None:
        """Takes and renews the Lease until cancelled."""
        # A thread of its own: a renewal must not wait behind thousands of writes.
        executor = ThreadPoolExecutor(1, thread_name_prefix="lease")
        loop = asyncio.get_running_loop()
        was_leader = False
        try:
            while True:
                failed = False
                try:
                    await loop.run_in_executor(executor, self.step)
                except TidecastError as error:
                    failed = True
                    _log.warning("lease not renewed: %s", error)
                if self.is_leader != was_leader:
                    was_leader = self.is_leader
                    _log.info("%s", "leading" if was_leader else f"standing by, {self._holder or 'nobody'} leads")
                    self.on_change()
                await asyncio.sleep(self.seconds_until_next(failed=failed))
        finally:
            # A step that is under way must not take the Lease after it was given back.
            self._is_over = True
            executor.shutdown(wait=False)

    def seconds_until_next(self, *, failed: bool = False) -> float:
        """When to make the next attempt: soon after one that failed, and as soon as another's Lease has lapsed."""
        seconds = self._candidate.duration_seconds / (15 if failed else 5)
        left = self._takes_over_at - self._clock()
        return min(seconds, left) if left > 0 else seconds

    def _hold(self, started: float, before: Lease | None) -> None:
        self._holder = self._candidate.identity
        self._takes_over_at = -float("inf")
        if before is None or before.holder != self._candidate.identity:
            self._term += 1
        if not self._is_over:
            # Others count from when they see the renewal, which is after this moment: it ends here first.
            self._fence.open_until(started + self._candidate.duration_seconds * 2 / 3)

    def _may_take(self, lease: Lease | None) -> bool:
        now = self._clock()
        if lease is None:
            # Somebody has deleted it; who held it may not know yet.
            return now >= self._takes_over_at
        self._holder = lease.holder
        self._takes_over_at = -float("inf")
        if lease.holder in ("", self._candidate.identity):
            return True
        if lease.version != self._seen[0]:
            self._seen = (lease.version, now)
        self._takes_over_at = self._seen[1] + (lease.duration_seconds or self._candidate.duration_seconds)
        return now >= self._takes_over_at

    def _mine(self, lease: Lease | None) -> Lease:
        mine = Lease(
            namespace=self._candidate.namespace,
            name=self._candidate.name,
            holder=self._candidate.identity,
            duration_seconds=self._candidate.duration_seconds,
            acquire_time=datetime.now(UTC),
        )
        if lease is None:
            return mine
        if lease.holder == self._candidate.identity:
            return replace(lease, duration_seconds=mine.duration_seconds)
        return replace(
            lease,
            holder=mine.holder,
            duration_seconds=mine.duration_seconds,
            acquire_time=mine.acquire_time,
            transitions=lease.transitions + 1,
        )
