"""
Several operators on one cluster, of which one leads: it is struck, and the audit log tells when another one leads.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tidecast_simulator.testbed import tidecast
from tidecast_simulator.testbed.audit import LEASES, AuditLog, Write
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.process import NotReady
from tidecast_simulator.testbed.program import Program

_POLL_SECONDS = 0.02
_CALM_SECONDS = 0.5  # without writes, between those of one cycle and those of the next
_LATE_SECONDS = 6  # in which a process that goes on would send what it had in hand
_Found = TypeVar("_Found")


class Blow(StrEnum):
    """What befalls the replica that leads."""

    KILL = "SIGKILL"
    PAUSE = "SIGSTOP, SIGCONT"
    END = "SIGTERM"


@dataclass(frozen=True, slots=True)
class HandOver:
    """
    What came of a blow.

    Attributes:
        blow: What befell the leader.
        struck: Its name.
        successor: Who leads since.
        is_amid_writes: Whether it was struck as soon as it had written the first of many.
        lead_seconds: From the blow until another replica held the Lease.
        write_seconds: From the blow until another replica wrote.
        gap_seconds: From the last write of the one until the first of the other.
    """

    blow: Blow
    struck: str
    successor: str
    is_amid_writes: bool
    lead_seconds: float
    write_seconds: float
    gap_seconds: float


class Replicas:
    """
    Operators that the API server tells apart, since each has a user of its own; as a context manager they end with it.

    Args:
        directory: For their logs.
        control_plane: An audited one that knows *names* as users.
        names: One for each.
        arguments: More flags for each command line.

    Attributes:
        log: What they have written.
        programs: By name; not started yet.
    """

    def __init__(
        self, directory: Path, control_plane: ControlPlane, names: Sequence[str], arguments: Sequence[str] = ()
    ) -> None:
        self.log = AuditLog(control_plane.audit_log, names)
        self.programs: dict[str, Program] = {
            name: tidecast.operator(directory, control_plane.kubeconfig_of(name), name, arguments) for name in names
        }

    def start(self) -> Self:
        """Starts all of them, one after the other."""
        for program in self.programs.values():
            program.start()
        return self

    def stop(self) -> None:
        """Ends all of them."""
        for program in self.programs.values():
            program.stop()

    @property
    def leader(self) -> str:
        """Who holds the Lease; empty before the first one does."""
        self.log.read_on()
        return self.log.holder

    def wait_for_write(self, name: str, *, since: float = 0, timeout_seconds: float = 120) -> float:
        """Waits until *name* writes anything but the Lease after *since*; says when, in unix seconds."""
        start = len(self.log.writes)
        while start and self.log.writes[start - 1].answered_time > since:
            start -= 1
        return self._wait(lambda: self._first_write(name, start), f"{name} writes", timeout_seconds)

    def wait_for_first_of_many(self, name: str, *, timeout_seconds: float = 120) -> None:
        """Returns as soon as *name* begins to write what a cycle has found out."""
        deadline, last = time.monotonic() + timeout_seconds, time.time()
        while time.monotonic() < deadline:
            for write in self.log.read_on():
                if write.user == name and write.resource.endswith("/status"):
                    if write.answered_time - last > _CALM_SECONDS:
                        return
                    last = write.answered_time
            time.sleep(_POLL_SECONDS)
        raise NotReady(f"{name} does not begin to write in {timeout_seconds:g} s")

    def strike(self, blow: Blow, *, is_amid_writes: bool = False, pause_seconds: float = 40) -> HandOver:
        """
        Strikes the replica that leads, waits until another one writes, and puts the one that was struck on its feet.

        Args:
            blow: What befalls it.
            is_amid_writes: Whether that is when it writes; else at once.
            pause_seconds: How long it stands still, if it is not to end.

        Raises:
            NotReady: If no other one leads and writes in two minutes.
        """
        struck = self.leader
        program = self.programs[struck]
        if is_amid_writes:
            self.wait_for_first_of_many(struck)
        start = len(self.log.writes)
        struck_time = time.time()
        {Blow.KILL: program.kill, Blow.PAUSE: program.process.pause, Blow.END: program.stop}[blow]()
        led_time, successor = self._wait(lambda: self._term_after(struck_time), "another one leads", 120)
        write_time = self.wait_for_write(successor, since=led_time)
        # The last ones before the blow may lie before *start* in the log.
        own = [
            one.answered_time for one in self.log.writes[max(0, start - 1000) :] if one.user == struck and _tells(one)
        ]
        last_time = max((moment for moment in own if moment < led_time), default=struck_time)
        if blow is Blow.PAUSE:
            time.sleep(max(0, struck_time + pause_seconds - time.time()))
            program.process.resume()
            time.sleep(_LATE_SECONDS)
        else:
            program.start()
        self.log.read_on()
        return HandOver(
            blow,
            struck,
            successor,
            is_amid_writes,
            lead_seconds=led_time - struck_time,
            write_seconds=write_time - struck_time,
            gap_seconds=write_time - last_time,
        )

    def _term_after(self, moment: float) -> tuple[float, str] | None:
        self.log.read_on()
        return self.log.terms[-1] if self.log.terms and self.log.terms[-1][0] > moment else None

    def _first_write(self, name: str, start: int) -> float | None:
        self.log.read_on()
        return next((one.answered_time for one in self.log.writes[start:] if one.user == name and _tells(one)), None)

    def _wait(self, find: Callable[[], _Found | None], what: str, timeout_seconds: float) -> _Found:
        deadline = time.monotonic() + timeout_seconds
        while (found := find()) is None:
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{one.process.tail()}" for name, one in self.programs.items())
                raise NotReady(f"not true in {timeout_seconds:g} s: {what}\n{logs}")
            time.sleep(_POLL_SECONDS)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _tells(write: Write) -> bool:
    return write.resource != LEASES and write.is_done
