"""
The Open Inference Protocol: what is served, whether it is ready, and forecasts.

The work is done in threads, so that the event loop stays free for health checks.
"""

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from importlib import metadata
from typing import Any

from grpc import StatusCode, aio

from tidecast_contract import wire
from tidecast_contract.errors import ContractMismatch
from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES
from tidecast_contract.rpc import messages
from tidecast_contract.rpc import open_inference_pb2 as pb
from tidecast_contract.rpc.limits import MAX_MESSAGE_BYTES, MAX_WINDOW_STEPS
from tidecast_contract.rpc.open_inference_pb2_grpc import GRPCInferenceServiceServicer
from tidecast_contract.rpc.tensors import datatype_of
from tidecast_predictor.engine import Engine, LateEngine
from tidecast_predictor.metrics import Metrics
from tidecast_predictor.refusals import UnknownModel, check_sizes, refusal_of

_Context = aio.ServicerContext[Any, Any]

PROPERTIES = {
    "contract_version": str(wire.CONTRACT_VERSION),
    "features": wire.names_of(FEATURES),
    "forecast_features": wire.names_of(FORECAST_FEATURES),
    "quantiles": wire.text_of(QUANTILES),
    "input_parameters": "contract_version:int64,features:string,end_time:int64,step_seconds:int64,horizon_steps:int64",
    "input_services": "namespace/kind/name of each service",
    "input_values": "(steps, services, features), NaN where nothing was measured",
    "input_calls": "callers in row 0 and callees in row 1, as positions in services",
    "input_rates": "requests per second along each call",
    "output_values": "(services, forecast_features, horizon_steps, quantiles), NaN where nothing can be said",
    "output_kinds": "which method spoke for each service",
    "output_seasonal": "(services, forecast_features, horizon_steps): a day before each step, NaN where not measured",
}
"""What the shapes of ModelMetadata leave open, for clients that know nothing of Tidecast."""


class InferenceService(GRPCInferenceServiceServicer):
    """
    Answers the Open Inference Protocol.

    Args:
        engine: What forecasts, as soon as it is loaded.
        metrics: Where inferences are counted.
        executor: Where the work is done; its threads are how many forecasts are made at once.
    """

    def __init__(self, engine: LateEngine, metrics: Metrics, executor: Executor) -> None:
        self._engine = engine
        self._metrics = metrics
        self._executor = executor

    async def ServerLive(self, request: pb.ServerLiveRequest, context: _Context) -> pb.ServerLiveResponse:
        """Always: who can answer this is alive."""
        del request, context
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: _Context) -> pb.ServerReadyResponse:
        """Whether the engine is loaded and warm."""
        del request, context
        return pb.ServerReadyResponse(ready=self._engine.is_loaded)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: _Context) -> pb.ModelReadyResponse:
        """Whether this model and version are served; what is not known here is not ready."""
        del context
        if not self._engine.is_loaded:
            return pb.ModelReadyResponse(ready=False)
        try:
            _check_served(self._engine.get(), request.name, request.version)
        except UnknownModel:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: _Context) -> pb.ServerMetadataResponse:
        """Who answers."""
        del request, context
        return pb.ServerMetadataResponse(
            name="tidecast-predictor", version=_release(), extensions=["tidecast.v1alpha1.Training"]
        )

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: _Context) -> pb.ModelMetadataResponse:
        """What to send and what comes back."""
        try:
            engine = self._engine.get()
            _check_served(engine, request.name, request.version)
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes a status
            await context.abort(*refusal_of(error))
        version = engine.forecaster.model_info().version
        return pb.ModelMetadataResponse(
            name=wire.MODEL_NAME,
            versions=[version] if version else [],
            platform="pytorch",
            inputs=_described(wire.SNAPSHOT_TENSORS),
            outputs=_described(wire.FORECAST_TENSORS),
            properties=PROPERTIES,
        )

    async def ModelInfer(self, request: pb.ModelInferRequest, context: _Context) -> pb.ModelInferResponse:
        """A forecast for the snapshot in *request*."""
        started = time.perf_counter()
        code = StatusCode.CANCELLED
        try:
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(self._executor, self._answer, self._engine.get(), request)
            code = StatusCode.OK
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes a status
            code, text = refusal_of(error)
            await context.abort(code, text)
        finally:
            self._metrics.count_inference(code=code.name, seconds=time.perf_counter() - started)
        return response

    def _answer(self, engine: Engine, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        _check_served(engine, request.model_name, request.model_version)
        message = messages.from_request(request)
        snapshot = wire.decode_snapshot(message)
        horizon_steps = wire.horizon_of(message)
        check_sizes(snapshot, max_steps=MAX_WINDOW_STEPS, horizon_steps=horizon_steps)
        _check_answer_size(len(snapshot.services), horizon_steps)
        self._metrics.observe_batch(len(snapshot.services))
        forecast = engine.forecaster.forecast(snapshot, horizon_steps)
        return messages.to_response(wire.encode_forecast(forecast), request, model_version=forecast.model.version)


def _check_served(engine: Engine, name: str, version: str) -> None:
    if name != wire.MODEL_NAME:
        raise UnknownModel(f"model {name!r} is not served here; there is {wire.MODEL_NAME!r}")
    served = engine.forecaster.model_info().version
    if version not in ("", served):
        raise UnknownModel(f"version {version!r} of {name!r} is not served; at present it is {served!r}")


def _check_answer_size(services: int, horizon_steps: int) -> None:
    values = max(1, services) * len(FORECAST_FEATURES) * horizon_steps * (len(QUANTILES) + 1)
    size = values * 4  # bytes of a float32
    if size > MAX_MESSAGE_BYTES:
        raise ContractMismatch(
            f"parameter 'horizon_steps' is {horizon_steps}: the forecast of {services} services would have {size} "
            f"bytes; a message may have {MAX_MESSAGE_BYTES}"
        )


def _described(specs: Iterable[wire.TensorSpec]) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=datatype_of(spec.dtype), shape=spec.shape)
        for spec in specs
    ]


def _release() -> str:
    try:
        return metadata.version("tidecast")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "unreleased"
