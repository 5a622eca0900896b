"""
Asks Prometheus for everything a snapshot is made of, with a number of queries that does not depend on the services.

Only a first fill, whose answers would not fit into memory at once, takes more: each answer is bounded.
"""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tidecast_contract.features import Feature
from tidecast_operator.errors import NotEnoughData, QueryTooLarge
from tidecast_operator.telemetry.detection import Found, detect
from tidecast_operator.telemetry.observations import Calls, Observations, PeerSeries, Traffic
from tidecast_operator.telemetry.prometheus import Answer, Prometheus
from tidecast_operator.telemetry.schema import PeerLabels, Query, ResourceSchema, TrafficSchema
from tidecast_operator.telemetry.series import MAX_POINTS, Grid, Table, align, stack
from tidecast_operator.telemetry.sources import AUTO, RESOURCES, named

_THREADS = 4
"""More at once would take from Prometheus what others need."""
_FIRST_STEPS = 60
"""How many steps are asked for while it is not known how many series answer."""
_RENEW_SECONDS = 600
"""How long what was detected holds: after that, a new source or another scrape interval is noticed."""


class Collector:
    """
    Collects observations from the sources that are there. Synchronous: call it in a thread, one collection at a time.
    """

    def __init__(
        self, prometheus: Prometheus, sources: tuple[str, ...] = (AUTO,), *, max_samples: int = 500_000
    ) -> None:
        """
        Args:
            prometheus: Who is asked.
            sources: The names of the sources in order of trust; `AUTO` for all that have data.
            max_samples: How many samples one answer may hold; 500,000 take about 100 MB while they are read.

        Raises:
            Misconfigured: If a name is no source's.
        """
        self._prometheus = prometheus
        self._schemas = named(sources)
        self._max_samples = max_samples
        self._found: Found | None = None
        self._silent: frozenset[str] = frozenset()  # sources that were found before, and not the last time
        self._looked_time = 0.0  # unix seconds
        self._renew_time = 0.0
        self._longest: dict[str, int] = {}  # steps that Prometheus answers at once, where it has refused more

    def detect(self, *, at: float | None = None) -> tuple[str, ...]:
        """
        The names of the sources that have data, the most trusted first; empty when there is none.

        `collect` asks those that were found last, and looks again by itself now and then. A source that was found before
        counts as there until it has not been twice: its scrapes may fail for some minutes.

        Args:
            at: When to look, unix seconds; None for now.

        Raises:
            PrometheusUnavailable: If Prometheus cannot be asked.
        """
        found = detect(self._prometheus, self._schemas, RESOURCES, at=at)
        if self._found is not None:
            self._silent = self._found.names - found.names - self._silent
            found = found.with_silent(self._found, self._silent, traffic=self._schemas, resources=RESOURCES)
        self._found = found
        self._looked_time = time.time() if at is None else at
        self._renew_time = time.monotonic() + _RENEW_SECONDS
        self._longest.clear()
        return tuple(schema.name for schema in found.traffic)

    def collect(self, start_time: int, end_time: int, step_seconds: int) -> Observations:
        """
        What was measured at the steps start_time, start_time + step_seconds, ..., end_time, both included.

        Raises:
            PrometheusUnavailable: If Prometheus cannot be asked.
            NotEnoughData: If no source of telemetry is there.
            ValueError: If a time is not a multiple of step_seconds.
        """
        grid = Grid(start_time, end_time, step_seconds)
        if self._found is None or not self._found.traffic or time.monotonic() > self._renew_time:
            self.detect()
        if self._found is None or not self._found.traffic:
            probes = " nor ".join(schema.probe for schema in self._schemas)
            raise NotEnoughData(
                f"Prometheus at {self._prometheus.address} has no {probes} of the last minutes; check that it scrapes "
                "the service mesh or the collector, and spec.telemetry.sources"
            )
        found = self._paced(self._found, grid)
        questions = _questions(found, grid)
        with ThreadPoolExecutor(_THREADS) as pool:
            replies = dict(
                zip(questions, pool.map(lambda each: self._ask(each, grid), questions.values()), strict=True)
            )
        return _observations(found, grid, replies)

    def _paced(self, found: Found, grid: Grid) -> Found:
        """
        With the scrape intervals of the time of *grid*: with a shorter one of today nothing of then would be enough.

        Who changed them did so at any moment: both ends are looked at. What ends at present costs no look.
        """
        if self._looked_time - grid.end_time <= max(_RENEW_SECONDS, 2 * grid.step_seconds):
            return found
        resources = () if found.resources is None else (found.resources,)
        ends = (grid.end_time, grid.start_time)
        return found.at_pace_of([detect(self._prometheus, found.traffic, resources, at=end) for end in ends])

    def _ask(self, question: "_Question", grid: Grid) -> "_Reply":
        if question.is_instant:
            answer = self._prometheus.query(question.promql, at=grid.end_time)
            return _Reply(align(answer.samples, Grid(grid.end_time, grid.end_time, grid.step_seconds)), (answer,))
        answers, tables = [], []
        part = grid.first(min(_FIRST_STEPS, MAX_POINTS, self._longest.get(question.promql, MAX_POINTS)))
        while True:
            try:
                answers.append(self._prometheus.query_range(question.promql, part))
            except QueryTooLarge:
                if part.steps == 1:
                    raise
                # It loads what lies behind the answer before it sums that up: how much is not known here.
                self._longest[question.promql] = part.steps // 2
                part = part.first(part.steps // 2)
                continue
            tables.append(align(answers[-1].samples, part))
            rest = grid.after(part)
            if rest is None:
                return _Reply(stack(tables).scaled(question.scale), tuple(answers))
            series = max(1, len(tables[-1].labels))
            longest = self._longest.get(question.promql, MAX_POINTS)
            part = rest.first(min(longest, max(1, self._max_samples // series)))


@dataclass(frozen=True, slots=True)
class _Question:
    """
    One query of a collection: at every step, or at the last alone.
    """

    promql: str
    scale: float = 1.0
    is_instant: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Reply:
    """
    The answers to one question, put together.
    """

    table: Table
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class _Range:
    """
    The time that rates of one source are taken over.
    """

    step_seconds: int
    whole_seconds: int
    scrape_seconds: float

    @classmethod
    def of(cls, sources: Found, schema: TrafficSchema | ResourceSchema, grid: Grid) -> "_Range":
        seconds = sources.range_seconds(schema, grid.step_seconds)
        return cls(seconds, max(grid.steps * grid.step_seconds, seconds), sources.scrape_seconds[schema.name])

    def step(self, query: Query) -> _Question:
        promql = query.over(self.step_seconds, scrape_seconds=self.scrape_seconds)
        return _Question(promql, query.scale)

    def whole(self, query: Query) -> _Question:
        promql = query.over(self.whole_seconds, scrape_seconds=self.scrape_seconds)
        return _Question(promql, query.scale, is_instant=True)


_Key = tuple[str, str]
"""The name of a source, and what was asked of it."""


def _questions(sources: Found, grid: Grid) -> dict[_Key, _Question]:
    questions = {}
    for schema in sources.traffic:
        over = _Range.of(sources, schema, grid)
        # One rate over the whole time is all that a call needs.
        questions[schema.name, "calls"] = over.whole(schema.calls)
        for part, query in _measures(schema).items():
            questions[schema.name, part] = over.step(query)
    if sources.resources is not None:
        over = _Range.of(sources, sources.resources, grid)
        for feature, query in sources.resources.queries.items():
            questions[sources.resources.name, feature.name] = over.step(query)
    return questions


def _measures(schema: TrafficSchema) -> dict[str, Query]:
    latencies = {feature.name: query for feature, query in schema.latencies.items()}
    return {"requests": schema.requests, "errors": schema.errors, **latencies}


def _observations(sources: Found, grid: Grid, replies: Mapping[_Key, _Reply]) -> Observations:
    answers = [answer for reply in replies.values() for answer in reply.answers]
    return Observations(
        end_time=grid.end_time,
        step_seconds=grid.step_seconds,
        steps=grid.steps,
        traffic=tuple(_traffic(schema, replies) for schema in sources.traffic),
        resources=_resources(sources.resources, replies),
        queries=len(answers),
        warnings=_once(warning for answer in answers for warning in answer.warnings),
        infos=_once(info for answer in answers for info in answer.infos),
        is_partial=any(answer.is_partial for answer in answers),
    )


def _traffic(schema: TrafficSchema, replies: Mapping[_Key, _Reply]) -> Traffic:
    return Traffic(
        source=schema.name,
        calls=_calls(schema, replies[schema.name, "calls"].table),
        requests=_series(replies[schema.name, "requests"].table, schema.owner),
        errors=_series(replies[schema.name, "errors"].table, schema.owner),
        latencies={
            feature: _series(replies[schema.name, feature.name].table, schema.owner) for feature in schema.latencies
        },
    )


def _resources(schema: ResourceSchema | None, replies: Mapping[_Key, _Reply]) -> dict[Feature, PeerSeries]:
    if schema is None:
        return {}
    return {feature: _series(replies[schema.name, feature.name].table, schema.owner) for feature in schema.queries}


def _calls(schema: TrafficSchema, table: Table) -> Calls:
    rates = table.values[-1]
    called = np.flatnonzero(np.isfinite(rates) & (rates > 0)).tolist()
    return Calls(
        callers=tuple(schema.caller.peer(table.labels[series]) for series in called),
        callees=tuple(schema.callee.peer(table.labels[series]) for series in called),
        rates=rates[called],
    )


def _series(table: Table, owner: PeerLabels) -> PeerSeries:
    return PeerSeries(tuple(owner.peer(labels) for labels in table.labels), table.values)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
