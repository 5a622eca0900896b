# Types of the generated module, for grpc.aio: protoc makes none.

from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from tidecast_operator.outlets.keda import externalscaler_pb2 as pb

class ExternalScalerStub:
    def __init__(self, channel: aio.Channel) -> None: ...
    IsActive: aio.UnaryUnaryMultiCallable[pb.ScaledObjectRef, pb.IsActiveResponse]
    StreamIsActive: aio.UnaryStreamMultiCallable[pb.ScaledObjectRef, pb.IsActiveResponse]
    GetMetricSpec: aio.UnaryUnaryMultiCallable[pb.ScaledObjectRef, pb.GetMetricSpecResponse]
    GetMetrics: aio.UnaryUnaryMultiCallable[pb.GetMetricsRequest, pb.GetMetricsResponse]
    StreamMetricSpec: aio.UnaryStreamMultiCallable[pb.ScaledObjectRef, pb.GetMetricSpecResponse]

class ExternalScalerServicer:
    async def IsActive(
        self, request: pb.ScaledObjectRef, context: aio.ServicerContext[Any, Any]
    ) -> pb.IsActiveResponse: ...
    def StreamIsActive(
        self, request: pb.ScaledObjectRef, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.IsActiveResponse]: ...
    async def GetMetricSpec(
        self, request: pb.ScaledObjectRef, context: aio.ServicerContext[Any, Any]
    ) -> pb.GetMetricSpecResponse: ...
    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.GetMetricsResponse: ...
    def StreamMetricSpec(
        self, request: pb.ScaledObjectRef, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.GetMetricSpecResponse]: ...

def add_ExternalScalerServicer_to_server(servicer: ExternalScalerServicer, server: aio.Server) -> None: ...
