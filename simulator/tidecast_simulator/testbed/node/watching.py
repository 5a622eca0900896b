"""
What a collection of the API holds at present: listed, then watched, and listed again when the watch breaks.
"""

import logging
import threading
import time
from collections.abc import Callable

from tidecast_simulator.testbed.node.api import Api, Body, Stream

_log = logging.getLogger(__name__)
_RETRY_SECONDS, _JOIN_SECONDS, _POLL_SECONDS = 0.5, 10, 0.1


class Watch:
    """
    Follows a collection in a thread of its own; survives a restart of the API server.

    Args:
        api: To read with.
        path: Of the collection.
        changed: Called in that thread with each object that appears, changes or disappears, and whether it is gone.
    """

    def __init__(self, api: Api, path: str, changed: Callable[[Body, bool], None] | None = None) -> None:
        self._api = api
        self._path = path
        self._changed = changed
        self._objects: dict[str, Body] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, and waits for it."""
        self._stopped.set()
        until = time.monotonic() + _JOIN_SECONDS
        while self._thread.is_alive() and time.monotonic() < until:
            # A stream that is just being opened cannot be interrupted yet.
            if self._stream is not None:
                self._stream.interrupt()
            self._thread.join(_POLL_SECONDS)

    @property
    def objects(self) -> list[Body]:
        """All that are there."""
        with self._lock:
            return list(self._objects.values())

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except (OSError, ValueError, AttributeError) as error:
                # An AttributeError is what the connection of an interrupted watch raises.
                _log.debug("%s: %s; again", self._path, error)
                self._stopped.wait(_RETRY_SECONDS)

    def _follow(self) -> None:
        bodies, version = self._api.listed(self._path)
        there = {body["metadata"]["uid"] for body in bodies}
        for body in self.objects:
            if body["metadata"]["uid"] not in there:
                self._see(body, is_gone=True)
        for body in bodies:
            self._see(body, is_gone=False)
        self._stream = self._api.watch(self._path, version)
        for kind, body in self._stream:
            if kind == "ERROR" or self._stopped.is_set():
                return  # the version is too old by now: list again
            if kind != "BOOKMARK":
                self._see(body, is_gone=kind == "DELETED")

    def _see(self, body: Body, *, is_gone: bool) -> None:
        uid = body["metadata"]["uid"]
        with self._lock:
            if is_gone:
                self._objects.pop(uid, None)
            else:
                self._objects[uid] = body
        if self._changed is not None:
            self._changed(body, is_gone)
