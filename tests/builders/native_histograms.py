"""
A target with a native histogram, which only Prometheus' protobuf format can carry.

https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_HISTOGRAM = 4
_PER_SECOND = 100


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _double(tag: int, value: float) -> bytes:
    return _varint(tag << 3 | 1) + struct.pack("<d", value)


def _bytes(tag: int, value: bytes | str) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def exposition(name: str, labels: Mapping[str, str], count: int) -> bytes:
    """A histogram of *count* observations, all in the bucket of schema 0 that holds (64, 128]."""
    span = _number(1, _zigzag(7)) + _number(2, 1)
    histogram = (
        _number(1, count)
        + _double(2, 100.0 * count)
        + _number(5, _zigzag(0))
        + _double(6, 1e-128)
        + _number(7, 0)
        + _bytes(12, span)
        + _bytes(13, _varint(_zigzag(count)))
    )
    pairs = b"".join(_bytes(1, _bytes(1, label) + _bytes(2, value)) for label, value in labels.items())
    family = _bytes(1, name) + _bytes(2, "") + _number(3, _HISTOGRAM) + _bytes(4, pairs + _bytes(7, histogram))
    return _varint(len(family)) + family


@contextmanager
def target(name: str, labels: Mapping[str, str]) -> Iterator[str]:
    """The `host:port` of a target whose histogram grows by 100 observations a second."""
    start = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", _CONTENT_TYPE)
            self.end_headers()
            self.wfile.write(exposition(name, labels, 1 + int((time.monotonic() - start) * _PER_SECOND)))

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
