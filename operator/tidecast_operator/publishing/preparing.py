"""
What has to be written for the ServicePerformanceForecasts after a cycle. Pure; for thousands of resources, so call it
in a thread.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import REQUESTS, Feature, index_of
from tidecast_contract.forecast import Forecast, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.hints.keeper import Hinted
from tidecast_operator.outlets.floors.plan import FloorProblem
from tidecast_operator.ownership import speakers
from tidecast_operator.published import Condition, from_time, settled
from tidecast_operator.publishing import events
from tidecast_operator.publishing.forecast_conditions import ForecastFacts, of_forecast
from tidecast_operator.publishing.hinted import OFFERED, entry, hint_block
from tidecast_operator.publishing.status import VALID_STEPS, Statuses, skill_block
from tidecast_operator.publishing.writer import StatusWrite, needed
from tidecast_operator.resources import ForecastResource
from tidecast_operator.scaling import SIGNALS
from tidecast_operator.trust.skills import Skill, Skills

JUDGED_FEATURE, JUDGED_SECONDS = REQUESTS, 300
"""The forecasts that `Trusted` speaks of, where no `spec.scaling` says which ones matter."""

_RECENT_STEPS = 5
_HINT_BYTES = 1400  # a hint with the longest words, and its two conditions
_RENEWAL_STEPS = (2, 6)  # spread, so that not all resources are written in one cycle


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """
    What a cycle has found out for all resources.

    Attributes:
        now: Unix seconds.
        step_seconds: Between two cycles.
        metrics: The names of the features to publish.
        window: What was measured; None if nothing was, this time.
        forecast: What was forecast from it; None if nothing was, this time.
        skills: How good past forecasts were; None if that is not known.
        problem: Why there is no forecast; empty if there is one.
        valid_steps: How long forecasts stand.
        hints: What came out for the resources that ask for a hint, by namespace and name.
        floor_problems: Why floors did not follow hints the last time, by namespace and name; None before anybody has
            looked.
        last_trust: What `Trusted` said in the cycle before, by uid; statuses may not have been written since.
    """

    now: int
    step_seconds: int
    metrics: tuple[str, ...]
    window: Snapshot | None = None
    forecast: Forecast | None = None
    skills: Skills | None = None
    problem: str = ""
    valid_steps: int = VALID_STEPS
    hints: Mapping[tuple[str, str], Hinted] = field(default_factory=dict)
    floor_problems: Mapping[tuple[str, str], FloorProblem] | None = None
    last_trust: Mapping[str, Condition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    What has to be written.

    Attributes:
        writes: One for each resource that needs it: changes of state first, then the oldest forecasts.
        fresh: How many resources have a forecast that has not expired.
        board: What autoscalers may be told from now on.
        trusted: Whether forecasts are trusted, by namespace and name; without those of which it is not known.
        last_trust: What `Trusted` says, by uid, for the next cycle.
    """

    writes: tuple[StatusWrite, ...]
    fresh: int
    board: Board
    trusted: Mapping[tuple[str, str], bool]
    last_trust: Mapping[str, Condition]


def prepare(outcome: Outcome, resources: Sequence[ForecastResource], workloads: WorkloadIndex) -> Prepared:
    """What has to be written so that *resources* say what *outcome* has found out."""
    view = _View(outcome, resources, workloads)
    writes, fresh = [], 0
    entries: dict[tuple[str, str], Entry] = {}
    trusted: dict[tuple[str, str], bool] = {}
    last_trust: dict[str, Condition] = {}
    for resource in resources:
        status = view.status(resource)
        facts = view.facts(resource, status)
        found = settled(
            of_forecast(facts, resource.published),
            resource.published,
            generation=resource.generation,
            now=outcome.now,
        )
        fresh += facts.expire_time is not None and facts.expire_time > outcome.now
        by_type = {condition.type: condition for condition in found}
        last_trust[resource.uid] = by_type["Trusted"]
        if by_type["Trusted"].status != "Unknown":
            trusted[resource.key] = by_type["Trusted"].status == "True"
        if facts.hinted is not None and resource.target is not None:
            entries[resource.key] = entry(resource, resource.target, facts.hinted, by_type[OFFERED])
        patch = needed(resource, status, found, renew_before=view.renew_before(resource))
        if patch is not None:
            kind = "" if status is None else status["model"]["kind"]
            news = events.of_forecast(resource, found, model_kind=kind, now=outcome.now)
            writes.append(StatusWrite(resource, patch, tuple(news)))
    board = Board(outcome.now, entries, is_known=True)
    return Prepared(tuple(sorted(writes, key=_urgency)), fresh, board, trusted, last_trust)


def _urgency(write: StatusWrite) -> tuple[bool, int]:
    return "issuedTime" in write.patch, write.resource.published.issued_time or 0


