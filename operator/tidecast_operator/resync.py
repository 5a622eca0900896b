"""
Compares the picture with the API server: at the start until it is complete, then every few minutes, because watches
miss deletions when they break off for long and have been known to fall silent.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tidecast_operator.cluster import WATCHED_KINDS
from tidecast_operator.errors import TidecastError
from tidecast_operator.picture import Picture

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 300.0
_LATE_SECONDS = 60.0
_LOOK_SECONDS = 0.25
_PAUSE_SECONDS = 2.0
_RELIST_SECONDS = 15.0


class Lists(Protocol):
    """What resyncing needs of the cluster."""

    def list_names(self, kind: str) -> Mapping[tuple[str, str], int] | None:
        """All objects of a kind: (namespace, name), and when it was created, unix seconds; None if it is not known."""


class Resync:
    """
    Forgets what is gone, and tells when the watches have gone deaf.

    Args:
        cluster: The truth.
        picture: What the watches made of it.
        on_deaf: Called when objects exist that the watches should have told of long ago.
        kinds: What is watched.
        clock: Unix seconds.
    """

    def __init__(
        self,
        cluster: Lists,
        picture: Picture,
        *,
        on_deaf: Callable[[], None],
        kinds: Sequence[str] = WATCHED_KINDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._picture = picture
        self._on_deaf = on_deaf
        self._kinds = tuple(kinds)
        self._clock = clock

    async def run(self) -> None:
        """Resyncs every five minutes until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self.once()
            except TidecastError as error:
                _log.warning("resync put off: %s", error)

    async def complete(self) -> None:
        """
        Returns when the watches have told of everything that was there.

        A cycle that knew half of the cluster would take workloads for strangers, and make resources that exist.
        """
        for kind in self._kinds:
            while not await self._is_complete(kind):
                pass

    async def _is_complete(self, kind: str) -> bool:
        try:
            real = await asyncio.to_thread(self._cluster.list_names, kind)
        except TidecastError as error:
            _log.warning("waiting for the API server: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)
            return False
        # What is deleted meanwhile never comes: after a while it is listed again.
        for _ in range(int(_RELIST_SECONDS / _LOOK_SECONDS)):
            if real is None or real.keys() <= self._picture.names().get(kind, frozenset()):
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def once(self) -> None:
        """
        One comparison.

        Raises:
            TidecastError: If the API server cannot be asked.
        """
        # What comes into being while the lists are read is in none of the two.
        before, started = self._picture.names(), self._clock()
        unseen = 0
        for kind in self._kinds:
            real = await asyncio.to_thread(self._cluster.list_names, kind)
            if real is None:
                continue  # a definition that is deleted deletes its objects one by one, and the watches tell of each
            gone = before.get(kind, frozenset()) - real.keys()
            if gone:
                # What was deleted and made anew meanwhile is there again.
                gone -= (await asyncio.to_thread(self._cluster.list_names, kind) or {}).keys()
                _log.info("resync: the deletion of %d of kind %s was missed", len(gone), kind)
                self._picture.forget(kind, gone)
            known = self._picture.names().get(kind, frozenset())
            unseen += sum(created < started - _LATE_SECONDS for name, created in real.items() if name not in known)
        if unseen:
            _log.warning("resync: the watches have not told of %d objects; they are opened again", unseen)
            self._on_deaf()
