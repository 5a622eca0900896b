"""
Who wrote what and when, as the audit log of an API server tells it; and whether two replicas ever wrote at once.

The Lease tells whose term it is: it begins when another user than before has written the Lease. A write that was
answered in another user's term is one that a second writer made.
"""

import json
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

LEASES = "leases"


@dataclass(frozen=True, slots=True)
class Write:
    """
    A write that the API server has answered.

    Attributes:
        user: Who made it.
        verb: As in RBAC.
        resource: Plural, with the subresource, as in `deployments/status`.
        name: Namespace and name of the object; without a name where the server made one up.
        code: HTTP status; 2xx where it took place.
        received_time: When the server got it, unix seconds.
        answered_time: When it was answered, unix seconds.
    """

    user: str
    verb: str
    resource: str
    name: str
    code: int
    received_time: float
    answered_time: float

    @property
    def is_done(self) -> bool:
        """Whether it took place."""
        return 200 <= self.code < 300


@dataclass(slots=True)
class AuditLog:
    """
    An audit log that is still being written.

    Attributes:
        path: The file, one JSON object a line.
        users: Whose writes are of interest.
        writes: All that were read so far.
        terms: (unix seconds, user) of each time that the Lease came to another user than before.
    """

    path: Path
    users: Collection[str]
    writes: list[Write] = field(default_factory=list)
    terms: list[tuple[float, str]] = field(default_factory=list)
    _offset: int = 0

    def read_on(self) -> Sequence[Write]:
        """What has come since the last time."""
        if not self.path.exists():
            return ()
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        new = [write for write in map(_write, whole.splitlines()) if write is not None and write.user in self.users]
        self.writes += new
        for write in new:
            if write.resource == LEASES and write.is_done and write.user != self.holder:
                self.terms.append((write.answered_time, write.user))
        return new

    @property
    def holder(self) -> str:
        """Who wrote the Lease last; empty before the first one did."""
        return self.terms[-1][1] if self.terms else ""

    def foreign_writes(self) -> list[Write]:
        """The writes that took place in the term of another user than the one who made them; none if all is well."""
        terms, holder, found = deque(self.terms), "", []
        for write in sorted(self.writes, key=lambda write: write.answered_time):
            while terms and terms[0][0] <= write.answered_time:
                holder = terms.popleft()[1]
            if write.resource != LEASES and write.is_done and write.user != holder:
                found.append(write)
        return found


def _write(line: bytes) -> Write | None:
    event = json.loads(line)
    what = event.get("objectRef")
    if what is None or event["stage"] != "ResponseComplete":
        return None
    return Write(
        user=event["user"]["username"],
        verb=event["verb"],
        resource="/".join(part for part in (what["resource"], what.get("subresource")) if part),
        name="/".join(part for part in (what.get("namespace"), what.get("name")) if part),
        code=event.get("responseStatus", {}).get("code", 0),
        received_time=_seconds(event["requestReceivedTimestamp"]),
        answered_time=_seconds(event["stageTimestamp"]),
    )


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
