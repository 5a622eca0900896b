"""
What one collection brings home: series on one step grid, named by peers as the telemetry labels them.

Knows no workload: which one a peer means is for discovery to say. Missing is NaN, never zero.

Shapes: `T` steps, `S` series, `E` calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import Feature


@dataclass(frozen=True, slots=True)
class Peer:
    """
    One side of a call, or the owner of a measurement, as its labels describe it; a label that is missing is "".

    Attributes:
        namespace: The Kubernetes namespace of the workload or of the instrumented program.
        workload: The workload's name.
        kind: The workload's kind, where the telemetry knows it.
        application: The name a program reports about itself (OpenTelemetry's service.name, Istio's canonical service).
        service: The Kubernetes Service, host or address that was called.
        service_namespace: The namespace of that Service; of a program, what it reports as its namespace (OpenTelemetry's
            service.namespace), which need not be one of Kubernetes.
        is_virtual: Whether the peer was only seen by the other side, as a database or a browser is by a tracer.
    """

    namespace: str = ""
    workload: str = ""
    kind: str = ""
    application: str = ""
    service: str = ""
    service_namespace: str = ""
    is_virtual: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PeerSeries:
    """
    One quantity of many peers over time.

    Attributes:
        peers: S of them; two series may belong to one workload.
        values: float64 of shape (T, S); NaN where it was not measured.
    """

    peers: tuple[Peer, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """
    Who called whom, and how often on the average of the whole time that was asked for.

    Attributes:
        callers: E of them.
        callees: E of them.
        rates: Requests per second, float64 of shape (E,), finite and >= 0.
    """

    callers: tuple[Peer, ...]
    callees: tuple[Peer, ...]
    rates: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """
    What one source says about requests.

    Attributes:
        source: The schema's name.
        calls: Who called whom.
        requests: Requests per second that each peer received.
        errors: Those of them that failed, per second; a peer whose requests never failed may have no series.
        latencies: Seconds, for `LATENCY_P50` and `LATENCY_P95`.
    """

    source: str
    calls: Calls
    requests: PeerSeries
    errors: PeerSeries
    latencies: Mapping[Feature, PeerSeries]


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """
    Everything that was measured at T successive steps.

    Attributes:
        end_time: The last step, unix seconds, a multiple of `step_seconds`. A value at t describes (t - step, t].
        step_seconds: The time between two steps.
        steps: T.
        traffic: What each source says, the most trusted source first.
        resources: CPU in cores, memory in bytes and ready replicas of the workloads; a feature may be missing.
        queries: How many requests to Prometheus it took.
        warnings: What Prometheus warned of, each text once.
        infos: What Prometheus noted about the queries, each text once.
        is_partial: Whether Prometheus said that its answer may lack series.
    """

    end_time: int
    step_seconds: int
    steps: int
    traffic: tuple[Traffic, ...]
    resources: Mapping[Feature, PeerSeries]
    queries: int = 0
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    is_partial: bool = False
