"""
The demo of a host that cannot have an API server or a Prometheus: the simulator stands in for both.

It hands what it simulates to a real predictor over gRPC. The forecasts are real ones; discovery, telemetry and custom
resources are not shown.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from tidecast_contract import wire
from tidecast_contract.features import REQUESTS
from tidecast_contract.forecast import Forecast
from tidecast_contract.rpc import messages, statuses
from tidecast_contract.rpc import tidecast_pb2 as pb
from tidecast_contract.rpc.limits import MESSAGE_OPTIONS
from tidecast_contract.rpc.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tidecast_contract.rpc.tidecast_pb2_grpc import TrainingStub
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import PredictorStatus, TrainingState
from tidecast_simulator import truth
from tidecast_simulator.demo.forecasts import STEP_SECONDS, DiscoveredCall, Measured, RequestForecast
from tidecast_simulator.demo.telling import bar, step
from tidecast_simulator.load import DAY_SECONDS
from tidecast_simulator.testbed import tidecast
from tidecast_simulator.testbed.process import NotReady, free_port
from tidecast_simulator.traffic import Simulation

WINDOW_STEPS = 60
HORIZON_STEPS = 30
_CHUNK_STEPS = 720
_TRAIN_SECONDS = 600


def forecast(
    simulation: Simulation, directory: Path, *, history_seconds: int, arguments: Sequence[str] = ()
) -> tuple[Forecast, str]:
    """
    The forecast of a mesh for the next half hour, and why the model that spoke did.

    Args:
        simulation: The mesh under its load.
        directory: For the predictor's log and data.
        history_seconds: How much of the past the predictor learns from.
        arguments: More flags for the predictor's command line.

    Raises:
        NotReady: If the predictor does not start, or the training does not end in time.
    """
    address = f"127.0.0.1:{free_port()}"
    now = int(time.time()) // STEP_SECONDS * STEP_SECONDS
    with tidecast.predictor(directory, address, arguments) as program, _channel(address) as channel:
        with step("starting the predictor"):
            program.start(wait_seconds=120)
        training: Any = TrainingStub(channel)
        with step("handing it the simulated history"):
            training.AppendHistory(_history(simulation, start=now - history_seconds, end=now))
        with step("training the GCN-GRU on it"):
            status = _train(training)
        window = _snapshot(simulation, start=now - (WINDOW_STEPS - 1) * STEP_SECONDS, end=now)
        request = messages.to_request(wire.encode_snapshot(window, horizon_steps=HORIZON_STEPS))
        inference: Any = GRPCInferenceServiceStub(channel)
        response = inference.ModelInfer(request, timeout=60)
        model = status.model
        return wire.decode_forecast(messages.from_response(response)), f"{model.kind}: {model.reason}"


def request_forecasts(answer: Forecast) -> tuple[RequestForecast, ...]:
    """The requests per second of an answer, in the form of the charts and scores."""
    return tuple(
        RequestForecast(
            name=service.name,
            method=str(kind),
            issued_time=answer.issued_time,
            times=answer.times.astype(np.float64),
            low=answer.of(service, REQUESTS)[:, 0].astype(np.float64),
            median=answer.of(service, REQUESTS)[:, 1].astype(np.float64),
            high=answer.of(service, REQUESTS)[:, 2].astype(np.float64),
        )
        for service, kind in sorted(zip(answer.services, answer.kinds, strict=True))
        if np.isfinite(answer.of(service, REQUESTS)).all()
    )


def measured_of(simulation: Simulation, answer: Forecast) -> Measured:
    """What is simulated from a day before a forecast to the last time that it speaks of."""
    start = answer.issued_time - DAY_SECONDS
    features = truth.features(simulation, start=start, end=int(answer.times[-1]))
    values = {service.name: features.of(service, REQUESTS).astype(np.float64) for service in features.services}
    return Measured(start, values)


def calls_of(simulation: Simulation, answer: Forecast) -> tuple[DiscoveredCall, ...]:
    """The calls of the last hour before a forecast."""
    rates = truth.call_rates(simulation, start=answer.issued_time - 3600, end=answer.issued_time)
    return tuple(DiscoveredCall(caller.name, callee.name, rate) for (caller, callee), rate in rates.items())


def _channel(address: str) -> Any:
    """A channel without types: the stubs are typed for asyncio, which the demo has no use for."""
    return grpc.insecure_channel(address, options=MESSAGE_OPTIONS)


def _history(simulation: Simulation, *, start: int, end: int) -> Iterator[pb.HistoryChunk]:
    for first in range(start, end, _CHUNK_STEPS * STEP_SECONDS):
        last = min(first + (_CHUNK_STEPS - 1) * STEP_SECONDS, end)
        message = wire.encode_snapshot(_snapshot(simulation, start=first, end=last))
        yield pb.HistoryChunk(snapshot=messages.to_request(message))


def _snapshot(simulation: Simulation, *, start: int, end: int) -> Snapshot:
    features = truth.features(simulation, start=start, end=end)
    rates = truth.call_rates(simulation, start=start - STEP_SECONDS, end=end)
    index = {service: position for position, service in enumerate(features.services)}
    ends = [(index[caller], index[callee]) for caller, callee in rates]
    return Snapshot(
        end_time=end,
        step_seconds=STEP_SECONDS,
        services=features.services,
        values=features.values,
        calls=np.array(ends, dtype=np.int64).reshape(-1, 2).T,
        rates=np.array(list(rates.values()), dtype=np.float32),
    )


def _train(training: Any) -> PredictorStatus:
    """Ask for a training and return when one has ended."""
    version = wire.CONTRACT_VERSION
    training.Train(pb.TrainRequest(contract_version=version, window_steps=WINDOW_STEPS, horizon_steps=HORIZON_STEPS))
    deadline = time.monotonic() + _TRAIN_SECONDS
    with bar("training") as progress:
        while time.monotonic() < deadline:
            status = statuses.from_status(training.Status(pb.StatusRequest(contract_version=version), timeout=30))
            if status.training.finished_time or status.training.state is TrainingState.FAILED:
                return status
            progress.update(max(status.training.progress, progress.n) - progress.n)
            time.sleep(1)
    raise NotReady(f"the training did not end within {_TRAIN_SECONDS} s")
