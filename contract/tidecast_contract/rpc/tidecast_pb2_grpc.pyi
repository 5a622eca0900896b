# Types of the generated module, for grpc.aio: protoc makes none.

from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from tidecast_contract.rpc import tidecast_pb2 as pb

class TrainingStub:
    def __init__(self, channel: aio.Channel) -> None: ...
    AppendHistory: aio.StreamUnaryMultiCallable[pb.HistoryChunk, pb.HistoryStatus]
    Train: aio.UnaryUnaryMultiCallable[pb.TrainRequest, pb.TrainReply]
    Status: aio.UnaryUnaryMultiCallable[pb.StatusRequest, pb.PredictorStatus]

class TrainingServicer:
    async def AppendHistory(
        self, request_iterator: AsyncIterator[pb.HistoryChunk], context: aio.ServicerContext[Any, Any]
    ) -> pb.HistoryStatus: ...
    async def Train(self, request: pb.TrainRequest, context: aio.ServicerContext[Any, Any]) -> pb.TrainReply: ...
    async def Status(self, request: pb.StatusRequest, context: aio.ServicerContext[Any, Any]) -> pb.PredictorStatus: ...

def add_TrainingServicer_to_server(servicer: TrainingServicer, server: aio.Server) -> None: ...
