"""
A server that misbehaves as it is told, and otherwise passes requests on to a real one.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import requests

EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}

Fault = Callable[[BaseHTTPRequestHandler], None]


@dataclass(slots=True)
class FaultyServer:
    """
    Attributes:
        url: Where it listens.
        faults: What it does to the next requests, one each; after them it behaves.
        answer: What it answers when it behaves and has no upstream.
        upstream: Who answers when it behaves; "" for itself.
        requests: What was asked: path, headers and form.
    """

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=lambda: dict(EMPTY))
    upstream: str = ""
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


def answers(status: int, body: Any = b"", **headers: str) -> Fault:
    """Answers that instead."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def fault(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return fault


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    """Sends half an answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status": "success"')
    handler.close_connection = True


def hangs(handler: BaseHTTPRequestHandler) -> None:
    """Says nothing until the test is over."""
    handler.server.state.released.wait(20)  # type: ignore[attr-defined]
    handler.close_connection = True


def trickles(handler: BaseHTTPRequestHandler) -> None:
    """Sends an answer that never ends, a byte at a time."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.state.released.wait(0.02):  # type: ignore[attr-defined]
        handler.wfile.write(b"1\r\n \r\n")
        handler.wfile.flush()


@contextmanager
def faulty_server(*faults: Fault, upstream: str = "") -> Iterator[FaultyServer]:
    """A server that listens until the end of the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = FaultyServer(f"http://127.0.0.1:{server.server_port}", list(faults), upstream=upstream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.state
    finally:
        server.state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: FaultyServer

    def handle_error(self, *_: Any) -> None:
        """A client that gave up is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        state.requests.append((self.path, dict(self.headers), dict(parse_qsl(body.decode()))))
        if state.faults:
            state.faults.pop(0)(self)
        elif state.upstream:
            self._pass_on(state.upstream, body)
        else:
            answers(200, state.answer)(self)

    def _pass_on(self, upstream: str, body: bytes) -> None:
        reply = requests.post(
            upstream + self.path, data=body, headers={"Content-Type": self.headers["Content-Type"]}, timeout=20
        )
        answers(reply.status_code, reply.content)(self)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""
