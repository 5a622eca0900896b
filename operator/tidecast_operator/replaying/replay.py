"""
Goes through the steps of a recording once, with three ways to scale on the same load: an autoscaler alone, one with hints,
and one whose floor knows the future, which bounds what hints can do.

Within a step the load is taken to be steady. Shapes: `T` steps, `N` candidates.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import Forecast
from tidecast_operator.replaying.autoscaler import SYNC_SECONDS, Autoscalers, Behaviour, Bounds, Counts, Loads
from tidecast_operator.replaying.candidates import Subject
from tidecast_operator.replaying.fetching import Progress
from tidecast_operator.replaying.fleet import Fleet
from tidecast_operator.replaying.forecasting import Forecasts
from tidecast_operator.replaying.hinting import Hinting, Told, band_at_lead
from tidecast_operator.replaying.tally import Tally, Trace

ALONE, HINTED, FORESEEN = "hpa", "hint", "perfect"
SCALINGS = (ALONE, HINTED, FORESEEN)
"""The ways to scale: an autoscaler alone, one with hints, and one with perfect foresight."""

_ROUNDING = 1e-6  # of a replica


@dataclass(frozen=True, slots=True)
class Plan:
    """
    How a recording is replayed.

    Attributes:
        begin: The step it begins at: from there on replicas move and forecasts are made and judged.
        first: The first step that counts.
        last: The last one.
        window_steps: How many steps the operator knows at a time.
        target: The share of what a replica carries that the autoscalers aim at, where theirs is not known.
        start_seconds: From a decision to a ready pod.
        delay_seconds: How old the load is that autoscalers see.
        always: Whether hints are offered untrusted as well.
    """

    begin: int
    first: int
    last: int
    window_steps: int = 60
    target: float = 0.7
    start_seconds: int = 90
    delay_seconds: int = 30
    always: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """
    What came of it.

    Attributes:
        tallies: By the name of the way to scale.
        trace: What is drawn.
        trusted_ratio: The share of steps at which each candidate's forecasts were trusted, (N,).
        offered_ratio: The share of steps at which a hint was offered, (N,).
        steps: How many steps counted.
        steps_without_forecast: At how many of them there was no new forecast.
        day_before_ratio: The share of forecasts that knew the day before, (N,); NaN where none tells of it.
    """

    tallies: Mapping[str, Tally]
    trace: Trace
    trusted_ratio: NDArray[np.float64]
    offered_ratio: NDArray[np.float64]
    steps: int
    steps_without_forecast: int
    day_before_ratio: NDArray[np.float64]


async def replay(subject: Subject, forecasts: Forecasts, plan: Plan, tell: Callable[[Progress], None]) -> Outcome:
    """
    Replays a recording.

    Args:
        subject: What is replayed.
        forecasts: Where hints come from.
        plan: How.
        tell: Is told of progress.

    Raises:
        PredictorUnavailable: If forecasts cannot be had.
    """
    run = _Run(subject, plan)
    for step in range(plan.begin, plan.last + 1):
        if step > plan.begin:
            run.scale(step)
        forecast = await forecasts.at(step)
        if forecast is not None:
            run.see(step, forecast)
        run.tell(await asyncio.to_thread(run.hinting.after, step, forecast, run.ready))
        run.without_forecast += step >= plan.first and forecast is None
        tell(Progress(step - plan.begin + 1, plan.last - plan.begin + 1))
    return run.outcome()


class _Scaled:
    """One way to scale, from sync to sync."""

    def __init__(
        self, replicas: Counts, per_replica: Loads, *, start_ticks: int, behaviours: Sequence[Behaviour]
    ) -> None:
        self._autoscaler = Autoscalers(behaviours)
        self.fleet = Fleet(replicas, start_ticks=start_ticks)
        self.tally = Tally(per_replica)

    def sync(self, time: float, seen: Loads, target: Loads, bounds: Bounds) -> NDArray[np.bool_]:
        """One sync; where the number of replicas was changed."""
        self.fleet.tick()
        before = self.fleet.pods
        replicas = self._autoscaler.sync(time, before, seen, target, bounds)
        self.fleet.scale(replicas)
        changed: NDArray[np.bool_] = replicas != before.replicas
        return changed


class _Run:
    """A replay under way."""

    def __init__(self, subject: Subject, plan: Plan) -> None:
        self._recording, self._loads, self._plan = subject.recording, subject.loads, plan
        self._candidates = candidates = subject.candidates
        step_seconds, count = subject.recording.step_seconds, len(candidates)
        self._syncs = max(1, round(step_seconds / SYNC_SECONDS))
        self._sync_seconds = step_seconds / self._syncs
        per_replica = np.array([candidate.capacity.per_replica for candidate in candidates])
        bounds = np.array([candidate.bounds for candidate in candidates], np.int64)
        self._target = np.array([each.aims_at or plan.target * each.capacity.per_replica for each in candidates])
        self._per_replica = per_replica
        self._own = Bounds(bounds[:, 0], bounds[:, 1])
        self._ahead = np.array(
            [-(-(each.scaling.lead_time_seconds + step_seconds) // step_seconds) for each in candidates], np.int64
        )
        first = self._own.around(np.ceil(np.nan_to_num(subject.loads[plan.begin] / self._target)).astype(np.int64))
        ticks = math.ceil(plan.start_seconds / self._sync_seconds)
        behaviours = [each.behaviour for each in candidates]
        self._scaled = {
            name: _Scaled(first, per_replica, start_ticks=ticks, behaviours=behaviours) for name in SCALINGS
        }
        self._floors = self._next_floors = self._own.lowest
        self._is_trusted = np.zeros(count, np.bool_)
        self._trusted, self._offered = np.zeros(count), np.zeros(count)
        self._is_offered = np.zeros(count, np.bool_)
        self._trace = Trace(per_replica, plan.last - plan.first + 1, SCALINGS)
        self.hinting = Hinting(subject, window_steps=plan.window_steps, always=plan.always)
        self.without_forecast = 0
        self._knew_day_before, self._told_day_before = np.zeros(count), 0

    @property
    def ready(self) -> Counts:
        """Ready replicas with hints, at present."""
        return self._scaled[HINTED].fleet.pods.ready

    def scale(self, step: int) -> None:
        """What autoscalers do in the course of a step."""
        counts, drawn = step >= self._plan.first, step - self._plan.first
        if counts:
            self._trace.measured(drawn, self._loads[step], self._is_trusted)
            self._trusted += self._is_trusted
            self._offered += self._is_offered
        foreseen = self._foreseen(step - 1)
        for sync in range(self._syncs):
            time = self._recording.time_of(step - 1) + sync * self._sync_seconds
            floors = {ALONE: self._own.lowest, HINTED: self._floors, FORESEEN: foreseen}
            for name, scaled in self._scaled.items():
                changed = scaled.sync(time, self._seen(time), self._target, self._bounds(floors[name]))
                if counts:
                    load = self._loads[step].astype(np.float64)
                    scaled.tally.add(load, scaled.fleet.pods, changed=changed, seconds=self._sync_seconds)
                    self._trace.scaled(drawn, name, scaled.fleet.pods.ready)
            # At the first sync of a step what was found out at its beginning is not known yet.
            self._floors = self._next_floors

    def tell(self, told: Told) -> None:
        """What hints say from now on."""
        self._next_floors = told.floors
        self._is_trusted, self._is_offered = told.is_trusted, told.is_offered

    def see(self, step: int, forecast: Forecast) -> None:
        """What was forecast, for the picture, and whether the day before was known."""
        ahead, band = band_at_lead(forecast, self._candidates)
        self._trace.forecast(step - self._plan.first + ahead, band)
        if forecast.seasonal is not None:
            places = [FORECAST_FEATURES.index(candidate.scaling.signal) for candidate in self._candidates]
            self._knew_day_before += np.isfinite(forecast.seasonal[np.arange(len(places)), places, 0])
            self._told_day_before += 1

    def outcome(self) -> Outcome:
        """What came of it."""
        steps = self._plan.last - self._plan.first + 1
        return Outcome(
            tallies={name: scaled.tally for name, scaled in self._scaled.items()},
            trace=self._trace,
            trusted_ratio=self._trusted / steps,
            offered_ratio=self._offered / steps,
            steps=steps,
            steps_without_forecast=self.without_forecast,
            day_before_ratio=self._knew_day_before / (self._told_day_before or np.nan),
        )

    def _bounds(self, floors: Counts) -> Bounds:
        """A floor raises minReplicas, and nothing lowers it; it does not exceed maxReplicas."""
        lowest = np.minimum(np.maximum(self._own.lowest, floors), self._own.highest)
        return Bounds(lowest, self._own.highest)

    def _seen(self, time: float) -> Loads:
        step = self._recording.step_at(math.ceil(time - self._plan.delay_seconds))
        if step < 0:
            return np.full(len(self._target), np.nan)
        seen: Loads = self._loads[step].astype(np.float64)
        return seen

    def _foreseen(self, step: int) -> Counts:
        """What the loads of the lead time will need; its own minimum where nothing is measured then."""
        coming = self._loads[step + 1 : step + 1 + int(self._ahead.max())].astype(np.float64)
        coming[np.arange(len(coming))[:, None] >= self._ahead] = np.nan
        highest = np.nan_to_num(np.fmax.reduce(coming, axis=0))
        needed: Counts = np.ceil(highest / self._per_replica - _ROUNDING).astype(np.int64)
        return needed
