"""
A model side without a model, and the predictor's server around it.
"""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from builders.snapshots import MIDDAY, forecast
from builders.statuses import status
from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus, TrainingStatus
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.engine import Engine
from tidecast_predictor.server import PredictorServer, ServerSettings


@dataclass
class FakeHistory:
    """Keeps what it is given, in order."""

    snapshots: list[Snapshot] = field(default_factory=list)
    held: HistoryStatus | None = None
    measured: int | None = None

    def append(self, snapshot: Snapshot) -> None:
        """Keep *snapshot*."""
        self.snapshots.append(snapshot)

    def status(self) -> HistoryStatus:
        """What a test says is held, else from the first step to the last."""
        if self.held or not self.snapshots:
            return self.held or HistoryStatus()
        first, last = self.snapshots[0], self.snapshots[-1]
        return HistoryStatus(last.step_seconds, first.start_time, last.end_time, len(last.services))

    def measured_seconds(self) -> int:
        """As long as a test says, else as what is held."""
        held = self.status()
        return held.steps * held.step_seconds if self.measured is None else self.measured


@dataclass
class FakeForecaster:
    """Says that the first feature of the last step stays as it is, in every quantile, feature and step."""

    model: ModelInfo = field(default_factory=lambda: status().model)
    asked: list[Snapshot] = field(default_factory=list)
    error: Exception | None = None
    may_answer: threading.Event = field(default_factory=threading.Event)
    was_asked: threading.Event = field(default_factory=threading.Event)
    is_blocked: bool = False
    horizon_steps: int = 0
    window_steps: int = 0
    history_seconds: int = 0

    def __post_init__(self) -> None:
        if not self.is_blocked:
            self.may_answer.set()

    def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """Answer as soon as `may_answer` is set."""
        self.asked.append(snapshot)
        self.was_asked.set()
        self.may_answer.wait()
        if self.error:
            raise self.error
        last = snapshot.values[-1, :, 0].reshape(-1, 1, 1, 1)
        shape = (len(snapshot.services), len(FORECAST_FEATURES), horizon_steps, len(QUANTILES))
        return replace(
            forecast(services=snapshot.services),
            issued_time=snapshot.end_time,
            step_seconds=snapshot.step_seconds,
            values=np.broadcast_to(last, shape).copy(),
            model=self.model,
        )

    def model_info(self) -> ModelInfo:
        """What a test says is served."""
        return self.model


@dataclass
class FakeTrainer:
    """Notes what it was asked for; starts whenever a test lets it."""

    may_start: bool = True
    training: TrainingStatus = field(default_factory=lambda: status().training)
    started: list[TrainingSettings | None] = field(default_factory=list)
    stopped: bool = False
    failures: int = 0

    def start(self, settings: TrainingSettings | None = None) -> bool:
        """Note *settings*."""
        if self.may_start:
            self.started.append(settings)
        return self.may_start

    def status(self) -> TrainingStatus:
        """What a test says it does."""
        return self.training

    def stop(self) -> None:
        """Note it."""
        self.stopped = True


def engine(**changes: object) -> Engine:
    """An engine of fakes that is ready to answer."""
    valid = {"history": FakeHistory(), "forecaster": FakeForecaster(), "trainer": FakeTrainer()}
    return Engine(**(valid | changes))  # type: ignore[arg-type]


def server(engine: Engine, **changes: object) -> PredictorServer:
    """A server on free ports that is not started; it stops without grace. Its clock is one hour after the snapshots."""
    valid = {"address": "127.0.0.1:0", "http_address": "127.0.0.1:0", "grace_seconds": 0.0}
    settings = ServerSettings(**(valid | changes))  # type: ignore[arg-type]
    return PredictorServer(lambda: engine, settings, clock=lambda: MIDDAY + 3600)


@asynccontextmanager
async def serving(engine: Engine, **changes: object) -> AsyncIterator[PredictorServer]:
    """A server that is ready."""
    started = server(engine, **changes)
    await started.start()
    try:
        await started.load()
        yield started
    finally:
        await started.stop()
