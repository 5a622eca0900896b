"""
Whether autoscalers may be sent to a replica that runs cycles.
"""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 120.0
"""So long may a Secret take until it is filled, and is seen in the pods that mount it."""


class Readiness:
    """
    Not before everybody is answered who should be: a port whose certificate is still awaited refuses them.

    Where the leading replica issues that certificate, one that stands by waits for it so long and no longer. Else an
    upgrade that asks for one would not come to its end: the leader is of the release before and issues none, and it is
    ended only when a new replica is ready.

    Args:
        awaited: Which certificates are awaited, and why; empty if none is.
        is_issued_by_leader: Whether the certificates come from the leading replica.
        leads: Whether this one leads.
        clock: Seconds since any time.
    """

    def __init__(
        self,
        awaited: Callable[[], str],
        *,
        is_issued_by_leader: bool,
        leads: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._awaited = awaited
        self._is_issued_by_leader = is_issued_by_leader
        self._leads = leads
        self._clock = clock
        self._until = clock() + PATIENCE_SECONDS

    def why_not(self) -> str:
        """Why this replica is not ready; empty if it is. In any thread."""
        if self._is_issued_by_leader and not self._leads() and self._clock() >= self._until:
            return ""
        return self._awaited()
