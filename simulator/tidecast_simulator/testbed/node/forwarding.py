"""
A port of 127.0.0.1 that passes connections on to whoever is behind a Service at that moment.
"""

import itertools
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from tidecast_simulator.testbed.process import free_port

_CHUNK = 64 * 1024
_CONNECT_SECONDS = 2


class Forwarder:
    """
    Takes connections and passes each on to one of the addresses, in turn; without any it closes them.

    A connection stays with whom it was passed to, as kube-proxy has it.

    Attributes:
        port: Where it listens on 127.0.0.1.

    Args:
        addresses: Asked for each connection.
    """

    def __init__(self, addresses: Callable[[], Sequence[tuple[str, int]]]) -> None:
        self.port = free_port()
        self._addresses = addresses
        self._turn = itertools.count()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._thread = threading.Thread(target=self._accept, name=f"forward {self.port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it with all its connections."""
        with self._lock:
            self._is_closed = True
            connections = list(self._open)
        for one in (self._listening, *connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(_CONNECT_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), name="forwarded", daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client:
            server = self._connected()
            if server is None:
                return
            with server:
                with self._lock:
                    if self._is_closed:
                        return
                    self._open |= {client, server}
                back = threading.Thread(target=_pump, args=(server, client), name="forwarded back", daemon=True)
                back.start()
                _pump(client, server)
                back.join()
                with self._lock:
                    self._open -= {client, server}

    def _connected(self) -> socket.socket | None:
        addresses = sorted(self._addresses())
        first = next(self._turn)
        for i in range(len(addresses)):
            with suppress(OSError):
                connection = socket.create_connection(addresses[(first + i) % len(addresses)], _CONNECT_SECONDS)
                connection.settimeout(None)
                return connection
        return None


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Until the source says that it is done, and then says so to the target."""
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, target):  # the other direction ends too
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
