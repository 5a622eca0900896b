"""
The end of the relay that the leading replica speaks on; every replica listens, so that it can lead at any time.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from grpc import StatusCode, aio

from tidecast_operator.grpc_endpoints import TlsFiles, open_port
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.relaying import encoding
from tidecast_operator.relaying import relay_pb2 as pb
from tidecast_operator.relaying.pace import Pace
from tidecast_operator.relaying.relay_pb2_grpc import BoardsServicer, add_BoardsServicer_to_server

_log = logging.getLogger(__name__)

MAX_WATCHERS = 32
"""Streams at once; each may hold one board that is on its way, 4 MB with ten thousand entries."""

_OPTIONS = (
    # Two replicas on one port would each get half of the watchers.
    ("grpc.so_reuseport", 0),
    # All that is ever asked is a version.
    ("grpc.max_receive_message_length", 1024),
    # A watcher that was stopped or cut off sends no reset: pings tell that nobody is there, and free its place.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Clients ping too; the default takes that for an attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class BoardsService(BoardsServicer):
    """
    Answers tidecast.relay.v1.Boards. To be made and used on one event loop.

    Args:
        noticeboard: Whose boards are sent; boards may be shown on it from any thread.
        leads: Whether this replica leads now.
        pace: When signs of life are due.
    """

    def __init__(self, noticeboard: Noticeboard, *, leads: Callable[[], bool], pace: Pace) -> None:
        self._noticeboard = noticeboard
        self._leads = leads
        self._pace = pace
        self._watchers: set[asyncio.Event] = set()
        self._encoding: tuple[Board, asyncio.Task[bytes]] | None = None

    def board_changed(self) -> None:
        """Wakes all who watch. To be called on the event loop."""
        for changed in self._watchers:
            changed.set()

    async def Watch(  # noqa: N802 - gRPC's name
        self, request: pb.WatchRequest, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.BoardMessage]:
        """The newest board, then every newer one, as fast as it is read; what is missed meanwhile is not kept."""
        try:
            encoding.check_version(request.relay_version)
        except encoding.Unreadable as error:
            await context.abort(StatusCode.FAILED_PRECONDITION, str(error))
        changed, sent = asyncio.Event(), None
        self._watchers.add(changed)
        try:
            while self._leads():
                changed.clear()
                message = pb.BoardMessage(relay_version=encoding.RELAY_VERSION)
                board = self._noticeboard.board
                if board is not sent and board.is_known:
                    message.board = await self._encoded(board)
                    sent = board
                message.sent_time = time.time()  # after encoding, which takes a while
                yield message
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.heartbeat_seconds):
                        await changed.wait()
        finally:
            self._watchers.discard(changed)
            if not self._watchers:
                self._encoding = None  # nothing is kept for nobody
        await context.abort(StatusCode.FAILED_PRECONDITION, "this replica does not lead")

    async def _encoded(self, board: Board) -> bytes:
        # Once for all who watch; shielded, so that one who leaves takes nothing from the others.
        if self._encoding is None or self._encoding[0] is not board:
            self._encoding = board, asyncio.create_task(asyncio.to_thread(encoding.encode, board))
        return await asyncio.shield(self._encoding[1])


class RelayServer:
    """
    Listens, and sends the boards of a noticeboard to all who watch.

    Args:
        noticeboard: Whose boards are sent.
        address: host:port; port 0 lets the system choose.
        leads: Whether this replica leads now; as long as not, whoever asks is sent on to the next replica.
        tls: The certificates; None for a port that everyone who reaches it can read.
        pace: When signs of life are due.
    """

    def __init__(
        self,
        noticeboard: Noticeboard,
        address: str,
        *,
        leads: Callable[[], bool],
        tls: TlsFiles | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._noticeboard = noticeboard
        self._address = address
        self._tls = tls
        self._service = BoardsService(noticeboard, leads=leads, pace=pace or Pace())
        self._server: aio.Server | None = None
        self._stop_listening: Callable[[], None] = lambda: None
        self.port = 0

    async def start(self) -> None:
        """
        Open the port.

        Raises:
            Misconfigured: If the port cannot be had, or the certificates cannot be read.
        """
        server = aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_WATCHERS)
        add_BoardsServicer_to_server(self._service, server)
        self.port = await open_port(server, self._address, tls=self._tls, flags="--relay", example="0.0.0.0:8502")
        await server.start()
        self._server = server
        self._stop_listening = self._noticeboard.listen_on_loop(self._service.board_changed)
        _log.info("relaying on port %d", self.port)

    async def stop(self) -> None:
        """End all streams and close the port; whoever watches asks another replica."""
        self._stop_listening()
        if self._server is not None:
            await self._server.stop(None)
