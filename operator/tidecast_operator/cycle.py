"""
The one background task: observe, predict, publish, for the whole graph, at every step.

A cycle depends only on what is true now. What goes wrong in a stage that was to be expected is told in conditions and
tried again at the next step, or within a minute where steps are longer; the old forecasts stay and age.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import PredictorStatus
from tidecast_operator.advising import Adviser
from tidecast_operator.doors import Collectors, Collects, Predicts
from tidecast_operator.errors import PredictorUnavailable, TidecastError
from tidecast_operator.history_filling import HistoryFiller, Wanted
from tidecast_operator.judging import Judge
from tidecast_operator.observing import Observer
from tidecast_operator.ownership import asking
from tidecast_operator.picture import Picture
from tidecast_operator.publishing.forecaster_status import HistoryFacts
from tidecast_operator.publishing.publisher import Publisher
from tidecast_operator.publishing.round import IDLE_STEP_SECONDS, Round
from tidecast_operator.publishing.status import VALID_STEPS
from tidecast_operator.settings import Settings
from tidecast_operator.settings_keeper import InUse, SettingsKeeper
from tidecast_operator.timing import last_step, seconds_until_next
from tidecast_operator.trainings import Seen, Trainings
from tidecast_operator.trust.keeper import pasts_of
from tidecast_operator.trust.storing import Store

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0
_RETRY_SECONDS = 60
_IS_WELL = ("Forecast", "Standby")


class Opens(Protocol):
    """Where a cycle gets its connections from."""

    async def collectors(self, settings: Settings) -> Collectors:
        """Where measurements come from."""

    async def predictor(self, settings: Settings) -> Predicts:
        """The predictor."""


class Leads(Protocol):
    """Who says whether this replica runs cycles."""

    def enter(self) -> bool:
        """A cycle begins; whether it may run, and write until this replica leads no more."""


class Watches(Protocol):
    """Who wants to know that cycles go on."""

    def completed(self, outcome: str, *, step_seconds: int) -> None:
        """A cycle has completed, with a forecast or with a problem that was to be expected."""

    def failed(self) -> None:
        """A cycle broke on an error that nobody expected."""


class Cycle:
    """
    Runs the cycles, one after the other.

    Args:
        picture: The cluster.
        doors: Prometheus and the predictor.
        publisher: Where the results go.
        leadership: Whether this replica runs them.
        clock: Unix seconds; tests have their own.
    """

    def __init__(
        self,
        picture: Picture,
        doors: Opens,
        *,
        publisher: Publisher,
        leadership: Leads,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._picture = picture
        self._doors = doors
        self._publisher = publisher
        self._leadership = leadership
        self._clock = clock
        self._keeper = SettingsKeeper()
        self._observer = Observer()
        # At the end of a filling a training is due. Up to the next step the predictor would have begun one of its own.
        self._filler = HistoryFiller(self.wake)
        self._judge = Judge()
        self._adviser = Adviser(picture.workloads, valid_steps=VALID_STEPS)
        self._collectors: Collectors | None = None
        self._trainings = Trainings(int(clock()))
        self._wake = asyncio.Event()

    def keep_trust_in(self, store: Store) -> None:
        """What came of past forecasts shall outlive a restart not in the statuses alone; before the first cycle."""
        self._judge = Judge(store)

    def wake(self) -> None:
        """The next cycle shall not wait for the next step: something important has changed."""
        self._wake.set()

    async def run(self, watcher: Watches) -> None:
        """Runs cycles until cancelled; the picture has to be complete."""
        try:
            while True:
                self._wake.clear()
                await self._until_next(await self._run_safely(watcher))
        finally:
            await self._rest()

    async def run_once(self) -> str:
        """One cycle; says in a word how it ended."""
        in_use = self._in_use()
        if not self._leadership.enter():
            await self._rest()
            self._filler.forget()
            self._trainings = Trainings(int(self._clock()))
            self._judge.forget()
            self._adviser.forget()
            await asyncio.to_thread(self._publisher.withdraw)
            return "Standby"
        found = Round(in_use, start_time=self._clock())
        if in_use.settings is None:
            await self._rest()
            if in_use.resource is not None:
                # Not valid since before the start: what was told then stands until it expires. A Forecaster that is
                # gone is another thing: nobody wants hints any more.
                await self._hint(found)
        else:
            await self._observe(found, in_use.settings)
            await self._predict(found, in_use.settings)
            await self._judge_past(found)
            await self._hint(found)
        with found.stage("publish"):
            return await asyncio.to_thread(
                self._publisher.publish, found, self._picture.forecasts(), self._picture.workloads()
            )

    async def idle(self) -> None:
        """Returns when no history is being fetched."""
        await self._filler.idle()
        await self._adviser.idle()

    async def _rest(self) -> None:
        await self._filler.stop()
        await self._adviser.stop()

    async def _run_safely(self, watcher: Watches) -> str:
        try:
            outcome = await self.run_once()
        except Exception:  # noqa: BLE001 - the edge of the task
            # The cycle does not count as completed, so that health notices when this lasts.
            _log.exception("cycle failed")
            watcher.failed()
            await self._follow_on()
            return "Failed"
        watcher.completed(outcome, step_seconds=_step(self._in_use()))
        return outcome

    async def _follow_on(self) -> None:
        try:
            await asyncio.to_thread(self._publisher.follow_on)
        except Exception:  # noqa: BLE001 - the edge of the task
            _log.exception("floors could not be looked at")

    def seconds_until_next(self, outcome: str) -> float:
        """
        Until the next cycle is to begin, after one that ended so.

        What kept one from a forecast often passes within a minute: a predictor that loads, a Prometheus that restarts.
        """
        now, step = self._clock(), _step(self._in_use())
        until_step = seconds_until_next(now, step)
        if outcome in _IS_WELL or step <= _RETRY_SECONDS:
            return until_step
        return min(until_step, seconds_until_next(now, _RETRY_SECONDS))

    async def _until_next(self, outcome: str) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), self.seconds_until_next(outcome))
        except TimeoutError:
            return
        # Whoever changes one thing often changes the next in the same moment.
        await asyncio.sleep(_PAUSE_SECONDS)

    async def _observe(self, found: Round, settings: Settings) -> None:
        try:
            with found.stage("observe"):
                self._collectors = await self._doors.collectors(settings)
                found.observed = await self._observer.observe(
                    self._collectors.window,
                    self._picture.workloads(),
                    settings=settings,
                    end_time=last_step(found.start_time, settings.step_seconds),
                )
        except TidecastError as error:
            found.telemetry_problem = error
            return
        # Before the forecast, so that the watch brings new resources back in time for it.
        with found.stage("own"):
            await asyncio.to_thread(self._publisher.own, found, self._picture.forecasts(), self._picture.workloads())

    async def _predict(self, found: Round, settings: Settings) -> None:
        try:
            with found.stage("predict"):
                predictor = await self._doors.predictor(settings)
                status = await predictor.status()
                found.predictor = status
                self._filler.notice(status.history, step_seconds=settings.step_seconds)
                if found.observed is not None and self._collectors is not None:
                    window = found.observed.window
                    # First: a history that cannot be written is no reason to be without forecasts.
                    found.forecast = await predictor.forecast(window, settings.horizon_steps)
                    found.history = await self._keep_history(
                        window, status, (self._collectors.history, predictor), settings
                    )
                    seen = Seen(status, found.forecast.model, self._filler.is_progressing)
                    await self._trainings.ask_if_due(predictor, seen, settings, now=int(self._clock()))
        except (PredictorUnavailable, ContractMismatch) as error:
            found.predictor_problem = error

    async def _judge_past(self, found: Round) -> None:
        """How good the forecasts were whose moments have come; nothing is known anew without measurements."""
        if found.observed is None:
            return
        with found.stage("judge"):
            window, resources = found.observed.window, self._picture.forecasts()
            found.skills = await asyncio.to_thread(
                self._judge.after, window, found.forecast, lambda: pasts_of(resources, time=window.end_time)
            )

    async def _hint(self, found: Round) -> None:
        """How many replicas are needed, also from an older forecast that has not expired."""
        with found.stage("hint"):
            found.hints = await self._adviser.advise(
                await asyncio.to_thread(asking, self._picture.forecasts()),
                now=int(self._clock()),
                window=None if found.observed is None else found.observed.window,
                forecast=found.forecast,
                collector=None if self._collectors is None else self._collectors.capacities,
            )

    async def _keep_history(
        self, window: Snapshot, status: PredictorStatus, doors: tuple[Collects, Predicts], settings: Settings
    ) -> HistoryFacts:
        history, (_, predictor) = status.history, doors
        missing = self._filler.appendable(window, history)
        if missing is not None:
            history = await predictor.append_history([missing])
        wanted = Wanted(
            start_time=window.end_time - settings.training.history_seconds + settings.step_seconds,
            window_start_time=window.start_time,
            window_end_time=window.end_time,
            step_seconds=settings.step_seconds,
            services=len(window.services),
        )
        self._filler.consider(history, wanted, doors, self._picture.workloads)
        progress = self._filler.progress(
            history, end_time=window.end_time, wanted_seconds=settings.training.history_seconds
        )
        return HistoryFacts(progress, self._filler.message)

    def _in_use(self) -> InUse:
        return self._keeper.in_use(self._picture.forecasters())


def _step(in_use: InUse) -> int:
    return IDLE_STEP_SECONDS if in_use.settings is None else in_use.settings.step_seconds
