"""
A few pages over HTTP, for probes and Prometheus, on the server's own event loop: they answer only while it turns.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

logger = logging.getLogger(__name__)

READ_SECONDS = 5.0
"""How long a client may take over its request."""


@dataclass(frozen=True, slots=True)
class Page:
    """
    What a path answers.
    """

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Awaitable[Page]]]


class HttpEndpoint:
    """
    Answers GET and HEAD for a handful of paths, one request a connection.

    Args:
        pages: What makes the page of each path.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which the system chooses when *port* is 0. Raises OSError when it cannot."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            method, path = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")[:2]
            page = await self._page(method, path.split("?")[0])
            writer.write(_response(page, with_body=method != "HEAD"))
            await writer.drain()
        except (TimeoutError, OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            logger.debug("no answer to a request over HTTP: %s", error)
        finally:
            writer.close()

    async def _page(self, method: str, path: str) -> Page:
        if method not in ("GET", "HEAD"):
            return Page(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n")
        if path not in self._pages:
            return Page(HTTPStatus.NOT_FOUND, f"there are {', '.join(self._pages)}\n".encode())
        try:
            return await self._pages[path]()
        except Exception:
            logger.exception("page %s failed", path)
            return Page(HTTPStatus.INTERNAL_SERVER_ERROR, b"failed; see the log\n")


def _response(page: Page, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (page.body if with_body else b"")
