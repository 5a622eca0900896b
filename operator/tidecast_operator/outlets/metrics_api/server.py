"""
The server: lets the front proxy in, reads the noticeboard, and takes over renewed certificates and authorities.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from tidecast_operator.errors import Misconfigured, TidecastError
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.listening import cannot_listen
from tidecast_operator.outlets.metrics_api.answers import Answer, Refused
from tidecast_operator.outlets.metrics_api.certificates import Certificates, KeyPair
from tidecast_operator.outlets.metrics_api.front_proxy import FrontProxy
from tidecast_operator.outlets.metrics_api.routes import Asked, respond
from tidecast_operator.outlets.metrics_api.tls import HANDSHAKE_SECONDS, Gate, common_names

REFRESH_SECONDS = 30.0
"""So long after a certificate or an authority is renewed it may take until it is in use."""

AWAITING_SECONDS = 3.0
"""The same while nobody is answered because there is none."""

_KEEP_SECONDS = 120.0
"""Longer than the API server keeps a connection that it does not use, so that the two never cross."""

_STOP_SECONDS = 5.0
_log = logging.getLogger(__name__)


class MetricsApi:
    """
    Serves from `start` until `stop`; all methods from one event loop.

    Args:
        noticeboard: What autoscalers may be told.
        address: Host and port to listen on; port 0 takes a free one.
        certificates: The server's own.
        front_proxy: Reads the data of the ConfigMap that `front_proxy` names, None if it is not there; synchronous,
            called in a thread.
        clock: Unix seconds.
    """

    def __init__(
        self,
        noticeboard: Noticeboard,
        address: tuple[str, int],
        *,
        certificates: Certificates,
        front_proxy: Callable[[], Mapping[str, str] | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._noticeboard = noticeboard
        self._address = address
        self._certificates = certificates
        self._read_front_proxy = front_proxy
        self._clock = clock
        self._gate = Gate()
        self._taken: KeyPair | None = None
        self._front_proxy: FrontProxy | None = None
        self._has_certificate = False
        self._problem = "not started"
        self._port = address[1]
        self._server = web.Server(self._handle, access_log=None, keepalive_timeout=_KEEP_SECONDS)
        self._listener: asyncio.Server | None = None
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        return self._port

    @property
    def why_not_ready(self) -> str:
        """Why it does not answer everybody that it should; empty if it does."""
        return self._problem

    @property
    def is_shut(self) -> bool:
        """Whether nobody at all is answered: a certificate is awaited, or whom to believe."""
        return self._gate.is_shut

    @property
    def awaits_certificate(self) -> bool:
        """Whether nobody is answered because somebody is still to bring the first certificate."""
        return not self._has_certificate

    async def start(self) -> None:
        """
        Begins to listen, also when there is nobody yet whom it may answer.

        Raises:
            Misconfigured: If the address cannot be listened on.
        """
        await self.refresh()
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._server,
                *self._address,
                ssl=self._gate.listening,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_STOP_SECONDS,
            )
        except OSError as error:
            address = "{}:{}".format(*self._address)
            raise cannot_listen("--metrics-api-address", address, error, example="0.0.0.0:8443") from error
        self._port = int(self._listener.sockets[0].getsockname()[1])
        self._refreshing = asyncio.create_task(self._refresh_forever())

    async def stop(self) -> None:
        """Ends; requests that are under way are answered."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        transports = [connection.transport for connection in self._server.connections]
        await self._server.shutdown(_STOP_SECONDS)
        for transport in transports:
            if transport is not None:
                transport.abort()  # the other end may take half a minute to say farewell
        await asyncio.sleep(0)

    async def refresh(self) -> None:
        """
        Takes over a renewed certificate and authority; happens by itself every `REFRESH_SECONDS`.

        While the API server does not answer, those from before stay. Where it says that there is no authority, nobody is
        answered.
        """
        problem = ""
        try:
            try:
                pair = await asyncio.to_thread(self._certificates.current)
                self._has_certificate = True
            finally:  # that an authority is replaced or taken away counts also while there is no certificate
                front_proxy = await self._front_proxy_now()
                if front_proxy is not None:
                    self._believe(front_proxy)
            if front_proxy is None:
                problem = "whom to believe is not known yet: the API server does not answer"
            elif pair != self._taken or self._gate.is_shut:
                self._gate.take_over(pair)
                self._taken = pair
        except Misconfigured as error:
            problem = str(error)
        if problem and problem != self._problem:
            _log.error("not everybody is answered: %s", problem)
        self._problem = problem

    async def _front_proxy_now(self) -> FrontProxy | None:
        try:
            data = await asyncio.to_thread(self._read_front_proxy)
        except Misconfigured:
            raise
        except TidecastError as error:
            if self._front_proxy is not None:
                _log.warning("whom to believe cannot be read, what was read before still holds: %s", error)
            return self._front_proxy
        try:
            return FrontProxy.parse(data)
        except Misconfigured:
            self._shut()
            raise

    def _believe(self, front_proxy: FrontProxy) -> None:
        if front_proxy != self._front_proxy:
            self._gate.believe(front_proxy.authorities)
            self._front_proxy = front_proxy
            self._end_connections()

    def _shut(self) -> None:
        self._gate.shut()
        self._front_proxy = None
        self._end_connections()

    def _end_connections(self) -> None:
        """Those that are open were let in by other authorities. Whoever is right comes again by itself."""
        for connection in self._server.connections:
            connection.force_close()  # `close` leaves one open that is idle

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(AWAITING_SECONDS if self.is_shut else REFRESH_SECONDS)
            await self.refresh()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            self._admit(request)
            asked = Asked(
                request.path,
                request.query,
                request.method,
                ",".join(request.headers.getall("Accept", [])),
                request.headers.get("If-None-Match", ""),
            )
            answer = respond(asked, self._noticeboard.board, now=self._clock(), why_not_ready=self._problem)
        except Refused as refused:
            answer = refused.answer()
        response = _response(answer)
        if answer.code is HTTPStatus.UNAUTHORIZED:
            response.force_close()
        return response

    def _admit(self, request: web.BaseRequest) -> None:
        connection = request.get_extra_info("ssl_object")
        if (
            self._front_proxy is None
            or not isinstance(connection, ssl.SSLObject)
            or not self._gate.is_current(connection)
        ):
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "this connection is from before the authorities changed: connect again"
            )
        headers = {name.lower(): request.headers.getall(name) for name in request.headers}
        caller = self._front_proxy.caller(common_names(connection), headers)
        _log.debug("%s of %s asks for %s", caller.name, caller.groups, request.path)


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return web.Response(body=answer.body, status=answer.code, headers=headers)
