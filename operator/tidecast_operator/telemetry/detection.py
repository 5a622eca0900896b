"""
Which sources have data, and how often they are scraped: one query for all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidecast_operator.telemetry.prometheus import Answer
from tidecast_operator.telemetry.schema import ResourceSchema, TrafficSchema

_LOOKBACK_SECONDS = 300
# Real intervals are round; a series that was scraped for a part of the lookback must not make up odd ones.
_INTERVALS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300)
_SCRAPES_IN_A_RANGE = 3
"""A rate needs two samples, so one scrape may be missed; Prometheus 3 does not count one at the left end of a range."""


@dataclass(frozen=True, slots=True)
class Found:
    """
    The sources that have data.

    Attributes:
        traffic: The most trusted first; empty if there is none.
        resources: None if there is none.
        scrape_seconds: The time between two samples, by the name of the source.
    """

    traffic: tuple[TrafficSchema, ...]
    resources: ResourceSchema | None
    scrape_seconds: Mapping[str, int]

    def range_seconds(self, schema: TrafficSchema | ResourceSchema, step_seconds: int) -> int:
        """The time a rate is taken over: one step, unless the source needs longer for a rate."""
        return max(step_seconds, schema.minimum_range_seconds, _SCRAPES_IN_A_RANGE * self.scrape_seconds[schema.name])


def probe(schemas: Sequence[TrafficSchema | ResourceSchema]) -> str:
    """One query that answers, for each source with data, how many samples a usual series of it has."""
    return " or ".join(
        f"label_replace(quantile(0.5, count_over_time({schema.probe}[{_LOOKBACK_SECONDS}s])), "
        f'"source", "{schema.name}", "", "")'
        for schema in schemas
    )


def found(answer: Answer, traffic: Sequence[TrafficSchema], resources: Sequence[ResourceSchema]) -> Found:
    """What the answer to `probe` says, of the sources that were asked for, in their order."""
    counts = {
        answer.samples.labels[series].get("source", ""): value
        for series, value in zip(answer.samples.series.tolist(), answer.samples.values.tolist(), strict=True)
        if value > 0
    }
    return Found(
        traffic=tuple(schema for schema in traffic if schema.name in counts),
        resources=next((schema for schema in resources if schema.name in counts), None),
        scrape_seconds={name: _interval(count) for name, count in counts.items()},
    )


def _interval(count: float) -> int:
    seconds = _LOOKBACK_SECONDS / count
    return min(_INTERVALS, key=lambda interval: max(interval / seconds, seconds / interval))
