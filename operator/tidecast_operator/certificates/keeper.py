"""
Has the leading replica issue what is wanted, beside the cycle and whatever becomes of that.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from tidecast_operator.certificates.issuer import Issuer, Pass
from tidecast_operator.errors import TidecastError

_log = logging.getLogger(__name__)

SETTLED_SECONDS = 30.0
"""Between two looks while everything is as it is to be, or cannot be."""

UNSETTLED_SECONDS = 2.0
"""Until the next look after a write, and until it is asked again whether this replica leads."""


class CertificateKeeper:
    """
    Runs passes as long as this replica leads; nothing that goes wrong with them ends it.

    Args:
        issuer: Makes the passes.
        leads: Whether this replica leads.
        told: Hears when the certificate of each Secret expires, unix seconds; empty while this replica does not lead.
    """

    def __init__(
        self, issuer: Issuer, *, leads: Callable[[], bool], told: Callable[[Mapping[str, float]], None] = lambda _: None
    ) -> None:
        self._issuer = issuer
        self._leads = leads
        self._told = told
        self._problems: list[str] = []
        self._expiries: dict[str, float] = {}

    async def run(self) -> None:
        """Keeps them until cancelled."""
        while True:
            pause_seconds = await self.look()
            await asyncio.sleep(pause_seconds)

    async def look(self) -> float:
        """One pass, if this replica leads; seconds until the next one."""
        if not self._leads():
            self._problems, self._expiries = [], {}
            self._told({})
            return UNSETTLED_SECONDS
        try:
            done = await asyncio.to_thread(self._issuer.step)
        except TidecastError as error:
            self._tell([str(error)])
        except Exception:  # noqa: BLE001 - the edge of a task that must not take the cycles with it
            _log.exception("certificates could not be issued; it is tried again")
        else:
            self._tell(done.problems)
            # Of a Secret that cannot be read any more, what is mounted still expires when it did.
            self._expiries |= done.expiries
            self._told(self._expiries)
            return self._pause(done)
        return SETTLED_SECONDS

    @staticmethod
    def _pause(done: Pass) -> float:
        if done.writes:
            _log.info("certificates: %d Secrets or APIServices written", done.writes)
        return UNSETTLED_SECONDS if done.writes or done.conflicts else SETTLED_SECONDS

    def _tell(self, problems: list[str]) -> None:
        for problem in problems:
            if problem not in self._problems:
                _log.warning("not all certificates are issued: %s", problem)
        if self._problems and not problems:
            _log.info("all certificates are issued")
        self._problems = problems
