"""
The port that KEDA calls.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tidecast_operator.grpc_endpoints import TlsFiles, open_port
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.outlets.keda.bell import Bell
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import add_ExternalScalerServicer_to_server
from tidecast_operator.outlets.keda.scaler_service import ScalerService

_log = logging.getLogger(__name__)

HEALTH_NAMES = ("", "externalscaler.ExternalScaler")
"""What can be asked of grpc.health.v1; the empty name is the whole server."""

MAX_STREAMS = 4096
"""A trigger of type external-push holds two streams; while a ScaledObject changes, it may be twice as many."""

_POLLS = 1024  # at once, beside the streams; each is answered from memory
_MAX_REQUEST_BYTES = 64 * 1024  # of the metadata of one trigger

_OPTIONS = (
    # Two servers on one port would each get half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
    # A node that is gone ends no stream: pings tell that nobody is there.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class KedaServer:
    """
    Answers KEDA until it is stopped; to be made, started and stopped on one event loop.

    Its health is SERVING while the board is of a completed cycle, so that a replica that has nothing to tell can be kept
    out of a Service.

    Args:
        noticeboard: Where all answers come from; boards may be shown from any thread.
        address: host:port to listen on; port 0 takes a free one.
        tls: Where the certificate is kept; None for plain text.
        clock: Unix seconds.
        max_streams: How many streams may be open at once; more are refused, and polls are not.
    """

    def __init__(
        self,
        noticeboard: Noticeboard,
        address: str,
        *,
        tls: TlsFiles | None = None,
        clock: Callable[[], float] = time.time,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self._noticeboard = noticeboard
        self._address = address
        self._tls = tls
        self._bell = Bell()
        self._service = ScalerService(noticeboard, self._bell, clock=clock, max_streams=max_streams)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs know no aio
        self._max_calls = max_streams + _POLLS
        self._server: aio.Server | None = None
        self._telling: asyncio.Task[None] | None = None
        self._deafen: Callable[[], None] = lambda: None
        self._port = 0

    @property
    def port(self) -> int:
        """Where it listens; 0 before it has started."""
        return self._port

    @property
    def open_streams(self) -> int:
        """How many streams are open now."""
        return self._service.open_streams

    async def start(self) -> None:
        """
        Begins to answer.

        Raises:
            Misconfigured: If the address or the certificate cannot be used.
        """
        server = aio.server(options=(*_OPTIONS, *self._waiting()), maximum_concurrent_rpcs=self._max_calls)
        add_ExternalScalerServicer_to_server(self._service, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        self._port = await open_port(server, self._address, tls=self._tls, flags="--keda", example="0.0.0.0:8600")
        await self._tell_health()
        self._deafen = self._noticeboard.listen_on_loop(self._bell.ring)
        self._telling = asyncio.create_task(self._keep_telling_health())
        await server.start()
        self._server = server
        _log.info("KEDA is answered on port %d, %s", self._port, "without TLS" if self._tls is None else "with TLS")

    async def stop(self, grace_seconds: float = 2.0) -> None:
        """Refuses what is new, ends all streams, and lets calls finish within the grace."""
        self._deafen()
        self._bell.end()
        if self._telling is not None:
            await self._telling
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await self._server.stop(grace_seconds)

    def _waiting(self) -> tuple[tuple[str, int], ...]:
        """As many calls may wait to be taken up as may run: after a restart all streams come back at the same moment."""
        names = ("grpc.server.max_pending_requests", "grpc.server.max_pending_requests_hard_limit")
        return tuple((name, self._max_calls) for name in names)

    async def _keep_telling_health(self) -> None:
        while not self._bell.is_over:
            ring = self._bell.next_ring
            await self._tell_health()
            await ring.wait()

    async def _tell_health(self) -> None:
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if self._noticeboard.board.is_known else states.NOT_SERVING
        for name in HEALTH_NAMES:
            await self._health.set(name, status)
