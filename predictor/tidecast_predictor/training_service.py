"""
What the Open Inference Protocol has no word for: history in, training, and what the predictor says about itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from grpc import aio

from tidecast_contract import wire
from tidecast_contract.errors import ContractMismatch
from tidecast_contract.rpc import messages, statuses
from tidecast_contract.rpc import tidecast_pb2 as pb
from tidecast_contract.rpc.limits import MAX_HISTORY_CHUNK_STEPS
from tidecast_contract.rpc.tidecast_pb2_grpc import TrainingServicer
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus
from tidecast_predictor.engine import Engine, LateEngine
from tidecast_predictor.refusals import check_sizes, refusal_of
from tidecast_predictor.retraining import Retraining

_Context = aio.ServicerContext[Any, Any]

_AHEAD_SECONDS, _AHEAD_STEPS = 300, 2
"""How far the caller's clock may be ahead of the own one: so many seconds, or steps where those are longer."""


class TrainingService(TrainingServicer):
    """
    Answers tidecast.v1alpha1.Training.

    Args:
        engine: What remembers and learns, as soon as it is loaded.
        retraining: What decides on trainings; a request for one goes through it.
        clock: The time, unix seconds: nothing is measured after it.
    """

    def __init__(self, engine: LateEngine, retraining: Retraining, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._retraining = retraining
        self._clock = clock

    async def AppendHistory(
        self, request_iterator: AsyncIterator[pb.HistoryChunk], context: _Context
    ) -> pb.HistoryStatus:
        """Take in every chunk as it comes; says what is held at the end."""
        try:
            history = await self._take(request_iterator)
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes a status
            await context.abort(*refusal_of(error))
        return statuses.to_history_status(history)

    async def Train(self, request: pb.TrainRequest, context: _Context) -> pb.TrainReply:
        """Start a training with the settings of *request*, which hold from now on."""
        try:
            wire.check_version(request.contract_version)
            started = await self._retraining.ask(
                self._engine.get(),
                window_steps=request.window_steps,
                horizon_steps=request.horizon_steps,
                minimum_history_seconds=request.minimum_history_seconds,
            )
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes a status
            await context.abort(*refusal_of(error))
        return pb.TrainReply(contract_version=wire.CONTRACT_VERSION, started=started)

    async def Status(self, request: pb.StatusRequest, context: _Context) -> pb.PredictorStatus:
        """Everything the predictor says about itself."""
        try:
            wire.check_version(request.contract_version)
            status = await asyncio.to_thread(self._engine.get().status)
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes a status
            await context.abort(*refusal_of(error))
        return statuses.to_status(status)

    async def _take(self, chunks: AsyncIterator[pb.HistoryChunk]) -> HistoryStatus:
        failure: Exception | None = None
        async for chunk in chunks:
            # A status that arrives while the caller still writes can get lost on its side, and all it sees is a broken
            # stream. So what is wrong is told at the end, and the rest is dropped until then.
            if failure is None:
                try:
                    await asyncio.to_thread(_append, self._engine.get(), chunk, now=int(self._clock()))
                except Exception as error:  # noqa: BLE001 - raised again below
                    failure = error
        if failure is not None:
            raise failure
        return await asyncio.to_thread(self._engine.get().history.status)


def _append(engine: Engine, chunk: pb.HistoryChunk, *, now: int) -> None:
    snapshot = wire.decode_snapshot(messages.from_request(chunk.snapshot))
    check_sizes(snapshot, max_steps=MAX_HISTORY_CHUNK_STEPS)
    if not snapshot.services:
        raise ContractMismatch("tensor 'services' is empty; send only steps in which there was a service")
    _check_time(snapshot, now=now)
    engine.history.append(snapshot)


def _check_time(snapshot: Snapshot, *, now: int) -> None:
    """Refuse steps of the future: a history that reaches there forgets what is older, and takes in nothing until then."""
    ahead_seconds = snapshot.end_time - now
    allowed_seconds = max(_AHEAD_SECONDS, _AHEAD_STEPS * snapshot.step_seconds)
    if ahead_seconds > allowed_seconds:
        raise ContractMismatch(
            f"parameter 'end_time' is {snapshot.end_time}, {ahead_seconds} s after the clock of the predictor; "
            f"{allowed_seconds} s are allowed: set the clocks of both nodes"
        )