class _View:
    """One outcome, asked resource by resource."""

    def __init__(self, outcome: Outcome, resources: Sequence[ForecastResource], workloads: WorkloadIndex) -> None:
        self._outcome = outcome
        self._workloads = workloads
        self._speakers = speakers(resources)
        self._kinds: Mapping[ServiceId, ModelKind] = {}
        self._statuses: Statuses | None = None
        self._by_signal: Mapping[Feature, set[ServiceId]] = {}
        self._measured: set[ServiceId] = set()
        self._connected: set[ServiceId] = set()
        if outcome.window is not None:
            self._look_at(outcome.window)
        if outcome.window is not None and outcome.forecast is not None:
            self._statuses = Statuses(
                outcome.window, outcome.forecast, metrics=outcome.metrics, valid_steps=outcome.valid_steps
            )
            self._kinds = dict(zip(outcome.forecast.services, outcome.forecast.kinds, strict=True))

    def _look_at(self, window: Snapshot) -> None:
        recent: NDArray[np.bool_] = np.asarray(np.isfinite(window.values[-_RECENT_STEPS:]).any(axis=0))
        self._by_signal = {
            signal: {window.services[row] for row in np.flatnonzero(recent[:, index_of(signal)])}
            for signal in SIGNALS.values()
        }
        self._measured = self._by_signal[REQUESTS]
        self._connected = {window.services[row] for row in np.unique(window.calls)}

    def status(self, resource: ForecastResource) -> dict[str, Any] | None:
        """Its new forecast; None if it gets none."""
        if self._statuses is None or resource.target is None or resource.suspend:
            return None
        if self._speakers[resource.target].key != resource.key or resource.target not in self._workloads.workloads:
            return None
        # A service that was not seen lately keeps its old forecast, which ages.
        if resource.target not in self._measured:
            return None
        hinted = self.hinted(resource)
        status = self._statuses.of(resource.target, reserved=0 if hinted is None else _HINT_BYTES)
        return None if status is None else status | skill_block(self.skill(resource)) | hint_block(hinted)

    def hinted(self, resource: ForecastResource) -> Hinted | None:
        """
        What came out as its hint; None if it asks for none, speaks for no workload, or for one that does not exist.

        A hint that there is goes on without its workload, which may be replaced just now; it ends with its measurements.
        """
        hinted = self._outcome.hints.get(resource.key)
        if hinted is None or resource.target is None:
            return None
        return hinted if hinted.hint is not None or resource.target in self._workloads.workloads else None

    def _signal(self, resource: ForecastResource) -> Feature:
        hinted = self._outcome.hints.get(resource.key)
        return JUDGED_FEATURE if hinted is None or hinted.scaling is None else hinted.scaling.signal

    def skill(self, resource: ForecastResource) -> Skill | None:
        """
        How good its past forecasts were, of what a hint would lean on if it asks for one; None where nothing came true.
        """
        if self._outcome.skills is None or resource.target is None:
            return None
        seconds = JUDGED_SECONDS
        hinted = self._outcome.hints.get(resource.key)
        if hinted is not None and hinted.scaling is not None:
            seconds = hinted.scaling.lead_time_seconds + self._outcome.step_seconds
        return self._outcome.skills.of(resource.target, self._signal(resource), seconds)

    def facts(self, resource: ForecastResource, status: Mapping[str, Any] | None) -> ForecastFacts:
        """What there is to say about it."""
        target = resource.target
        speaker = resource if target is None else self._speakers[target]
        forecast = self._outcome.forecast
        return ForecastFacts(
            now=self._outcome.now,
            target="" if target is None else f"{target.kind}/{target.name}",
            target_exists=target in self._workloads.workloads,
            duplicate_of="" if speaker.key == resource.key else speaker.name,
            suspend=resource.suspend,
            is_observed=self._outcome.window is not None,
            in_graph=target in self._connected,
            is_measured=target in self._measured,
            is_signal_measured=target in self._by_signal.get(self._signal(resource), ()),
            model=None if status is None or target is None else self._kinds[target],
            model_reason="" if forecast is None else forecast.model.reason,
            expire_time=resource.published.expire_time if status is None else from_time(status["expireTime"]),
            problem=self._outcome.problem,
            is_judged=self._outcome.skills is not None,
            skill=self.skill(resource),
            hinted=self.hinted(resource),
            is_floor_known=self._outcome.floor_problems is not None,
            floor_problem=(self._outcome.floor_problems or {}).get(resource.key),
            last_trust=self._outcome.last_trust.get(resource.uid),
        )

    def renew_before(self, resource: ForecastResource) -> int:
        """A forecast that expires before this is written again even if it says the same."""
        first, last = _RENEWAL_STEPS
        steps = first + zlib.crc32(resource.uid.encode()) % (last - first + 1)
        return self._outcome.now + steps * self._outcome.step_seconds
