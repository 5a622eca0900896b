# Types of the generated module, for grpc.aio: protoc makes none.

from typing import Any

from grpc import aio

from tidecast_contract.rpc import open_inference_pb2 as pb

class GRPCInferenceServiceStub:
    def __init__(self, channel: aio.Channel) -> None: ...
    ServerLive: aio.UnaryUnaryMultiCallable[pb.ServerLiveRequest, pb.ServerLiveResponse]
    ServerReady: aio.UnaryUnaryMultiCallable[pb.ServerReadyRequest, pb.ServerReadyResponse]
    ModelReady: aio.UnaryUnaryMultiCallable[pb.ModelReadyRequest, pb.ModelReadyResponse]
    ServerMetadata: aio.UnaryUnaryMultiCallable[pb.ServerMetadataRequest, pb.ServerMetadataResponse]
    ModelMetadata: aio.UnaryUnaryMultiCallable[pb.ModelMetadataRequest, pb.ModelMetadataResponse]
    ModelInfer: aio.UnaryUnaryMultiCallable[pb.ModelInferRequest, pb.ModelInferResponse]

class GRPCInferenceServiceServicer:
    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.ServerLiveResponse: ...
    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.ServerReadyResponse: ...
    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.ModelReadyResponse: ...
    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.ServerMetadataResponse: ...
    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.ModelMetadataResponse: ...
    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.ModelInferResponse: ...

def add_GRPCInferenceServiceServicer_to_server(servicer: GRPCInferenceServiceServicer, server: aio.Server) -> None: ...
