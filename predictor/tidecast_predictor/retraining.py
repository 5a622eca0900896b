"""
When to train: at the first chance, again when much more is known, and from time to time.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, replace

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.rpc.limits import MAX_HORIZON_STEPS, MAX_WINDOW_STEPS
from tidecast_contract.status import PredictorStatus, TrainingState, TrainingStatus
from tidecast_predictor.config import DAY_SECONDS, TrainingSettings
from tidecast_predictor.engine import Engine, LateEngine, NotLoaded

logger = logging.getLogger(__name__)

FILLING_SECONDS = 1800
"""A history that grew by more than this between two looks is being filled from the past: learning can wait for it."""

QUIET_SECONDS = 120
"""So long after it last grew like that: on a busy host a minute can pass between two chunks."""

RETRY_SECONDS = 600
"""After a training that failed; after each further one in a row twice as long, up to the time between two trainings."""

_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    How often the predictor trains without being asked.

    Attributes:
        retrain_seconds: After a training until the next one.
        look_seconds: The time between two looks at whether one is due.
    """

    retrain_seconds: int = DAY_SECONDS
    look_seconds: float = 5.0


class Retraining:
    """
    Starts trainings by itself, and those it is asked for.

    Args:
        engine: What learns, as soon as it is loaded.
        settings: Of every training, until a request brings others.
        schedule: How often to train without being asked.
    """

    def __init__(self, engine: LateEngine, settings: TrainingSettings, schedule: Schedule) -> None:
        self._engine = engine
        self._settings = settings
        self._schedule = schedule
        self._seen_seconds = 0
        self._filled_time: int | None = None
        self._last: _Training | None = None
        self._was_asked = False

    async def ask(self, engine: Engine, *, window_steps: int, horizon_steps: int, minimum_history_seconds: int) -> bool:
        """
        Start a training with these settings, which hold from now on; 0 leaves one as it is.

        True also when one with the same settings and about the same history runs already. False: none could be started,
        or one was cut short just before this process began, and is not begun at once again.

        Raises:
            ContractMismatch: If one of them is negative, or there are more steps than a request for a forecast may have.
        """
        asked = {
            "window_steps": window_steps,
            "horizon_steps": horizon_steps,
            "minimum_history_seconds": minimum_history_seconds,
        }
        for name, value in asked.items():
            if value < 0:
                raise ContractMismatch(f"{name} is {value}; it must be positive, or 0 to leave it as it is")
        for name, most in (("window_steps", MAX_WINDOW_STEPS), ("horizon_steps", MAX_HORIZON_STEPS)):
            if asked[name] > most:
                raise ContractMismatch(f"{name} is {asked[name]}; it must be {most} at most")
        self._settings = replace(self._settings, **{name: value for name, value in asked.items() if value})
        self._was_asked = True
        status = await asyncio.to_thread(engine.status)
        if self._last is None and _has_just_failed(status.training, now=int(time.time())):
            return False
        measured = await asyncio.to_thread(engine.history.measured_seconds)
        return self._is_served_by_running(status, measured) or await self._start(engine, measured)

    async def run(self) -> None:
        """Look now and then whether a training is due; ends only when cancelled."""
        while True:
            await asyncio.sleep(self._schedule.look_seconds)
            try:
                await self.look(now=int(time.time()))
            except NotLoaded:
                logger.debug("no training yet: the engine is not loaded")
            except Exception:
                logger.exception("could not see to a training; trying again in %s s", self._schedule.look_seconds)

    async def look(self, *, now: int) -> bool:
        """Start a training if one is due at *now*, unix seconds; whether one was started."""
        engine = self._engine.get()
        status = await asyncio.to_thread(engine.status)
        measured = await asyncio.to_thread(engine.history.measured_seconds)
        if self._is_being_filled(measured, now=now) or not self._is_due(engine, status, measured, now=now):
            return False
        return await self._start(engine, measured)

    def _is_being_filled(self, measured: int, *, now: int) -> bool:
        if measured - self._seen_seconds > FILLING_SECONDS:
            self._filled_time = now
        self._seen_seconds = measured
        return self._filled_time is not None and now - self._filled_time < QUIET_SECONDS

    def _is_due(self, engine: Engine, status: PredictorStatus, measured: int, *, now: int) -> bool:
        if status.training.state is TrainingState.RUNNING or measured < self._settings.minimum_history_seconds:
            return False
        times = [time for time in (status.model.trained_time, status.training.finished_time) if time is not None]
        if not times:
            return True
        age_seconds = now - max(times)
        if status.training.state is TrainingState.FAILED:
            return age_seconds >= self._pause_seconds(engine.trainer.failures)
        # What was learnt from two hours says little once there are four: a young model is renewed as history doubles.
        learnt = engine.forecaster.history_seconds if self._last is None else self._last.seconds
        doubled = 0 < 2 * learnt <= measured
        return doubled or age_seconds >= self._schedule.retrain_seconds

    def _pause_seconds(self, failures: int) -> int:
        """How long after the last of so many trainings that failed in a row the next one is begun."""
        doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
        return min(RETRY_SECONDS << doublings, max(RETRY_SECONDS, self._schedule.retrain_seconds))

    def _is_served_by_running(self, status: PredictorStatus, measured: int) -> bool:
        if status.training.state is not TrainingState.RUNNING or self._last is None:
            return False
        return self._last.settings == self._settings and measured - self._last.seconds <= FILLING_SECONDS

    async def _start(self, engine: Engine, measured: int) -> bool:
        settings = self._settings
        if not self._was_asked:  # in this process: what was asked for before a restart, the model tells
            served = engine.forecaster
            settings = replace(
                settings,
                window_steps=max(settings.window_steps, served.window_steps),
                horizon_steps=max(settings.horizon_steps, served.horizon_steps),
            )
        started = await asyncio.to_thread(engine.trainer.start, settings)
        if started:
            self._last = _Training(settings, measured)
            logger.info("training on %d s of history", measured)
        return started


@dataclass(frozen=True, slots=True)
class _Training:
    """What the last training was started with: its settings, and for how long requests had been measured."""

    settings: TrainingSettings
    seconds: int


def _has_just_failed(training: TrainingStatus, *, now: int) -> bool:
    ended = training.finished_time
    return training.state is TrainingState.FAILED and ended is not None and now - ended < RETRY_SECONDS
