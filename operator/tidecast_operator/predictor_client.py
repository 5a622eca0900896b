"""
Snapshots to the predictor and forecasts back, over one gRPC channel.

Every call has a deadline. A predictor that cannot be reached is asked again within it, with growing pauses; one that
disagrees about the contract is not. With certificates both sides are verified, and when the files of the own one have
changed, calls go over a new channel while those under way end on the old one.
"""

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeVar

from grpc import StatusCode, aio

from tidecast_contract import wire
from tidecast_contract.forecast import Forecast
from tidecast_contract.rpc import messages, statuses
from tidecast_contract.rpc import tidecast_pb2 as pb
from tidecast_contract.rpc.limits import HISTORY_CHUNK_BYTES, MESSAGE_OPTIONS
from tidecast_contract.rpc.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tidecast_contract.rpc.tidecast_pb2_grpc import TrainingStub
from tidecast_contract.rpc.tls import TlsFiles, TlsReader, UnusableFiles
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus, PredictorStatus
from tidecast_operator.errors import ContractMismatch, PredictorUnavailable

Answer = TypeVar("Answer")

ATTEMPTS = 4
"""How often a call is made while the predictor is unavailable."""

FIRST_PAUSE_SECONDS = 0.25
"""Before the second attempt; every further pause is twice as long, and each is varied by a quarter."""

