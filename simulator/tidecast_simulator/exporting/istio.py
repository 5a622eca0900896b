"""
What Istio's sidecars export about HTTP and gRPC requests. https://istio.io/latest/docs/reference/config/metrics/

Both ends of a call report it: `reporter="destination"` is the callee's sidecar, `reporter="source"` the caller's; a
gateway reports as a source only and a peer without a sidecar not at all. gRPC failures have `response_code="200"` and
tell of themselves in `grpc_response_status`, as gRPC does.

Left out: bytes, messages and TCP. One series stands for all pods of a workload, as after the workload-level
aggregation that Istio's guide to observability at scale advises; a sidecar's own series would carry its pod as well.
"""

from enum import StrEnum

import numpy as np

from tidecast_simulator.exporting.emission import (
    Batch,
    Emission,
    Family,
    Kind,
    Latencies,
    Series,
    batch,
    histogram,
    histogram_series,
    joined,
)
from tidecast_simulator.mesh import Mesh, Role, Service
from tidecast_simulator.randomness import Floats
from tidecast_simulator.traffic import Traffic

REQUESTS = Family("istio_requests_total", Kind.COUNTER, "requests")
DURATIONS = Family("istio_request_duration_milliseconds", Kind.HISTOGRAM, "duration of requests in milliseconds")
BOUNDS = (
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000",
    "300000", "600000", "1800000", "3600000", "+Inf",
)  # fmt: skip
LEAN_BOUNDS = (*BOUNDS[:13], "+Inf")
# The caller's sidecar sees the network as well.
_NETWORK_SECONDS = 0.0008

# Answered, answered with 404, failed, refused for overload: (response_code, response_flags, grpc_response_status).
_HTTP_OUTCOMES = (("200", "-", ""), ("404", "-", ""), ("500", "-", ""), ("503", "UO", ""))
_GRPC_OUTCOMES = (("200", "-", "0"), ("200", "-", "5"), ("200", "-", "13"), ("200", "UO", "14"))


class Detail(StrEnum):
    """How much the sidecars report."""

    FULL = "full"
    """Everything that Istio reports by default."""
    LEAN = "lean"
    """
    As trimmed for recordings. Through Istio's Telemetry API: no client-side durations (the metric is disabled for
    mode CLIENT), and no response code, flags or gRPC status on durations (tagOverrides, operation REMOVE). By the pods'
    annotation `sidecar.istio.io/statsHistogramBuckets`: no buckets above 10 s.
    """


class Istio:
    """The sidecars and gateways of a mesh."""

    def __init__(self, mesh: Mesh, *, detail: Detail = Detail.FULL) -> None:
        self._mesh = mesh
        self._detail = detail
        self._reports = [_Report(mesh, reporter, detail) for reporter in ("destination", "source")]

    def emit(self, traffic: Traffic) -> Emission:
        """Requests of both reporters and durations."""
        ticks = len(traffic.clock.ticks)
        outcomes = _outcomes(traffic)
        counters: list[Batch] = []
        for report in self._reports:
            rows = outcomes[report.calls]
            counters.append(batch([(report.requests, rows.reshape(-1, ticks))], ticks))
            if report.durations:
                counted = rows if self._detail is Detail.FULL else rows.sum(axis=1, keepdims=True)
                counters.append(report.histogram(counted, traffic))
        return Emission(joined(counters, ticks), batch([], ticks))


class _Report:
    """The calls that one end reports, and the series it reports them in."""

    def __init__(self, mesh: Mesh, reporter: str, detail: Detail) -> None:
        self._delay = _NETWORK_SECONDS if reporter == "source" else 0.0
        self.calls = [call for call in range(len(mesh.calls)) if _reports(mesh, call, reporter)]
        self._callees = [mesh.ends[call][1] for call in self.calls]
        bounds = BOUNDS if detail is Detail.FULL else LEAN_BOUNDS
        self._bounds_seconds = np.array([float(bound) for bound in bounds]) / 1000
        requests: list[Series] = []
        durations: list[dict[str, str]] = []
        for call in self.calls:
            caller, callee = mesh.ends[call]
            labels = _labels(mesh.services[caller], mesh.services[callee], reporter)
            outcomes = [{**labels, **outcome} for outcome in _outcome_labels(mesh.services[callee])]
            requests += [Series.of(REQUESTS, outcome) for outcome in outcomes]
            durations += outcomes if detail is Detail.FULL else [labels]
        self.requests = tuple(requests)
        silent = detail is Detail.LEAN and reporter == "source"
        self.durations = () if silent else histogram_series(DURATIONS, durations, bounds)

    def histogram(self, counts: Floats, traffic: Traffic) -> Batch:
        """The increments of the durations, for counts of shape (calls, outcomes, T)."""
        kinds, ticks = counts.shape[1], counts.shape[2]
        mu, sigma = traffic.log_latency_mean[self._callees], traffic.log_latency_spread[self._callees]
        slower = np.log1p(self._delay / np.exp(mu))
        latencies = Latencies(
            counts.reshape(-1, ticks), np.repeat(mu + slower, kinds, axis=0), np.repeat(sigma, kinds, axis=0)
        )
        result = histogram(self.durations, latencies, self._bounds_seconds, traffic)
        width = len(self._bounds_seconds)
        sums = slice(width, None, width + 2)
        result.values[sums] = np.rint(result.values[sums] * 1000)
        return result


def _reports(mesh: Mesh, call: int, reporter: str) -> bool:
    caller, callee = (mesh.services[end] for end in mesh.ends[call])
    if reporter == "source":
        return not caller.is_external
    return not callee.is_external and callee.role is not Role.GATEWAY


def _outcomes(traffic: Traffic) -> Floats:
    """Answered, not found, failed and refused requests of each call, of shape (E, 4, T)."""
    others = (traffic.not_found, traffic.failed, traffic.refused)
    return np.stack([traffic.requests - sum(others), *others], axis=1)


def _outcome_labels(callee: Service) -> list[dict[str, str]]:
    outcomes = _GRPC_OUTCOMES if callee.protocol == "grpc" else _HTTP_OUTCOMES
    return [
        {"response_code": code, "response_flags": flags, "grpc_response_status": grpc} for code, flags, grpc in outcomes
    ]


def _labels(caller: Service, callee: Service, reporter: str) -> dict[str, str]:
    both = not caller.is_external and not callee.is_external
    return {
        "reporter": reporter,
        **_peer_labels("source", caller),
        **_peer_labels("destination", callee),
        "destination_service": _host(callee),
        "destination_service_name": callee.name,
        "destination_service_namespace": callee.namespace or "unknown",
        "request_protocol": callee.protocol,
        "connection_security_policy": "unknown" if reporter == "source" else "mutual_tls" if both else "none",
    }


def _host(service: Service) -> str:
    return service.name if service.is_external else f"{service.name}.{service.namespace}.svc.cluster.local"


def _peer_labels(end: str, service: Service) -> dict[str, str]:
    """The labels that say who an end is; a peer that Istio knows nothing of is `unknown`."""
    known = not service.is_external
    account = f"spiffe://cluster.local/ns/{service.namespace}/sa/{service.name}"
    values = {
        "workload": service.name if known else "unknown",
        "workload_namespace": service.namespace if known else "unknown",
        "principal": account if known else "unknown",
        "app": service.name if known else "unknown",
        "version": service.version if known else "unknown",
        "canonical_service": service.name if known else "unknown",
        "canonical_revision": service.version if known else "latest",
        "cluster": "Kubernetes" if known else "unknown",
    }
    return {f"{end}_{name}": value for name, value in values.items()}
