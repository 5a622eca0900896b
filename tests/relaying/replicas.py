"""
Replicas on loopback, and the name that they are found by.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from builders.hints import NOW, entry
from tidecast_operator.grpc_endpoints import TlsFiles
from tidecast_operator.hints.board import Board, Entry, Noticeboard
from tidecast_operator.relaying.client import RelayClient
from tidecast_operator.relaying.pace import Pace
from tidecast_operator.relaying.server import RelayServer

SOON = Pace(heartbeat_seconds=0.02, first_pause_seconds=0.01, longest_pause_seconds=0.05)
"""Quick to notice what can be noticed, patient with a busy machine."""

NAME = "tidecast-relay"


def board(time: int = NOW, *entries: Entry) -> Board:
    """A board of one cycle, with the checkout unless entries are given."""
    return Board(time, {one.key: one for one in entries or (entry(),)}, is_known=True)


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it holds; fails when it does not for long."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it is others' work that is waited for
            await asyncio.sleep(0.005)


@dataclass
class Replica:
    """
    One replica: a noticeboard, whether it leads, and both ends of the relay.

    Attributes:
        leads: As its Lease says.
        shown: Times of all boards that hung on its noticeboard.
        asked: How often it was asked whether it leads.
    """

    leads: bool = False
    noticeboard: Noticeboard = field(default_factory=Noticeboard)
    shown: list[int] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self.noticeboard.listen(lambda board: self.shown.append(board.time))

    def is_leader(self) -> bool:
        self.asked += 1
        return self.leads

    def show(self, time: int = NOW) -> None:
        """A cycle of its own has completed."""
        self.noticeboard.show(board(time))

    async def has(self, time: int) -> None:
        """Returns when the board of that time hangs here."""
        await until(lambda: self.noticeboard.board.time == time)

    async def keeps_on(self, times: int = 20) -> None:
        """Returns when it was asked so often whether it leads: after many signs of life, or many attempts."""
        before = self.asked
        await until(lambda: self.asked >= before + times)


@dataclass
class Network:
    """
    Replicas that find each other by a name, each at an address of its own and all at one port.

    Attributes:
        addresses: What the name stands for at present; None while nobody can tell.
        port: Of all servers.
    """

    stack: AsyncExitStack
    addresses: list[str] | None
    port: int

    async def serve(
        self, replica: Replica, host: str, *, pace: Pace = SOON, tls: TlsFiles | None = None
    ) -> RelayServer:
        """Starts the server of *replica* at *host*."""
        server = RelayServer(replica.noticeboard, f"{host}:{self.port}", leads=replica.is_leader, tls=tls, pace=pace)
        await server.start()
        self.stack.push_async_callback(server.stop)
        return server

    def client(self, replica: Replica, *, pace: Pace = SOON, tls: TlsFiles | None = None) -> RelayClient:
        """The client of *replica*, which does not follow yet."""
        return RelayClient(f"{NAME}:{self.port}", replica.noticeboard, leads=replica.is_leader, tls=tls, pace=pace)

    def follow(self, replica: Replica, *, pace: Pace = SOON, tls: TlsFiles | None = None) -> asyncio.Task[None]:
        """Starts the client of *replica*."""
        return self.run(self.client(replica, pace=pace, tls=tls))

    def run(self, client: RelayClient) -> asyncio.Task[None]:
        """Starts a client."""
        task = asyncio.create_task(client.run())
        self.stack.push_async_callback(_ended, task)
        return task


async def _ended(task: asyncio.Task[None]) -> None:
    # What a client did not survive is an error of the test.
    was_over = task.done()
    task.cancel()
    await asyncio.wait([task])
    if was_over:
        task.result()
