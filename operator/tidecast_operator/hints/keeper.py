"""
The hints of all resources, from cycle to cycle: what of the past they depend on is kept here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tidecast_contract.features import FORECAST_FEATURES, READY_REPLICAS, Feature, index_of
from tidecast_contract.forecast import Forecast
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.demand import Demand, highest
from tidecast_operator.hints.domino import in_the_lee
from tidecast_operator.hints.hint import Facts, Hint, decide
from tidecast_operator.hints.past import Past
from tidecast_operator.resources import ForecastResource
from tidecast_operator.scaling import Scaling, parse

WITHOUT_HINT = ("InvalidScaling", "NoForecast", "CapacityUnknown", "DemandUnknown")
"""Why there may be none, as reasons of a condition."""

_RECENT_STEPS = 5
_USUAL_STEP_SECONDS = 60


class KnowsCapacities(Protocol):
    """What has been learned of what replicas carry."""

    def of(self, service: ServiceId, feature: Feature) -> Capacity | None:
        """What one ready replica of a service carries of a signal; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What a cycle has found out.

    Attributes:
        now: Unix seconds.
        window: What was measured; None if nothing was, this time.
        forecast: What was forecast; None if nothing was, this time: the one before is used until it expires.
        capacities: What replicas carry; None if nothing was learned.
    """

    now: int
    window: Snapshot | None = None
    forecast: Forecast | None = None
    capacities: KnowsCapacities | None = None


@dataclass(frozen=True, slots=True)
class Hinted:
    """
    What came out for one resource: a hint, or why there is none.

    Attributes:
        scaling: What its spec asks for; None if that is not valid.
        hint: The hint; None if there is none.
        reason: Why there is none, as a reason of a condition; empty if there is one.
        message: The same for people.
        issued_time: Of the forecast it comes from, unix seconds; 0 without one.
        expire_time: From then on it must not be used, unix seconds; 0 without a forecast.
    """

    scaling: Scaling | None
    hint: Hint | None = None
    reason: str = ""
    message: str = ""
    issued_time: int = 0
    expire_time: int = 0


class HintKeeper:
    """
    Not safe to use from several threads at once.

    Args:
        valid_steps: How many steps after it was issued a forecast is still good for hints.
    """

    def __init__(self, *, valid_steps: int) -> None:
        self._valid_steps = valid_steps
        self._parsed: dict[tuple[str, int], Scaling | Misconfigured] = {}
        self._pasts: dict[str, Past] = {}
        self._held: dict[str, tuple[int, Hinted]] = {}
        self._window: Snapshot | None = None
        self._forecast: Forecast | None = None

    def after(self, seen: Seen, resources: Iterable[ForecastResource]) -> dict[tuple[str, str], Hinted]:
        """
        What came out for each of *resources* that has a `spec.scaling`; they speak for their targets, one for each.
        """
        self._window, self._forecast = seen.window or self._window, seen.forecast or self._forecast
        asking = [resource for resource in resources if resource.scaling is not None]
        self._parsed = {(one.uid, one.generation): self._scaling(one) for one in asking}
        look = _Look(seen, self._window, self._forecast, valid_steps=self._valid_steps)
        pasts: dict[str, Past] = {}
        held: dict[str, tuple[int, Hinted]] = {}
        hinted = {}
        for resource in asking:
            scaling = self._parsed[resource.uid, resource.generation]
            if isinstance(scaling, Misconfigured):
                hinted[resource.key] = Hinted(None, reason="InvalidScaling", message=f"{scaling}.")
                continue
            past = self._pasts.get(resource.uid)
            if past is None:
                past = Past.of(resource, scaling, now=seen.now, step_seconds=look.step_seconds)
            found, pasts[resource.uid] = _hinted(look, resource, scaling, past)
            found = self._or_before(found, resource, pasts[resource.uid], now=seen.now)
            hinted[resource.key] = found
            if found.hint is not None:
                held[resource.uid] = resource.generation, found
        self._pasts, self._held = pasts, held
        return hinted

    def forget(self) -> None:
        """Another replica leads: when this one leads again, it goes on from what that one has told by then."""
        self._pasts, self._held = {}, {}
        self._window = self._forecast = None

    def _or_before(self, found: Hinted, resource: ForecastResource, past: Past, *, now: int) -> Hinted:
        """
        What was found, or else the hint before it, until the forecast that one came from expires.

        The forecasts of a predictor that was just started may have no band yet: that is no reason to take anything back.
        """
        if found.hint is not None or resource.suspend:
            return found
        generation, before = self._held.get(resource.uid, (resource.generation, None))
        if before is None:
            return _or_told(found, past, now=now)
        is_silent = found.reason == "DemandUnknown" or past.told is not None
        return before if is_silent and generation == resource.generation and now < before.expire_time else found

    def _scaling(self, resource: ForecastResource) -> Scaling | Misconfigured:
        known = self._parsed.get((resource.uid, resource.generation))
        if known is not None:
            return known
        try:
            return parse(resource.scaling or {})
        except Misconfigured as error:
            return error


class _Look:
    """What a cycle has found out, asked service by service."""

    def __init__(self, seen: Seen, window: Snapshot | None, forecast: Forecast | None, *, valid_steps: int) -> None:
        self.now = seen.now
        self.step_seconds = _USUAL_STEP_SECONDS if forecast is None else forecast.step_seconds
        self._capacities = seen.capacities
        self._forecast = forecast
        self.issued_time = 0 if forecast is None else forecast.issued_time
        self.expire_time = 0 if forecast is None else forecast.issued_time + valid_steps * forecast.step_seconds
        self._rows = {} if forecast is None else {service: row for row, service in enumerate(forecast.services)}
        self._lee = frozenset[ServiceId]() if window is None else in_the_lee(window)
        self._replicas = {} if window is None else _ready_replicas(window)

    def demand(self, service: ServiceId, scaling: Scaling) -> Demand | None:
        forecast, row = self._forecast, self._rows.get(service)
        if forecast is None or row is None:
            return None
        # The step that holds the present speaks of what has begun already.
        last = self.now + scaling.lead_time_seconds + forecast.step_seconds
        return highest(
            forecast.values[row, FORECAST_FEATURES.index(scaling.signal)],
            forecast.quantiles,
            forecast.times,
            quantile=scaling.quantile,
            within=(self.now - forecast.step_seconds + 1, last),
        )

    def capacity(self, service: ServiceId, scaling: Scaling) -> Capacity | None:
        if scaling.per_replica is not None:
            return Capacity(scaling.per_replica)
        return None if self._capacities is None else self._capacities.of(service, scaling.signal)

    def current_replicas(self, service: ServiceId) -> int | None:
        return self._replicas.get(service)

    def caller_fails(self, service: ServiceId) -> bool:
        return service in self._lee


def _hinted(look: _Look, resource: ForecastResource, scaling: Scaling, past: Past) -> tuple[Hinted, Past]:
    found = Hinted(scaling, issued_time=look.issued_time, expire_time=look.expire_time)
    service = resource.target
    if service is None or resource.suspend or look.now >= look.expire_time:
        message = "There is no forecast that has not expired; see ForecastFresh."
        return replace(found, reason="NoForecast", message=message), past
    capacity = look.capacity(service, scaling) or past.known(scaling.signal.name)
    if capacity is None:
        message = "What a replica carries is not known; give spec.scaling.perReplica, or wait until it is learned."
        return replace(found, reason="CapacityUnknown", message=message), past
    if capacity.is_learned:
        capacity, past = past.capacity(capacity, scaling.signal.name)
    demand = look.demand(service, scaling)
    if demand is None:
        message = "The forecast says nothing of this signal and quantile within the lead time yet; wait for its band."
        return replace(found, reason="DemandUnknown", message=message), past
    facts = Facts(
        now=look.now,
        demand=demand,
        capacity=capacity,
        current_replicas=look.current_replicas(service),
        caller_fails=look.caller_fails(service),
        memory=past.memory,
        step_seconds=look.step_seconds,
    )
    hint, memory = decide(facts, scaling)
    return replace(found, hint=hint), replace(past, memory=memory, told=None)


def _or_told(found: Hinted, past: Past, *, now: int) -> Hinted:
    """What was found, or else what was told before a restart, for as long as that holds."""
    issued_time, expire_time = past.told_times
    if past.told is None or expire_time <= now:
        return found
    return Hinted(found.scaling, past.told, issued_time=issued_time, expire_time=expire_time)


def _ready_replicas(window: Snapshot) -> Mapping[ServiceId, int]:
    """The newest measurement of the last steps."""
    values = window.values[-_RECENT_STEPS:][::-1, :, index_of(READY_REPLICAS)]
    known = np.isfinite(values)
    newest = np.take_along_axis(values, known.argmax(axis=0)[None], axis=0)[0]
    return {window.services[row]: round(float(newest[row])) for row in np.flatnonzero(known.any(axis=0)).tolist()}
