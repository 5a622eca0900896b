"""
The last gate before a write: it is asked when the bytes are about to leave, not when somebody has decided to write.

Between the decision and the bytes a process can stand still for a minute: stopped, starved, or waiting for a
connection. Another replica leads by then. So connections themselves ask, before each piece that they send. What was
sent in time is over in time too: the API server is told to give up a write that takes long, and so is the client.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from tidecast_operator.errors import TemporarilyUnavailable

WRITE_SECONDS = 4
"""A write that was begun while this replica led is over so much later, done or not."""

_READING = ("GET", "HEAD", "OPTIONS")


class LeadershipLost(TemporarilyUnavailable):
    """
    This replica leads no more, so it must not write.
    """


def uptime() -> float:
    """
    Seconds that also pass while the machine sleeps, where the system counts them.
    """
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


class Fence:
    """
    Lets writes through until a moment that is put off again and again as long as this replica leads; thread-safe.

    Args:
        clock: Seconds that go on while this process does not.
    """

    def __init__(self, *, clock: Callable[[], float] = uptime) -> None:
        self._clock = clock
        self._open_until = -float("inf")
        self._is_over = False
        self._under_way = 0
        self._changed = threading.Condition()

    @property
    def is_open(self) -> bool:
        """Whether writes may begin now."""
        return not self._is_over and self._clock() < self._open_until

    def open_until(self, moment: float) -> None:
        """Writes may begin until *moment* of the clock."""
        self._open_until = moment

    def shut(self) -> None:
        """No write begins any more; those under way go on."""
        self._open_until = -float("inf")

    def end(self) -> None:
        """The same for good: a renewal that is just ending opens it no more."""
        self._is_over = True
        self.shut()

    def check(self) -> None:
        """
        Raises:
            LeadershipLost: If no write may begin now.
        """
        if not self.is_open:
            raise LeadershipLost("this replica leads no more, so it does not write")

    def enter(self) -> None:
        """
        A write begins; `leave` has to follow.

        Raises:
            LeadershipLost: If it may not.
        """
        self.check()
        with self._changed:
            self._under_way += 1

    def leave(self) -> None:
        """A write is over, whatever became of it."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def wait_until_clear(self, seconds: float) -> bool:
        """Waits for the writes under way, at most so long; whether none is left."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._under_way, timeout=seconds)


def fence_in(api_client: Any, fence: Fence) -> None:
    """From now on no write leaves this client of the Kubernetes API but through *fence*; what only reads does."""

    class Plain(_Fenced, HTTPConnection):
        pass

    class Encrypted(_Fenced, HTTPSConnection):
        pass

    Plain.fence = Encrypted.fence = fence
    api_client.rest_client.pool_manager.pool_classes_by_scheme = {
        "http": type("FencedPool", (HTTPConnectionPool,), {"ConnectionCls": Plain}),
        "https": type("FencedPool", (HTTPSConnectionPool,), {"ConnectionCls": Encrypted}),
    }


class _Fenced(HTTPConnection):
    """
    A connection that asks before it writes.

    Attributes:
        fence: Who is asked.
    """

    fence: ClassVar[Fence]
    _is_writing = False

    def request(self, method: str, url: str, *arguments: Any, **options: Any) -> None:
        if method.upper() in _READING:
            super().request(method, url, *arguments, **options)
            return
        self.fence.enter()
        self._is_writing = True
        super().request(method, _giving_up(url), *arguments, **options)

    def connect(self) -> None:
        super().connect()
        # Else the kernel sends what it holds for a quarter of an hour, also while this process stands still or is gone.
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux alone
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, WRITE_SECONDS * 1000)

    def send(self, data: Any) -> None:
        if self._is_writing:
            if self.sock is None:
                self.connect()
            self.fence.check()  # once more: to here much may have happened
        super().send(data)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        if not self._is_writing:
            return super().getresponse()
        self.timeout = WRITE_SECONDS
        try:
            return super().getresponse()
        except BaseException:
            self._take_back()
            raise
        finally:
            self._over()

    def close(self) -> None:
        if self._is_writing:  # after whatever went wrong, the connection is closed
            self._take_back()
        self._over()
        super().close()

    def _take_back(self) -> None:
        """What has not arrived by now must not arrive later: closing resets the connection, and drops it."""
        with suppress(OSError, AttributeError):  # it is closed already
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _over(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self.fence.leave()


def _giving_up(url: str) -> str:
    """The API server ends a write after this time, also if it has stood in its queue meanwhile."""
    return f"{url}{'&' if '?' in url else '?'}timeout={WRITE_SECONDS}s"
