"""
/healthz, /readyz and /metrics over HTTP, in threads of their own: a stuck event loop cannot make them say that all is
well.
"""

import gzip
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tidecast_operator.listening import cannot_listen

_LARGE = 16 * 1024


class Health:
    """
    The age of the last completed cycle, and what follows from it.

    A cycle completes when it forecasts, when it handles what kept it from that, and when it stands by: none of them
    gets better by a restart. It does not complete when it hangs, or breaks on an error that nobody expected.

    Args:
        why_not_ready: What else keeps it from being ready, in words; empty if nothing does. It is no reason for a restart.
        clock: Seconds since any time.
    """

    def __init__(
        self, *, why_not_ready: Callable[[], str] = lambda: "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._why_not_ready = why_not_ready
        self._clock = clock
        self._completed_at = clock()
        self._step_seconds = 60
        self._is_ready = False

    def completed(self, *, step_seconds: int) -> None:
        """A cycle has completed; the next one is due within *step_seconds*."""
        self._completed_at = self._clock()
        self._step_seconds = step_seconds
        self._is_ready = True

    @property
    def age_seconds(self) -> float:
        """Since the last completed cycle, or since the start."""
        return self._clock() - self._completed_at

    @property
    def limit_seconds(self) -> float:
        """The age from which on the operator counts as stuck."""
        return max(300.0, 5 * self._step_seconds)

    @property
    def is_healthy(self) -> bool:
        """Whether cycles complete."""
        return self.age_seconds < self.limit_seconds

    @property
    def why_not_ready(self) -> str:
        """Why others are not to be sent here; empty if they may be."""
        if not self._is_ready:
            return "no cycle has completed since the start"
        return self._why_not_ready() if self.is_healthy else "cycles do not complete any more"


class HealthServer:
    """
    Serves until it is stopped.

    Args:
        address: Host and port to listen on; port 0 takes a free one.
        health: What it tells.
        metrics: The exposition.

    Raises:
        Misconfigured: If the address cannot be listened on.
    """

    def __init__(self, address: tuple[str, int], health: Health, *, metrics: Callable[[], bytes]) -> None:
        try:
            self._server = ThreadingHTTPServer(address, _handler(health, metrics))
        except OSError as error:
            raise cannot_listen("--http-address", "{}:{}".format(*address), error, example="0.0.0.0:8080") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; returns when no more requests are answered."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(health: Health, metrics: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = _answer(self.path.partition("?")[0], health, metrics)
            self.send_response(status)
            if len(body) > _LARGE and "gzip" in self.headers.get("Accept-Encoding", ""):
                body = gzip.compress(body, compresslevel=1)  # series of a thousand services shrink to a sixteenth
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass  # probes come every few seconds

    return Handler


def _answer(path: str, health: Health, metrics: Callable[[], bytes]) -> tuple[HTTPStatus, bytes]:
    if path == "/metrics":
        return HTTPStatus.OK, metrics()
    if path not in ("/healthz", "/readyz"):
        return HTTPStatus.NOT_FOUND, b"try /healthz, /readyz or /metrics\n"
    text = f"last completed cycle {health.age_seconds:.0f} s ago, stuck from {health.limit_seconds:.0f} s on\n"
    good = health.is_healthy
    if path == "/readyz":
        why_not = health.why_not_ready
        good, text = not why_not, f"not ready: {why_not}\n{text}" if why_not else text
    return (HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE), text.encode()
