"""
A Lease that one replica holds: that one runs cycles, the others stand by.

The holder renews the Lease; whoever sees it unchanged for its whole duration takes it over. Times are measured on each
replica's own monotonic clock, so the clocks of two machines need not agree.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from tidecast_operator.api_answers import Outcome
from tidecast_operator.cluster import Lease
from tidecast_operator.errors import Misconfigured, TidecastError

_log = logging.getLogger(__name__)


class Leases(Protocol):
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
        duration_seconds: How long a Lease holds without being renewed; it is renewed three times as often.
    """

    identity: str
    namespace: str
    name: str = "tidecast-operator"
    duration_seconds: int = 15


class Leadership:
    """
    Whether this replica may write.

    Attributes:
        on_change: Called on the event loop when this replica has become the leader or is one no more.
    """

    def __init__(self, leases: Leases, candidate: Candidate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._leases = leases
        self._candidate = candidate
        self._clock = clock
        self._held_until = -float("inf")
        self._seen: tuple[str, float] = ("", -float("inf"))
        self._holder = ""

    @property
    def is_leader(self) -> bool:
        """Whether the Lease is held now; turns false by itself when it could not be renewed in time."""
        return self._clock() < self._held_until

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last looked at."""
        return self._holder

    def step(self) -> bool:
        """
        One attempt to take or renew the Lease; whether it is held afterwards. Synchronous: call it in a thread.

        Raises:
            TidecastError: If the API server cannot be asked, or refuses; leadership then lapses with its time.
        """
        started = self._clock()
        lease = self._leases.read_lease(self._candidate.namespace, self._candidate.name)
        if lease is not None and not self._may_take(lease):
            self._held_until = -float("inf")
            return False
        outcome = self._leases.write_lease(self._mine(lease))
        if outcome is Outcome.GONE:
            raise Misconfigured("--namespace", f"there is no namespace {self._candidate.namespace}", "create it")
        taken = outcome is Outcome.DONE
        if taken:
            self._holder = self._candidate.identity
            # Others count from when they see the renewal, which is after this moment: it ends here first.
            self._held_until = started + self._candidate.duration_seconds * 2 / 3
        return taken

    def release(self) -> None:
        """Gives the Lease back, so that another replica need not wait. Synchronous."""
        self._held_until = -float("inf")
        lease = self._leases.read_lease(self._candidate.namespace, self._candidate.name)
        if lease is not None and lease.holder == self._candidate.identity:
            self._leases.write_lease(replace(lease, holder=""))

    async def run(self) -> None:
        """Takes and renews the Lease until cancelled."""
        # A thread of its own: a renewal must not wait behind thousands of writes.
        executor = ThreadPoolExecutor(1, thread_name_prefix="lease")
        loop = asyncio.get_running_loop()
        was_leader = False
        try:
            while True:
                try:
                    await loop.run_in_executor(executor, self.step)
                except TidecastError as error:
                    _log.warning("lease not renewed: %s", error)
                if self.is_leader != was_leader:
                    was_leader = self.is_leader
                    _log.info("%s", "leading" if was_leader else f"standing by, {self._holder or 'nobody'} leads")
                    self.on_change()
                await asyncio.sleep(self._candidate.duration_seconds / 5)
        finally:
            executor.shutdown(wait=False)

    def _may_take(self, lease: Lease) -> bool:
        self._holder = lease.holder
        if lease.holder in ("", self._candidate.identity):
            return True
        if lease.version != self._seen[0]:
            self._seen = (lease.version, self._clock())
        duration = lease.duration_seconds or self._candidate.duration_seconds
        return self._clock() - self._seen[1] >= duration

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
            return replace(mine, acquire_time=lease.acquire_time, transitions=lease.transitions, version=lease.version)
        return replace(mine, transitions=lease.transitions + 1, version=lease.version)
