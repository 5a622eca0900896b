"""
What a source of telemetry looks like, as data: its queries, and which of its labels name a peer.

A new source is a new file of data beside this one, and a line in `sources`; no code changes. Knows no metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tidecast_contract.features import Feature
from tidecast_operator.telemetry.observations import Peer

RANGE = "$range"
"""Stands in a query for the time that a rate is taken over."""
ENOUGH = "$enough"
"""Stands in a query for the samples a series must have in that time, so that scrapes that failed make no dip."""


@dataclass(frozen=True, slots=True)
class Query:
    """
    A question in PromQL.

    Attributes:
        promql: With `RANGE` where a rate needs one, and maybe `ENOUGH`.
        scale: What an answer is multiplied with to come to the feature's unit.
    """

    promql: str
    scale: float = 1.0

    def over(self, range_seconds: int, *, scrape_seconds: float) -> str:
        """The PromQL for a range and series that are scraped so often."""
        enough = _COVERED * range_seconds / scrape_seconds
        return self.promql.replace(RANGE, f"{range_seconds}s").replace(ENOUGH, f"{enough:.4g}")


@dataclass(frozen=True, slots=True)
class PeerLabels:
    """
    Which labels hold which part of a peer: of several, the first that is neither empty nor `UNKNOWN` counts.

    Attributes:
        namespace: See `Peer`, as for the next five.
        workload: ...
        kind: ...
        application: ...
        service: ...
        service_namespace: ...
        virtual: The peer is virtual if all labels of one of these have the value that stands here.
    """

    namespace: tuple[str, ...] = ()
    workload: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    application: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    service_namespace: tuple[str, ...] = ()
    virtual: tuple[Mapping[str, str], ...] = ()

    def peer(self, labels: Mapping[str, str]) -> Peer:
        """The peer that *labels* describe."""
        return Peer(
            namespace=_first(labels, self.namespace),
            workload=_first(labels, self.workload),
            kind=_first(labels, self.kind),
            application=_first(labels, self.application),
            service=_first(labels, self.service),
            service_namespace=_first(labels, self.service_namespace),
            is_virtual=any(
                all(labels.get(label) == value for label, value in together.items()) for together in self.virtual
            ),
        )


@dataclass(frozen=True, slots=True)
class TrafficSchema:
    """
    A source of calls and of the requests, errors and latencies of services.

    Which of two reporters of one request counts is part of its queries: each request counts once.

    Attributes:
        name: As users write it in `spec.telemetry.sources`.
        probe: A metric that is there when the source is.
        minimum_range_seconds: The shortest range that gives a steady rate, whatever the scrape interval.
        caller: The labels of the calling side of `calls`.
        callee: The labels of the called side of `calls`.
        owner: The labels of all other queries.
        calls: Requests per second of each pair that called.
        requests: Requests per second that each service received.
        errors: Those of them that failed.
        latencies: Seconds, a quantile for each feature.
        paces: Other metrics that are asked for, each scraped at an interval of its own.
    """

    name: str
    probe: str
    minimum_range_seconds: int
    caller: PeerLabels
    callee: PeerLabels
    owner: PeerLabels
    calls: Query
    requests: Query
    errors: Query
    latencies: Mapping[Feature, Query]
    paces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceSchema:
    """
    A source of what workloads use.

    Attributes:
        name: For messages.
        probe: A metric that is there when the source is.
        minimum_range_seconds: As in `TrafficSchema`.
        owner: The labels of every query.
        queries: By feature.
        paces: As in `TrafficSchema`.
    """

    name: str
    probe: str
    minimum_range_seconds: int
    owner: PeerLabels
    queries: Mapping[Feature, Query]
    paces: tuple[str, ...] = ()


UNKNOWN = "unknown"
"""What Istio and others write where they do not know a peer."""

_COVERED = 0.75
"""Of a range, by samples, must be exceeded: from there down the rate of a steady counter comes out a third too low."""


def received(selector: str, by: str) -> str:
    """
    The rate of requests, summed by labels; missing where no series was scraped for most of the range.

    A rate over a range that was scraped in part is too low, as if traffic had fallen when only scrapes failed.
    """
    return (
        f"(sum by ({by}) (rate({selector}[{RANGE}]))"
        f" and max by ({by}) (count_over_time({selector}[{RANGE}])) > {ENOUGH})"
    )


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        value = labels.get(name, "")
        if value and value != UNKNOWN:
            return value
    return ""
