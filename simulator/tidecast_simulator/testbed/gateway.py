"""
Stands between the operator and Prometheus, and on request behaves like a Prometheus on a bad day.

Knows HTTP and the form of Prometheus' answers, and nothing of metrics.
"""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import requests


@dataclass(frozen=True, slots=True)
class Fault:
    """
    What is wrong.

    Attributes:
        status: Answer every request with this code and no data; None to pass requests on.
        delay_seconds: Wait so long before an answer.
        keep: Whether a series stays in an answer, by its labels; None to keep all.
    """

    status: int | None = None
    delay_seconds: float = 0.0
    keep: Callable[[dict[str, str]], bool] | None = None


def half_of_the_series(labels: dict[str, str]) -> bool:
    """A `Fault.keep` that drops about every second series, always the same."""
    return zlib.crc32(repr(sorted(labels.items())).encode()) % 2 == 0


def no_series(_labels: dict[str, str]) -> bool:
    """A `Fault.keep` that drops all: an empty Prometheus."""
    return False


HEALTHY = Fault()


class Gateway:
    """
    An HTTP server that passes requests on to *upstream*; use it as a context manager.

    Attributes:
        url: Its own address.
        fault: What is wrong at present; set it, or use `suffering`.
        requests: How many requests came, whatever the answer.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.fault = HEALTHY
        self.requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._session = requests.Session()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        """Have a fault within the block."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = HEALTHY

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body for a request."""
        self.requests += 1
        fault = self.fault
        time.sleep(fault.delay_seconds)
        if fault.status is not None:
            return fault.status, "text/plain", b"unavailable"
        try:
            answer = self._session.request(method, self.upstream + path, data=body, headers=headers, timeout=120)
        except requests.RequestException as error:
            return 502, "text/plain", str(error).encode()
        kind = answer.headers.get("Content-Type", "text/plain")
        if fault.keep is None or not kind.startswith("application/json"):
            return answer.status_code, kind, answer.content
        return answer.status_code, kind, json.dumps(_filtered(answer.json(), fault.keep)).encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._session.close()


def _filtered(answer: dict[str, Any], keep: Callable[[dict[str, str]], bool]) -> dict[str, Any]:
    data = answer.get("data")
    if isinstance(data, dict) and isinstance(data.get("result"), list):
        data["result"] = [series for series in data["result"] if keep(series["metric"])]
    return answer


def _handler_of(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
            status, kind, content = gateway.answer(self.command, self.path, headers, body)
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # whoever asked has given up

        do_GET = do_POST = _pass_on  # noqa: N815 (the names that http.server looks for)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
