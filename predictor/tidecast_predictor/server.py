"""
The predictor as a process: gRPC for the operator and for any client of the Open Inference Protocol, HTTP for probes.

Health is answered from the first moment: not serving while the engine loads, serving until it is told to stop. With TLS
the gRPC port opens when its certificate is there; until then HTTP alone answers, alive and not ready.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CONTENT_TYPE_LATEST

from tidecast_contract.rpc.limits import MESSAGE_OPTIONS
from tidecast_contract.rpc.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from tidecast_contract.rpc.tidecast_pb2_grpc import add_TrainingServicer_to_server
from tidecast_contract.rpc.tls import TlsFiles
from tidecast_predictor import secure_port
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.engine import Engine, LateEngine
from tidecast_predictor.http_endpoint import HttpEndpoint, Page
from tidecast_predictor.inference_service import InferenceService
from tidecast_predictor.metrics import Metrics
from tidecast_predictor.retraining import Retraining, Schedule
from tidecast_predictor.training_service import TrainingService

logger = logging.getLogger(__name__)

HEALTH_NAMES = ("", "inference.GRPCInferenceService", "tidecast.v1alpha1.Training")
"""What can be asked of grpc.health.v1; the empty name is the whole server."""

MAX_CALLS = 32
"""
Calls at once, health checks over gRPC included; one more is refused with RESOURCE_EXHAUSTED. The operator has a few under
way, and each can hold a message of the largest size.
"""

_OPTIONS = (
    *MESSAGE_OPTIONS,
    # Two predictors on one port would each get half of the operator's requests.
    ("grpc.so_reuseport", 0),
    # The operator pings through long calls to notice a dead predictor; the default takes that for an attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # A caller whose node was cut off sends no reset: pings tell that nobody is there, and free the places of its calls.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """
    How the server listens and stops.

    Attributes:
        address: host:port of gRPC; port 0 lets the system choose.
        http_address: host:port of /healthz, /readyz and /metrics.
        inference_threads: How many forecasts are made at once; more of them wait.
        grace_seconds: How long running requests may take when the server is told to stop.
        training: Of every training, until a request brings others.
        schedule: How often to train without being asked.
        tls: The own certificate for gRPC, and the authority of the clients'; None for no TLS.
    """

    address: str = "127.0.0.1:8500"
    http_address: str = "127.0.0.1:8501"
    inference_threads: int = 2
    grace_seconds: float = 10.0
    training: TrainingSettings = field(default_factory=TrainingSettings)
    schedule: Schedule = field(default_factory=Schedule)
    tls: TlsFiles | None = None


class PredictorServer:
    """
    Both ports and what is behind them.

    Args:
        load: Makes the engine, ready to forecast; runs in a thread while the server answers health checks.
        settings: How it listens and stops.
        clock: The time, unix seconds: history that was measured after it is refused.
    """

    def __init__(
        self, load: Callable[[], Engine], settings: ServerSettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._engine = LateEngine(load)
        self._metrics = Metrics(self._engine)
        self._retraining = Retraining(self._engine, settings.training, settings.schedule)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs know no aio
        self._executor = ThreadPoolExecutor(settings.inference_threads, thread_name_prefix="inference")
        self._http = HttpEndpoint({"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics_page})
        self._grpc: aio.Server | None = None
        self._looking: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._waits_for = ""
        self.port = 0
        self.http_port = 0

    async def start(self) -> None:
        """
        Open both ports, not ready yet; raises OSError or RuntimeError when one cannot be had.

        With TLS that of gRPC opens later, see `load`.
        """
        tls = self._settings.tls
        options = _OPTIONS if tls is None else (*_OPTIONS, *secure_port.OPTIONS)
        self._grpc = aio.server(options=options, maximum_concurrent_rpcs=MAX_CALLS)
        inference = InferenceService(self._engine, self._metrics, self._executor)
        add_GRPCInferenceServiceServicer_to_server(inference, self._grpc)
        training = TrainingService(self._engine, self._retraining, clock=self._clock)
        add_TrainingServicer_to_server(training, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        if tls is None:
            self.port = self._grpc.add_insecure_port(self._settings.address)
        host, _, port = self._settings.http_address.rpartition(":")
        self.http_port = await self._http.start(host.strip("[]"), int(port))
        if tls is None:
            await self._grpc.start()
            logger.info("listening on ports %d (gRPC) and %d (HTTP)", self.port, self.http_port)
        else:
            logger.info("listening on port %d (HTTP)", self.http_port)
            self._opening = asyncio.create_task(self._open_secure_port(self._grpc, tls))

    async def load(self) -> None:
        """Load the engine and be ready; passes on what stops it from loading, or from listening with TLS."""
        await self._engine.load()
        if self._opening is not None:
            await self._opening
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        self._looking = asyncio.create_task(self._retraining.run())
        logger.info("ready")

    async def stop(self) -> None:
        """Refuse what is new, let what runs finish within the grace, end a training, close both ports."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        await self._health.enter_graceful_shutdown()
        if self._looking is not None:
            self._looking.cancel()
        engine = self._engine.unload()
        if self._grpc is not None:
            await self._grpc.stop(self._settings.grace_seconds)
        if engine is not None:
            await asyncio.to_thread(engine.trainer.stop)
        await self._http.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)
        logger.info("stopped")

    async def _open_secure_port(self, server: aio.Server, tls: TlsFiles) -> None:
        self._waits_for = "the certificate is being looked for"
        self.port = await secure_port.open_when_usable(server, self._settings.address, tls, self._wait_for)
        await server.start()
        self._waits_for = ""
        logger.info("listening on port %d (gRPC with TLS)", self.port)

    def _wait_for(self, problem: str) -> None:
        self._waits_for = f"no certificate for gRPC: {problem}"

    async def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in HEALTH_NAMES:
            await self._health.set(name, status)

    async def _healthz(self) -> Page:
        return Page(HTTPStatus.OK, b"ok\n")

    async def _readyz(self) -> Page:
        if self._waits_for:
            return Page(HTTPStatus.SERVICE_UNAVAILABLE, f"{self._waits_for}\n".encode())
        if self._engine.is_loaded:
            return Page(HTTPStatus.OK, b"ok\n")
        return Page(HTTPStatus.SERVICE_UNAVAILABLE, b"loading or stopping\n")

    async def _metrics_page(self) -> Page:
        return Page(HTTPStatus.OK, await asyncio.to_thread(self._metrics.text), CONTENT_TYPE_LATEST)


async def serve(load: Callable[[], Engine], settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully; passes on what stops the engine from loading."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server = PredictorServer(load, settings)
    await server.start()
    loading = asyncio.create_task(server.load())
    told = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((loading, told), return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            await told
    finally:
        loading.cancel()
        told.cancel()
        await server.stop()
