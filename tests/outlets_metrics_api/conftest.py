"""
A metrics API on loopback, what it reads, and clients for it.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest_asyncio

from builders.hints import entry
from builders.metrics_api import NAMES, Authority, Client, board, config_map
from tidecast_operator.errors import TidecastError
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.outlets.metrics_api.certificates import SelfSigned
from tidecast_operator.outlets.metrics_api.server import MetricsApi


class Standing:
    """
    A server with its surroundings, which a test changes.

    Attributes:
        noticeboard: With a hint for the checkout that holds for ten minutes.
        authority: Of the front proxy.
        config_map: What the API server says of the front proxy; an error is raised.
        certificates: Of the server; they hold for a month still.
        api: The server, not started yet.
        clock: Of the server; set its first item.
        renewal_clock: Of its certificates, two months behind; set its first item.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = [time.time()]
        now = int(self.clock[0])
        self.noticeboard = Noticeboard()
        self.noticeboard.show(board(entry(issued_time=now, expire_time=now + 600)))
        self.authority = Authority()
        self.config_map: Mapping[str, str] | TidecastError | None = config_map(self.authority.pem)
        self.renewal_clock = [self.clock[0] - 61 * 86_400]
        self.certificates = SelfSigned(folder / "server", NAMES, clock=lambda: self.renewal_clock[0])
        self.api = MetricsApi(
            self.noticeboard,
            ("127.0.0.1", 0),
            certificates=self.certificates,
            front_proxy=self._read,
            clock=lambda: self.clock[0],
        )
        self._clients: list[Client] = []

    def client(self, certificate: Path | None = None, *, shows_none: bool = False) -> Client:
        """A client, with a front proxy's certificate unless another one is given."""
        shown = None if shows_none else certificate or self.authority.client(self.folder)
        client = Client(self.api.port, self.certificates.ca_bundle, shown)
        self._clients.append(client)
        return client

    def withhold(self, why: str) -> None:
        """Takes back the hint for the checkout."""
        shown = self.noticeboard.board.entries["shop", "checkout"]
        self.noticeboard.show(board(dataclasses.replace(shown, withheld=why)))

    async def stop(self) -> None:
        """Ends all of it."""
        for client in self._clients:
            await client.close()
        await self.api.stop()

    def _read(self) -> Mapping[str, str] | None:
        if isinstance(self.config_map, TidecastError):
            raise self.config_map
        return self.config_map


@pytest_asyncio.fixture
async def standing(tmp_path: Path) -> Callable[[], Standing]:
    """A server that is not started yet."""
    made = Standing(tmp_path)
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def started(standing: Standing) -> Standing:
    """A server that listens."""
    await standing.api.start()
    return standing
