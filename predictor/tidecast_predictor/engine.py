"""
What the server needs of the model side, and when it has it.

The server answers health checks while a checkpoint is still being loaded: the engine comes late.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tidecast_contract.features import FEATURES
from tidecast_contract.forecast import Forecast, ModelInfo
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus, PredictorStatus, TrainingStatus
from tidecast_predictor.config import TrainingSettings


class HistoryStore(Protocol):
    """What the server needs of a `history.History`; safe to use from several threads."""

    def append(self, snapshot: Snapshot) -> None:
        """Take in the steps of *snapshot*."""

    def status(self) -> HistoryStatus:
        """What is held."""
        ...

    def measured_seconds(self) -> int:
        """How long requests were measured in what is held."""
        ...


class ForecastSource(Protocol):
    """What the server needs of an `inference.Forecaster`; safe to use from several threads."""

    def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """Forecast every service of *snapshot*."""
        ...

    def model_info(self) -> ModelInfo:
        """What is served at present."""
        ...

    @property
    def horizon_steps(self) -> int:
        """How many steps ahead the model that is served was trained for; 0 without one."""
        ...

    @property
    def window_steps(self) -> int:
        """How many steps the model that is served was trained to look back; 0 without one."""
        ...

    @property
    def history_seconds(self) -> int:
        """How long the history was that the model that is served was trained on; 0 without one."""
        ...


class TrainingRunner(Protocol):
    """What the server needs of a `training.Trainer`; safe to use from several threads."""

    def start(self, settings: TrainingSettings | None = None) -> bool:
        """Start a training in the background; False when none was started."""
        ...

    def status(self) -> TrainingStatus:
        """What the training does."""
        ...

    @property
    def failures(self) -> int:
        """How many trainings failed in a row, in earlier processes too where they took the predictor down."""
        ...

    def stop(self) -> None:
        """End a running training and wait until it is gone."""


@dataclass(frozen=True, slots=True)
class Engine:
    """
    The model side: what remembers, what forecasts and what learns.
    """

    history: HistoryStore
    forecaster: ForecastSource
    trainer: TrainingRunner

    def status(self) -> PredictorStatus:
        """Everything the predictor says about itself."""
        return PredictorStatus(self.forecaster.model_info(), self.history.status(), self.trainer.status())

    def warm_up(self, settings: TrainingSettings) -> None:
        """
        Forecast two services that never were, so that the first real forecast does not pay for what is set up lazily.

        Without a model there is nothing to warm up.
        """
        if not self.forecaster.model_info().version:
            return
        services = (ServiceId("", "External", "caller"), ServiceId("", "External", "callee"))
        snapshot = Snapshot(
            end_time=0,
            step_seconds=self.history.status().step_seconds or 60,
            services=services,
            values=np.ones((settings.window_steps, len(services), len(FEATURES)), dtype=np.float32),
            calls=np.array([[0], [1]], dtype=np.int64),
            rates=np.ones(1, dtype=np.float32),
        )
        self.forecaster.forecast(snapshot, settings.horizon_steps)


class NotLoaded(Exception):
    """
    The engine is not there yet, or not any more.
    """


class LateEngine:
    """
    An engine that is loaded while the server answers already.

    Args:
        load: Makes the engine, ready to forecast; is called once, in a thread of its own.
    """

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._engine: Engine | None = None

    async def load(self) -> None:
        """Load the engine; passes on what *load* raises."""
        self._engine = await asyncio.to_thread(self._load)

    def unload(self) -> Engine | None:
        """Give the engine away for good: from now on `get` refuses."""
        engine, self._engine = self._engine, None
        return engine

    @property
    def is_loaded(self) -> bool:
        """Whether `get` has something to give."""
        return self._engine is not None

    def get(self) -> Engine:
        """The engine; raises NotLoaded before it is loaded and after it was given away."""
        if self._engine is None:
            raise NotLoaded("the predictor is loading or stopping; ask again in a moment")
        return self._engine
