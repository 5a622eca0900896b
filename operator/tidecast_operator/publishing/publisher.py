"""
Brings what a cycle has found out to the API server, to the metrics and to the log. Synchronous: call it in a thread.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from textwrap import shorten
from typing import Any

import numpy as np

from tidecast_contract.features import REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.floors.plan import FloorProblem
from tidecast_operator.outlets.gauges.facts import Facts
from tidecast_operator.outlets.outlets import Outlets, by_key
from tidecast_operator.ownership import plan
from tidecast_operator.published import Condition, settled
from tidecast_operator.publishing import events, forecaster_status, preparing
from tidecast_operator.publishing.forecaster_conditions import ForecasterFacts, not_in_use, of_forecaster
from tidecast_operator.publishing.round import IDLE_STEP_SECONDS, Round
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.publishing.status import VALID_STEPS
from tidecast_operator.publishing.writer import Writer, Written
from tidecast_operator.resources import DEFAULT_FORECASTER, ForecasterResource, ForecastResource

_log = logging.getLogger(__name__)
_MAX_EVENTS = 100  # in one cycle; what all resources have in common is an event of the Forecaster
_CREATING_SHARE = 0.25  # of a step
_WRITING_SHARE = 0.75  # of a step, in which a cycle should be over
_LEAST_BUDGET_SECONDS = 2.0
_FLOORS_SHARE, _MAX_FLOORS_SECONDS = 0.4, 20.0  # of a step; what it leaves is for the statuses
_PROBLEM_LENGTH = 240  # it stands in several conditions of each resource


class Publisher:
    """
    Publishes cycle after cycle.

    Args:
        writer: To the API server.
        metrics: About the operator itself.
        outlets: Where autoscalers and Prometheus are told.
        clock: Unix seconds.
    """

    def __init__(self, writer: Writer, metrics: SelfMetrics, outlets: Outlets, *, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._outlets = outlets
        self._floor_problems: Mapping[tuple[str, str], FloorProblem] | None = None
        self._last_trust: Mapping[str, Condition] = {}
        self._metrics = metrics
        self._clock = clock
        self._rounds = 1

    def own(self, found: Round, resources: Sequence[ForecastResource], workloads: WorkloadIndex) -> None:
        """Makes the resources that services lack, and deletes those of the operator's own that nobody wants."""
        if found.observed is None or found.in_use.settings is None:
            return
        window = found.observed.window
        todo = plan(resources, _receivers(window), workloads, namespaces=found.in_use.settings.namespaces)
        budget_seconds = _CREATING_SHARE * found.step_seconds
        made = self._writer.create(todo.create, budget_seconds=budget_seconds)
        deleted = self._writer.delete(todo.delete, budget_seconds=budget_seconds)
        if made.done or deleted.done:
            _log.info("resources: created %d, %d to come, deleted %d", made.done, made.deferred, deleted.done)
        problem = made.problem or deleted.problem
        if problem is not None:
            _log.warning("not all resources were created or deleted, the rest follows with the next cycle: %s", problem)

    def publish(self, found: Round, resources: Sequence[ForecastResource], workloads: WorkloadIndex) -> str:
        """Writes what changed; says in a word how the cycle ended."""
        outcome = preparing.Outcome(
            now=int(self._clock()),
            step_seconds=found.step_seconds,
            metrics=found.metrics,
            window=None if found.observed is None else found.observed.window,
            forecast=found.forecast,
            skills=found.skills,
            problem=shorten(found.problem, _PROBLEM_LENGTH, placeholder=" ..."),
            valid_steps=2 * self._rounds,
            hints=found.hints,
            floor_problems=self._floor_problems,
            last_trust=self._last_trust,
        )
        with found.stage("prepare"):
            prepared = preparing.prepare(outcome, resources, workloads)
        self._last_trust = prepared.last_trust
        # Before anything is written: writing may take long, and autoscalers ask meanwhile. A cycle that outlived its
        # lead has nothing to say: the board of the next leader may hang there already.
        if self._writer.may_write:
            self._outlets.tell(_told(found, prepared))
        try:
            # Before the statuses: thousands of these are written just when thousands of floors are to be given back.
            with found.stage("floors"):
                self._follow(prepared.board, found.step_seconds)
        finally:
            with found.stage("write"):
                written = self._write(found, prepared)
        problem = self._write_forecasters(found, written) or written.problem
        word = found.outcome if problem is None else "ApiServerUnavailable"
        self._metrics.forecasts.set(prepared.fresh)
        self._measure(found, written)
        self._tell(found, written, word=word, total=len(resources))
        if problem is not None:
            _log.warning("not everything was written, the rest follows with the next cycle: %s", problem)
        return word

    def _write(self, found: Round, prepared: preparing.Prepared) -> Written:
        budget_seconds = max(_LEAST_BUDGET_SECONDS, _WRITING_SHARE * found.step_seconds - found.seconds)
        written = self._writer.statuses(prepared.writes, budget_seconds=budget_seconds)
        self._rounds = written.rounds
        self._writer.events(written.events[:_MAX_EVENTS])
        return written

    def _follow(self, board: Board, step_seconds: int) -> None:
        report = self._outlets.follow(board, budget_seconds=min(_MAX_FLOORS_SECONDS, _FLOORS_SHARE * step_seconds))
        if report.has_looked:
            self._floor_problems = by_key(report)
        if report.raised or report.restored:
            _log.info("floors: raised %d, given back %d, %d to come", report.raised, report.restored, report.left)
        if report.error is not None:
            _log.warning("not all floors were looked at, the rest follows with the next cycle: %s", report.error)

    def follow_on(self) -> None:
        """A cycle broke: floors still follow what was told last, which expires."""
        self._follow(self._outlets.board, IDLE_STEP_SECONDS)

    def withdraw(self) -> None:
        """Another replica leads: what this one knew is not to stand beside it."""
        self._last_trust = {}
        self._floor_problems = None
        self._outlets.withdraw()

    def _write_forecasters(self, found: Round, written: Written) -> Exception | None:
        in_use, problem = found.in_use, None
        if in_use.resource is not None:
            status = self._forecaster(found, written)
            problem = self._write_forecaster(in_use.resource, _conditions(found), status)
        for other in in_use.others:
            unused = not_in_use(DEFAULT_FORECASTER)
            if [one.reason for one in other.published.conditions] != [one.reason for one in unused]:
                problem = self._write_forecaster(other, unused, {}) or problem
        return problem

    def _write_forecaster(
        self, resource: ForecasterResource, found: Sequence[Condition], status: dict[str, Any]
    ) -> Exception | None:
        now = int(self._clock())
        conditions_now = settled(found, resource.published, generation=resource.generation, now=now)
        full = status | {
            "observedGeneration": resource.generation,
            "conditions": [condition.to_dict() for condition in conditions_now],
        }
        written = self._writer.forecaster(resource.name, full)
        if written.done:
            self._writer.events(events.of_forecaster(resource, conditions_now, now=now))
        return written.problem

    def _forecaster(self, found: Round, written: Written) -> dict[str, Any]:
        observed, status = found.observed, {}
        if observed is not None:
            status["graph"] = forecaster_status.graph(
                forecaster_status.GraphFacts(
                    services=len(observed.window.services),
                    calls=int(observed.window.calls.shape[1]),
                    sources=observed.sources,
                    unattributed_requests_per_second=observed.unattributed_requests_per_second,
                )
            )
        if found.speaker is not None and found.history is not None:
            status |= forecaster_status.predictor(found.speaker, found.history)
        status["cycle"] = forecaster_status.cycle(
            forecaster_status.CycleFacts(
                start_time=found.start_time,
                duration_seconds=found.seconds,
                queries=0 if observed is None else observed.queries,
                missing_ratio=math.nan if observed is None else observed.missing_ratio,
                writes=written.done,
            )
        )
        return status

    def _measure(self, found: Round, written: Written) -> None:
        for name, seconds in found.stages.items():
            self._metrics.stage_seconds.labels(name).observe(seconds)
        for outcome in ("done", "gone", "refused", "skipped", "deferred"):
            self._metrics.writes.labels(outcome).inc(getattr(written, outcome))
        if found.observed is not None:
            window = found.observed.window
            self._metrics.services.set(len(window.services))
            self._metrics.calls.set(window.calls.shape[1])
            self._metrics.unattributed.set(found.observed.unattributed_requests_per_second)
            self._metrics.missing_ratio.set(found.observed.missing_ratio)
            self._metrics.queries.inc(found.observed.queries)
        if found.history is not None:
            self._metrics.history_progress.set(found.history.progress)

    def _tell(self, found: Round, written: Written, *, word: str, total: int) -> None:
        observed = found.observed
        services, calls = (
            (0, 0) if observed is None else (len(observed.window.services), observed.window.calls.shape[1])
        )
        _log.info(
            "cycle outcome=%s services=%d calls=%d queries=%d missing=%.3f resources=%d written=%d refused=%d skipped=%d deferred=%d %s%s",
            word,
            services,
            calls,
            0 if observed is None else observed.queries,
            math.nan if observed is None else observed.missing_ratio,
            total,
            written.done,
            written.refused,
            written.skipped,
            written.deferred,
            " ".join(f"{name}={seconds:.2f}s" for name, seconds in found.stages.items()),
            f" problem={found.problem!r}" if found.problem else "",
        )


def _conditions(found: Round) -> tuple[Condition, ...]:
    return of_forecaster(
        ForecasterFacts(
            invalid=found.in_use.invalid,
            runs_on_last_valid=found.in_use.settings is not None,
            telemetry_problem=found.telemetry_problem,
            predictor_problem=found.predictor_problem,
            predictor=found.speaker,
            sources=() if found.observed is None else found.observed.sources,
            warnings=() if found.observed is None else found.observed.warnings,
            services=0 if found.forecast is None else len(found.forecast.services),
        )
    )


def _receivers(window: Snapshot) -> set[ServiceId]:
    """The services that get requests, one whose callers send no telemetry and so are in no call included."""
    got = np.flatnonzero((window.values[..., index_of(REQUESTS)] > 0).any(axis=0))
    return {window.services[row] for row in (*got.tolist(), *window.calls[1].tolist())}


def _told(found: Round, prepared: preparing.Prepared) -> Facts:
    forecast = found.forecast
    expire_time = 0 if forecast is None else forecast.issued_time + VALID_STEPS * forecast.step_seconds
    return Facts(
        prepared.board,
        forecast,
        expire_time,
        found.metrics,
        found.skills,
        prepared.trusted,
        measured=None if found.observed is None else found.observed.window,
    )
