"""
The end of the relay that all other replicas have: finds the leader, and shows its boards on the own noticeboard.

When the leader is lost, the last board stays: its entries expire by themselves.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from grpc import aio

from tidecast_operator.grpc_endpoints import TlsFiles, channel_credentials
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.relaying import addresses, encoding
from tidecast_operator.relaying import relay_pb2 as pb
from tidecast_operator.relaying.pace import Pace
from tidecast_operator.relaying.relay_pb2_grpc import BoardsStub

_log = logging.getLogger(__name__)

MAX_BOARD_BYTES = 64 * 1024 * 1024
"""Ten thousand entries are 4 MB; gRPC's own limit is 4 MiB."""

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_receive_message_length", MAX_BOARD_BYTES),
    # Replicas are reached directly, whatever proxy the rest of the process uses.
    ("grpc.enable_http_proxy", 0),
    # A channel of its own does not wait because an earlier one to the same address failed.
    ("grpc.use_local_subchannel_pool", 1),
)


_CLOCKS_AGREE_SECONDS = 2.0  # the way takes some time too
FAILURES_BEFORE_WARNING = 8
"""A new leader is there within half a minute, and no pause between attempts is long: so many in a row are not usual."""


class RelayClient:
    """
    Keeps a noticeboard as the leader's is, as long as this replica does not lead.

    Args:
        target: host:port of all replicas; every address of the host is asked until one leads. Own addresses may be
            among them.
        noticeboard: Where the boards are shown; only such as are newer than what hangs there.
        leads: Whether this replica leads now; then nobody is asked and nothing is shown.
        tls: The certificates, if the servers have some; theirs must be for the host of *target*.
        pace: How long to wait for whom.

    Raises:
        Misconfigured: If *target* is not host and port.
    """

    def __init__(
        self,
        target: str,
        noticeboard: Noticeboard,
        *,
        leads: Callable[[], bool],
        tls: TlsFiles | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._host, self._port = addresses.split("--relay-target", target)
        self._noticeboard = noticeboard
        self._leads = leads
        self._tls = tls
        self._pace = pace or Pace()
        self._heard = False

    @property
    def is_connected(self) -> bool:
        """Whether the leader is heard now. In any thread."""
        return self._heard

    async def run(self) -> None:
        """Follow whoever leads, until cancelled."""
        failures = 0
        while True:
            if self._leads():
                failures = 0
                await asyncio.sleep(self._pace.heartbeat_seconds)
                continue
            refusals = await self._follow()
            failures = 1 if self._heard else failures + 1
            self._heard = False
            if failures == FAILURES_BEFORE_WARNING:
                _log.warning("no replica relays, the last board ages: %s", "; ".join(refusals))
            await asyncio.sleep(self._pace.pause_seconds(failures))

    async def _follow(self) -> list[str]:
        """Asks one address after the other, stays with the first that streams, and tells why the others did not."""
        try:
            found = await addresses.resolve(self._host, self._port)
        except (OSError, UnicodeError) as error:  # the latter for what cannot be a name
            return [f"{self._host}: {error}"]
        refusals: list[str] = []
        for address in found:
            try:
                await self._watch(address)
                reason = "this replica leads"
            except (aio.AioRpcError, OSError, encoding.Unreadable) as error:
                reason = _told(error)
            if self._heard:
                _log.info("no longer following %s: %s", address, reason)
                break
            refusals.append(f"{address}: {reason}")
        return refusals

    async def _watch(self, address: str) -> None:
        """Shows what *address* sends; returns when this replica leads, raises when the stream ends."""
        async with await self._channel(address) as channel:
            call = BoardsStub(channel).Watch(pb.WatchRequest(relay_version=encoding.RELAY_VERSION))
            patience = self._pace.answer_seconds
            while not self._leads():
                async with asyncio.timeout(patience):
                    message = await call.read()
                if not isinstance(message, pb.BoardMessage):
                    raise OSError("the stream has ended")
                encoding.check_version(message.relay_version)
                if message.HasField("board"):
                    ahead = message.sent_time - time.time() if message.HasField("sent_time") else 0.0
                    board = await asyncio.to_thread(encoding.decode, message.board)
                    self._show(board if abs(ahead) < _CLOCKS_AGREE_SECONDS else board.later(-round(ahead)))
                if not self._heard:
                    _log.info("following %s", address)
                self._heard = True
                patience = self._pace.silence_seconds

    def _show(self, board: Board) -> None:
        # Of two leaders at once, or of one with a clock that is behind, the newer board stays.
        if not self._leads() and board.is_known:
            self._noticeboard.show_if_newer(board)

    async def _channel(self, address: str) -> aio.Channel:
        if self._tls is None:
            return aio.insecure_channel(address, options=_OPTIONS)
        credentials = await asyncio.to_thread(channel_credentials, self._tls)
        options = _OPTIONS
        if addresses.is_name(self._host):
            # The connection goes to an address, the certificate is for the name.
            options = (*_OPTIONS, ("grpc.ssl_target_name_override", self._host))
        return aio.secure_channel(address, credentials, options=options)


def _told(error: Exception) -> str:
    if isinstance(error, aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error)
