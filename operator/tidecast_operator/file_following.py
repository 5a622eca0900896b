"""
Follows the file with the Forecaster: what it says takes effect when it changes, and, where it is applied to the cluster,
when this replica begins to lead.

A mounted ConfigMap changes by a symbolic link, and minutes later than the ConfigMap itself; so the content is compared,
every few seconds. A plain file may be written while it is read, and half of it may be a Forecaster too; so what it says
is followed only when two looks in a row have seen the same.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured, TidecastError
from tidecast_operator.forecaster_file import FLAG, Manifest, content, parse
from tidecast_operator.forecasters import FIELD_MANAGER
from tidecast_operator.resources import MANAGED_BY

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 10.0


class Applies(Protocol):
    """What applying needs of the API server."""

    def apply(self, body: Mapping[str, Any]) -> Outcome:
        """Makes the Forecaster `default` say what *body* says."""


class FileFollower:
    """
    Reads the file again and again, and hands on what it says.

    Args:
        path: The file.
        take: Makes what it says take effect; raises `TidecastError` where that has to be tried again.
        may_take: Whether to do so now; after a time in which it was not, the same is handed on once more.
        clock: Seconds since any time.
    """

    def __init__(
        self,
        path: Path,
        take: Callable[[Manifest], Awaitable[None]],
        *,
        may_take: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._take = take
        self._may_take = may_take
        self._clock = clock
        self._seen: bytes | None = None
        self._text: bytes | None = None
        self._has_taken = False
        self._manifest: Manifest | None = None
        self._is_due = False
        self._not_before = -float("inf")
        self._complaint = ""
        self._has_settled = asyncio.Event()

    async def run(self) -> None:
        """Follows the file until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(_LOOK_SECONDS)

    async def settled(self) -> None:
        """Returns when what the file says is in effect for the first time, or the log tells why it is not."""
        await self._has_settled.wait()

    async def once(self) -> None:
        """One look; what is wrong is logged, once as long as it stays the same."""
        try:
            await self._look()
            if not self._may_take():
                self._is_due, self._not_before = True, -float("inf")
            elif self._is_due and self._manifest is not None and self._clock() >= self._not_before:
                await self._take(self._manifest)
                self._is_due, self._has_taken = False, True
                self._has_settled.set()
                _log.info("%s: %s is in effect", FLAG, self._path)
        except TidecastError as error:
            self._not_before = self._clock() + _AGAIN_SECONDS
            self._complain(str(error))
        except Exception as error:  # noqa: BLE001 - the edge of a task that must not take the cycles with it
            self._not_before = self._clock() + _AGAIN_SECONDS
            self._complain(f"{FLAG}: {self._path} cannot be followed: {error!r}; correct it")
        else:
            if not self._is_due:
                self._complaint = ""

    async def _look(self) -> None:
        before, self._seen = self._seen, None  # what comes back is seen for the first time
        text = self._seen = await asyncio.to_thread(content, self._path)
        if text != before or text == self._text:
            return
        # What cannot be followed is not tried again until it changes, and what was in effect before stays.
        self._text, self._manifest, self._is_due = text, None, True
        self._not_before = -float("inf")
        try:
            self._manifest = parse(self._path, text)
        except Misconfigured as error:
            if not self._has_taken:
                raise
            remedy = f"{error.remedy}; until then the Forecaster stays as it is"
            raise Misconfigured(error.field, error.problem, remedy) from error

    def _complain(self, complaint: str) -> None:
        self._has_settled.set()
        if complaint != self._complaint:
            self._complaint = complaint
            _log.error("%s", complaint)


class Applying:
    """
    Applies what the file says to the cluster.

    Args:
        path: The file, for messages.
        forecasters: Where to.
    """

    def __init__(self, path: Path, forecasters: Applies) -> None:
        self._path = path
        self._forecasters = forecasters

    async def take(self, manifest: Manifest) -> None:
        """
        Applies it, by force: the file is the one place where this Forecaster is written.

        Raises:
            TidecastError: If it is not applied; the text says whether the file, a permission or the cluster is why.
        """
        # The label tells whoever cleans up that the object came from here, and may go again.
        body = manifest.to_body({MANAGED_BY: FIELD_MANAGER})
        try:
            outcome = await asyncio.to_thread(self._forecasters.apply, body)
        except WriteRefused as error:
            raise Misconfigured(FLAG, f"{self._path}: {error}", "correct the file; the Forecaster stays") from error
        if outcome is not Outcome.DONE:
            raise ApiServerUnavailable(
                f"{FLAG}: {self._path} is not applied yet: the API server does not know the kind Forecaster; "
                "apply manifests/crds"
            )
