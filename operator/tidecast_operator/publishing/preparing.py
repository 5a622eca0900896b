"""
What has to be written for the ServicePerformanceForecasts after a cycle. Pure; for thousands of resources, so call it
in a thread.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidecast_contract.features import REQUESTS, index_of
from tidecast_contract.forecast import Forecast, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.ownership import speakers
from tidecast_operator.published import from_time, settled
from tidecast_operator.publishing import conditions, events
from tidecast_operator.publishing.status import VALID_STEPS, Statuses, skill_block
from tidecast_operator.publishing.writer import StatusWrite, needed
from tidecast_operator.resources import ForecastResource
from tidecast_operator.trust.skills import Skill, Skills

JUDGED_FEATURE, JUDGED_SECONDS = REQUESTS, 300
"""The forecasts that `Trusted` speaks of."""

_RECENT_STEPS = 5
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
    """

    now: int
    step_seconds: int
    metrics: tuple[str, ...]
    window: Snapshot | None = None
    forecast: Forecast | None = None
    skills: Skills | None = None
    problem: str = ""
    valid_steps: int = VALID_STEPS


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    What has to be written.

    Attributes:
        writes: One for each resource that needs it: changes of state first, then the oldest forecasts.
        fresh: How many resources have a forecast that has not expired.
    """

    writes: tuple[StatusWrite, ...]
    fresh: int


def prepare(outcome: Outcome, resources: Sequence[ForecastResource], workloads: WorkloadIndex) -> Prepared:
    """What has to be written so that *resources* say what *outcome* has found out."""
    view = _View(outcome, resources, workloads)
    writes, fresh = [], 0
    for resource in resources:
        status = view.status(resource)
        facts = view.facts(resource, status)
        found = settled(
            conditions.of_forecast(facts, resource.published),
            resource.published,
            generation=resource.generation,
            now=outcome.now,
        )
        fresh += facts.expire_time is not None and facts.expire_time > outcome.now
        patch = needed(resource, status, found, renew_before=view.renew_before(resource))
        if patch is not None:
            kind = "" if status is None else status["model"]["kind"]
            news = events.of_forecast(resource, found, model_kind=kind, now=outcome.now)
            writes.append(StatusWrite(resource, patch, tuple(news)))
    return Prepared(tuple(sorted(writes, key=_urgency)), fresh)


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
        recent = np.isfinite(window.values[-_RECENT_STEPS:, :, index_of(REQUESTS)]).any(axis=0)
        self._measured = {window.services[row] for row in np.flatnonzero(recent)}
        self._connected = {window.services[row] for row in np.unique(window.calls)}

    def status(self, resource: ForecastResource) -> dict[str, Any] | None:
        """Its new forecast; None if it gets none."""
        if self._statuses is None or resource.target is None or resource.suspend:
            return None
        if self._speakers[resource.target].key != resource.key or resource.target not in self._workloads.workloads:
            return None
        # A service that was not seen lately keeps its old forecast, which ages.
        if resource.target not in self._measured or (status := self._statuses.of(resource.target)) is None:
            return None
        return status | skill_block(self.skill(resource))

    def skill(self, resource: ForecastResource) -> Skill | None:
        """How good its past forecasts were; None where nothing came true yet."""
        if self._outcome.skills is None or resource.target is None:
            return None
        return self._outcome.skills.of(resource.target, JUDGED_FEATURE, JUDGED_SECONDS)

    def facts(self, resource: ForecastResource, status: Mapping[str, Any] | None) -> conditions.ForecastFacts:
        """What there is to say about it."""
        target = resource.target
        speaker = resource if target is None else self._speakers[target]
        forecast = self._outcome.forecast
        return conditions.ForecastFacts(
            now=self._outcome.now,
            target="" if target is None else f"{target.kind}/{target.name}",
            target_exists=target in self._workloads.workloads,
            duplicate_of="" if speaker.key == resource.key else speaker.name,
            suspend=resource.suspend,
            is_observed=self._outcome.window is not None,
            in_graph=target in self._connected,
            is_measured=target in self._measured,
            model=None if status is None or target is None else self._kinds[target],
            model_reason="" if forecast is None else forecast.model.reason,
            expire_time=resource.published.expire_time if status is None else from_time(status["expireTime"]),
            problem=self._outcome.problem,
            is_judged=self._outcome.skills is not None,
            skill=self.skill(resource),
        )

    def renew_before(self, resource: ForecastResource) -> int:
        """A forecast that expires before this is written again even if it says the same."""
        first, last = _RENEWAL_STEPS
        steps = first + zlib.crc32(resource.uid.encode()) % (last - first + 1)
        return self._outcome.now + steps * self._outcome.step_seconds
