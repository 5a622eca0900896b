"""
Which sources have data, and how often they are scraped.

One query probes all sources, and a small one for each of their metrics reads when one of its series was scraped.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidecast_operator.telemetry.prometheus import Prometheus
from tidecast_operator.telemetry.schema import ResourceSchema, TrafficSchema
from tidecast_operator.telemetry.series import Samples

_LOOKBACK = "5m"
_USUAL_SECONDS = 60.0
"""Prometheus' default, for a series that was scraped only once so far."""
_SCRAPES_IN_A_RANGE = 3
"""A rate needs two samples, so one scrape may be missed; Prometheus 3 does not count one at the left end of a range."""
_SLOW_SHARE = 0.1
"""Series of a source that may be scraped at longer intervals than is reckoned with: these have no rates."""
_METRIC = "metric_asked_for"
"""The label of an answer to `probe` that says which."""
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Found:
    """
    The sources that have data.

    Attributes:
        traffic: The most trusted first; empty if there is none.
        resources: None if there is none.
        scrape_seconds: The time between two samples, by the name of the source; of its metrics the slowest counts.
    """

    traffic: tuple[TrafficSchema, ...]
    resources: ResourceSchema | None
    scrape_seconds: Mapping[str, float]

    @property
    def names(self) -> frozenset[str]:
        """Of all that were found."""
        return frozenset(each.name for each in (*self.traffic, *((self.resources,) if self.resources else ())))

    def with_silent(
        self,
        before: "Found",
        silent: frozenset[str],
        *,
        traffic: Sequence[TrafficSchema],
        resources: Sequence[ResourceSchema],
    ) -> "Found":
        """
        As if those sources had been found that were before and are silent now.

        Args:
            before: What was found the last time.
            silent: The names of those of them that are to stay.
            traffic: All sources of traffic in their order.
            resources: The same of resources.
        """
        stays = self.names | silent
        scrape_seconds = {name: {**before.scrape_seconds, **self.scrape_seconds}[name] for name in stays}
        return Found(
            traffic=tuple(schema for schema in traffic if schema.name in stays),
            resources=next((schema for schema in resources if schema.name in stays), None),
            scrape_seconds=scrape_seconds,
        )

    def at_pace_of(self, looks: Sequence["Found"]) -> "Found":
        """
        The same sources, scraped as seldom as the slowest of *looks* says; one that none of them found, as here.

        A range that suits the slow part of a time suits all of it.
        """
        slowest = {
            name: max((look.scrape_seconds[name] for look in looks if name in look.scrape_seconds), default=seconds)
            for name, seconds in self.scrape_seconds.items()
        }
        return replace(self, scrape_seconds=slowest)

    def range_seconds(self, schema: TrafficSchema | ResourceSchema, step_seconds: int) -> int:
        """The time a rate is taken over: one step, unless the source needs longer for a rate."""
        scrapes = math.ceil(_SCRAPES_IN_A_RANGE * self.scrape_seconds[schema.name])
        return max(step_seconds, schema.minimum_range_seconds, scrapes)


def detect(
    prometheus: Prometheus,
    traffic: Sequence[TrafficSchema],
    resources: Sequence[ResourceSchema],
    *,
    at: float | None = None,
) -> Found:
    """
    Which of the sources have data, in their order, at a time in unix seconds; None for now.

    Raises:
        PrometheusUnavailable: If Prometheus cannot be asked.
    """
    labels = prometheus.query(probe((*traffic, *resources)), at=at).samples.labels
    seen = {each.get(_METRIC, ""): each for each in labels}
    there = tuple(schema for schema in traffic if schema.probe in seen)
    infrastructure = next((schema for schema in resources if schema.probe in seen), None)
    chosen = (*there, *((infrastructure,) if infrastructure else ()))
    intervals = {
        metric: interval(prometheus.query(one_series(metric, seen[metric]), at=at).samples)
        for metric in _metrics(chosen)
        if metric in seen
    }
    slowest = {
        schema.name: max(intervals[metric] for metric in _metrics((schema,)) if metric in intervals)
        for schema in chosen
    }
    return Found(there, infrastructure, slowest)


def probe(schemas: Sequence[TrafficSchema | ResourceSchema]) -> str:
    """
    One query that answers, for each metric with data, with the labels of a series that is scraped seldom.

    Targets of one source are scraped at intervals of their own. A range that suits the slow ones suits all; one that
    suits the fast ones would leave the others without any rate.
    """
    return " or ".join(
        f'label_replace({_slow_series(metric)}, "{_METRIC}", "{metric}", "", "")' for metric in _metrics(schemas)
    )


def _metrics(schemas: Sequence[TrafficSchema | ResourceSchema]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(metric for schema in schemas for metric in (schema.probe, *schema.paces)))


def _slow_series(metric: str) -> str:
    samples = f"count_over_time({metric}[{_LOOKBACK}])"
    # What has begun or ended meanwhile has few samples at any interval.
    lasting = f"({samples} and {metric} offset {_LOOKBACK} and {metric})"
    slow = f"topk(1, {lasting} <= scalar(ceil(quantile({_SLOW_SHARE}, {lasting}))))"
    return f"({slow} or topk(1, {samples}) unless on () {lasting})"


def one_series(metric: str, labels: Mapping[str, str]) -> str:
    """A query for the samples of the series that `probe` answered with."""
    matchers = ", ".join(
        f'{name}="{_escaped(value)}"'
        for name, value in sorted(labels.items())
        if name != _METRIC and _LABEL_NAME.fullmatch(name)
    )
    return f"{metric}{{{matchers}}}[{_LOOKBACK}]"


def interval(samples: Samples) -> float:
    """The usual time between two samples of the first series, in seconds; a gap between them does not count."""
    times = samples.times[samples.series == 0]
    return float(np.median(np.diff(times))) if len(times) > 1 else _USUAL_SECONDS


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