_OPTIONS = (
    *MESSAGE_OPTIONS,
    # gRPC waits up to two minutes before it connects anew; a predictor that restarts is back within seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A node that is gone sends no reset: pings during a call tell that nobody is there.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

_TLS_OPTIONS = (
    *_OPTIONS,
    # A channel with a new certificate does not go on with the connection of the one before.
    ("grpc.use_local_subchannel_pool", 1),
)

_DISAGREEING = (
    StatusCode.FAILED_PRECONDITION,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.OUT_OF_RANGE,
    StatusCode.UNIMPLEMENTED,
)
"""The predictor understood the call, or whoever listens there did not: another try would end the same way."""


@dataclass(eq=False, slots=True)
class _Connection:
    """
    A channel, and who is using it.

    Attributes:
        channel: Kept open while it is the newest or calls are under way on it.
        calls: How many are under way.
    """

    channel: aio.Channel
    calls: int = 0
    inference: GRPCInferenceServiceStub = field(init=False)
    training: TrainingStub = field(init=False)

    def __post_init__(self) -> None:
        self.inference = GRPCInferenceServiceStub(self.channel)
        self.training = TrainingStub(self.channel)


class PredictorClient:
    """
    The predictor, as the operator sees it. To be made and used on one event loop.

    Args:
        address: host:port of its gRPC server; a connection is made when it is first needed.
        timeout_seconds: How long one call may take, with all its attempts; with history, for each chunk of it.
        tls: The own certificate and the authority of the predictor's; None for a connection without TLS.
        tls_name: The host that the predictor's certificate must be for; left out, that of *address*.
    """

    def __init__(
        self, address: str, *, timeout_seconds: float, tls: TlsFiles | None = None, tls_name: str | None = None
    ) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._reader = None if tls is None else TlsReader(tls)
        named = () if tls_name is None else (("grpc.ssl_target_name_override", tls_name),)
        self._tls_options = (*_TLS_OPTIONS, *named)
        self._newest: _Connection | None = None
        self._open: set[_Connection] = set()
        self._is_closed = False

    async def close(self) -> None:
        """Close the connection; what is under way fails."""
        self._is_closed, self._newest = True, None
        while self._open:
            await self._open.pop().channel.close(None)

    async def status(self) -> PredictorStatus:
        """
        Everything the predictor says about itself.

        Raises:
            PredictorUnavailable: If it does not answer in time.
            ContractMismatch: If it was written for another contract; names both versions.
        """
        request = pb.StatusRequest(contract_version=wire.CONTRACT_VERSION)
        return statuses.from_status(await self._retried(lambda to, left: to.training.Status(request, timeout=left)))

    async def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """
        The forecast of every service of *snapshot* for the next *horizon_steps*.

        Raises:
            PredictorUnavailable: If it does not answer in time.
            ContractMismatch: If the two disagree about the contract, or the answer is not to this question.
        """
        message = wire.encode_snapshot(snapshot, horizon_steps=horizon_steps)
        request = await asyncio.to_thread(messages.to_request, message)
        response = await self._retried(lambda to, left: to.inference.ModelInfer(request, timeout=left))
        forecast = await asyncio.to_thread(lambda: wire.decode_forecast(messages.from_response(response)))
        _check_answers(forecast, snapshot, horizon_steps)
        return forecast

    async def train(self, *, window_steps: int, horizon_steps: int, minimum_history_seconds: int) -> bool:
        """
        Ask for a training with these settings, which the predictor keeps.

        True when one runs now that was started with them; False when the history is too short or another one runs.

        Raises:
            PredictorUnavailable: If it does not answer in time.
            ContractMismatch: If the two disagree about the contract.
        """
        request = pb.TrainRequest(
            contract_version=wire.CONTRACT_VERSION,
            window_steps=window_steps,
            horizon_steps=horizon_steps,
            minimum_history_seconds=minimum_history_seconds,
        )
        reply = await self._retried(lambda to, left: to.training.Train(request, timeout=left))
        wire.check_version(reply.contract_version)
        return reply.started

    async def append_history(self, snapshots: AsyncIterable[Snapshot] | Iterable[Snapshot]) -> HistoryStatus:
        """
        Add *snapshots* to the history, each in chunks of a bounded size; what the predictor holds afterwards.

        What arrived before an error is kept; sending a step twice does no harm.

        Raises:
            PredictorUnavailable: If the predictor does not take a snapshot within the timeout for each of its chunks.
            ContractMismatch: If the two disagree about the contract.
        """
        held = None
        async for snapshot in _each(snapshots):
            held = await self._append(snapshot)
        return held or (await self.status()).history

    async def _append(self, snapshot: Snapshot) -> HistoryStatus:
        parts = list(split(snapshot, HISTORY_CHUNK_BYTES))
        return statuses.from_history_status(
            await self._retried(
                lambda to, left: to.training.AppendHistory(_chunks(parts), timeout=left),
                timeout_seconds=self._timeout_seconds * len(parts),
            )
        )

    async def _retried(
        self, call: Callable[[_Connection, float], Awaitable[Answer]], *, timeout_seconds: float | None = None
    ) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (timeout_seconds or self._timeout_seconds)
        for pause_seconds in (*_pauses(), None):
            connection = await self._connected()
            try:
                return await self._called(connection, call(connection, deadline - loop.time()))
            except aio.AioRpcError as error:
                left_seconds = deadline - loop.time()
                unavailable = error.code() is StatusCode.UNAVAILABLE
                if not unavailable or pause_seconds is None or pause_seconds >= left_seconds:
                    self._refuse(error.code(), error.details())
            await asyncio.sleep(pause_seconds)
        raise AssertionError("the last attempt returns or raises")

    async def _connected(self) -> _Connection:
        """The newest connection; a new one if the certificate's files have changed since that was made."""
        if self._is_closed:
            raise PredictorUnavailable(f"the connection to the predictor at {self._address} was closed")
        if self._reader is None:
            return self._newest or self._opened(aio.insecure_channel(self._address, options=_OPTIONS))
        read = self._reader.read if self._newest is None else self._reader.newer
        try:
            identity = await asyncio.to_thread(read)
        except UnusableFiles as error:
            raise PredictorUnavailable(
                f"the predictor at {self._address} is not asked: the certificate for it cannot be used: {error}"
            ) from error
        # What is opened once this client is closed nobody would close.
        if identity is not None and not self._is_closed:
            # Of two who read the same at the same time, the second makes one connection more than is needed.
            return self._opened(
                aio.secure_channel(self._address, identity.channel_credentials(), options=self._tls_options)
            )
        return self._newest or await self._connected()  # none is left where it was closed meanwhile

    def _opened(self, channel: aio.Channel) -> _Connection:
        self._newest = _Connection(channel)
        self._open.add(self._newest)
        return self._newest

    async def _called(self, connection: _Connection, answer: Awaitable[Answer]) -> Answer:
        connection.calls += 1
        try:
            return await answer
        finally:
            connection.calls -= 1
            await self._close_those_before()

    async def _close_those_before(self) -> None:
        for connection in [one for one in self._open if one is not self._newest and not one.calls]:
            self._open.discard(connection)
            await connection.channel.close(None)

    def _refuse(self, code: StatusCode, details: str | None) -> NoReturn:
        text = f"the predictor at {self._address} answered {code.name}: {details}"
        raise ContractMismatch(text) if code in _DISAGREEING else PredictorUnavailable(text)


def split(snapshot: Snapshot, limit_bytes: int) -> Iterator[Snapshot]:
    """The steps of *snapshot* in order, as snapshots whose values have at most *limit_bytes*, or one step."""
    step_bytes = max(1, snapshot.values[:1].nbytes)
    steps = max(1, limit_bytes // step_bytes)
    for start in range(0, snapshot.steps, steps):
        values = snapshot.values[start : start + steps]
        end_time = snapshot.start_time + (start + len(values) - 1) * snapshot.step_seconds
        yield replace(snapshot, end_time=end_time, values=values)


def _check_answers(forecast: Forecast, snapshot: Snapshot, horizon_steps: int) -> None:
    asked = (snapshot.end_time, snapshot.step_seconds, horizon_steps)
    told = (forecast.issued_time, forecast.step_seconds, forecast.horizon_steps)
    if told != asked:
        raise ContractMismatch(f"asked for (end_time, step_seconds, horizon_steps) = {asked}, told of {told}")
    if forecast.services != snapshot.services:
        raise ContractMismatch(
            f"asked for {len(snapshot.services)} services, told of {len(forecast.services)}, or in another order"
        )


def _pauses() -> Iterator[float]:
    for attempt in range(ATTEMPTS - 1):
        yield FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


async def _chunks(parts: Iterable[Snapshot]) -> AsyncIterator[pb.HistoryChunk]:
    for part in parts:
        yield pb.HistoryChunk(snapshot=await asyncio.to_thread(messages.to_request, wire.encode_snapshot(part)))


async def _each(snapshots: AsyncIterable[Snapshot] | Iterable[Snapshot]) -> AsyncIterator[Snapshot]:
    if isinstance(snapshots, AsyncIterable):
        async for snapshot in snapshots:
            yield snapshot
    else:
        for snapshot in snapshots:
            yield snapshot
