# Types of the generated module, for grpc.aio: protoc makes none.

from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from tidecast_operator.relaying import relay_pb2 as pb

class BoardsStub:
    def __init__(self, channel: aio.Channel) -> None: ...
    Watch: aio.UnaryStreamMultiCallable[pb.WatchRequest, pb.BoardMessage]

class BoardsServicer:
    def Watch(
        self, request: pb.WatchRequest, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.BoardMessage]: ...

def add_BoardsServicer_to_server(servicer: BoardsServicer, server: aio.Server) -> None: ...
