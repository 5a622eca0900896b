"""
The same traffic as an OpenTelemetry collector tells it: its servicegraph and spanmetrics connectors.

https://github.com/open-telemetry/opentelemetry-collector-contrib, connector/servicegraphconnector and
connector/spanmetricsconnector, as exported to Prometheus: latencies of the service graph in seconds, of spans in
milliseconds. `request_total` is split in two by `failed`. A caller without a trace appears as client `user`.
"""

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
from tidecast_simulator.mesh import Call, Mesh, Service
from tidecast_simulator.randomness import Floats
from tidecast_simulator.traffic import Traffic

REQUESTS = Family("traces_service_graph_request_total", Kind.COUNTER, "Total count of requests between two nodes")
FAILED = Family(
    "traces_service_graph_request_failed_total", Kind.COUNTER, "Total count of failed requests between two nodes"
)
SERVER = Family(
    "traces_service_graph_request_server_seconds", Kind.HISTOGRAM, "Time for a request as seen from the server"
)
CLIENT = Family(
    "traces_service_graph_request_client_seconds", Kind.HISTOGRAM, "Time for a request as seen from the client"
)
CALLS = Family("traces_span_metrics_calls_total", Kind.COUNTER, "Number of spans")
DURATIONS = Family("traces_span_metrics_duration_milliseconds", Kind.HISTOGRAM, "Duration of spans")
GRAPH_BOUNDS = (
    "0.002", "0.004", "0.006", "0.008", "0.01", "0.05", "0.1", "0.2", "0.4", "0.8", "1", "1.4", "2", "5", "10", "15",
    "+Inf",
)  # fmt: skip
SPAN_BOUNDS = (*(f"{float(bound) * 1000:g}" for bound in GRAPH_BOUNDS[:-1]), "+Inf")
_BOUNDS_SECONDS = np.array([float(bound) for bound in GRAPH_BOUNDS])
_NETWORK_SECONDS = 0.0008
_STATUS = ("STATUS_CODE_UNSET", "STATUS_CODE_ERROR")


class OpenTelemetry:
    """
    A collector that sees every trace of a mesh.

    Args:
        mesh: Whose traces.
        namespaces: Whether the connector is configured with the dimension `k8s.namespace.name`; without it there are
            no namespaces in the service graph.
    """

    def __init__(self, mesh: Mesh, *, namespaces: bool = True) -> None:
        self._callees = [callee for _, callee in mesh.ends]
        self._servers = [n for n in range(len(mesh.services)) if mesh.calls_in[n] and not mesh.services[n].is_external]
        self._received = [list(mesh.calls_in[server]) for server in self._servers]
        edges = [_edge_labels(mesh, call, namespaces=namespaces) for call in mesh.calls]
        split = [{**edge, "failed": failed} for edge in edges for failed in ("false", "true")]
        self._requests = [Series.of(REQUESTS, labels) for labels in split]
        self._failed = [Series.of(FAILED, labels) for labels in split[1::2]]
        self._server, self._client = (histogram_series(family, split, GRAPH_BOUNDS) for family in (SERVER, CLIENT))
        spans = [labels for n in self._servers for labels in _span_labels(mesh.services[n])]
        self._calls = [Series.of(CALLS, labels) for labels in spans]
        self._durations = histogram_series(DURATIONS, spans, SPAN_BOUNDS)

    def emit(self, traffic: Traffic) -> Emission:
        """The service graph and the spans of the servers."""
        ticks = len(traffic.clock.ticks)
        failed = traffic.failed + traffic.refused
        edges = np.stack([traffic.requests - failed, failed], axis=1)
        # float64 zeros keep the shape when a mesh has no calls at all.
        spans = np.zeros((len(self._servers), 2, ticks))
        for row, calls in enumerate(self._received):
            spans[row] = edges[calls].sum(axis=0)
        counters = [
            batch([(self._requests, edges.reshape(-1, ticks)), (self._failed, failed)], ticks),
            self._histogram(self._server, edges, self._callees, traffic),
            self._histogram(self._client, edges, self._callees, traffic),
            batch([(self._calls, spans.reshape(-1, ticks))], ticks),
            self._histogram(self._durations, spans, self._servers, traffic),
        ]
        return Emission(joined(counters, ticks), batch([], ticks))

    def _histogram(self, series: tuple[Series, ...], counts: Floats, services: list[int], traffic: Traffic) -> Batch:
        """The increments of histograms for counts of shape (rows, 2, T), with the latencies of these services."""
        ticks = counts.shape[2]
        mu, sigma = traffic.log_latency_mean[services], traffic.log_latency_spread[services]
        if series is self._client:
            mu = mu + np.log1p(_NETWORK_SECONDS / np.exp(mu))
        latencies = Latencies(counts.reshape(-1, ticks), np.repeat(mu, 2, axis=0), np.repeat(sigma, 2, axis=0))
        result = histogram(series, latencies, _BOUNDS_SECONDS, traffic)
        sums = slice(len(GRAPH_BOUNDS), None, len(GRAPH_BOUNDS) + 2)
        milliseconds = np.rint(result.values[sums] * 1000)
        result.values[sums] = milliseconds if series is self._durations else milliseconds / 1000
        return result


def _edge_labels(mesh: Mesh, call: Call, *, namespaces: bool) -> dict[str, str]:
    caller, callee = mesh.service(call.caller), mesh.service(call.callee)
    labels = {
        "client": "user" if caller.is_external else caller.name,
        "server": callee.name,
        "connection_type": "messaging_system" if call.asynchronous else "virtual_node" if caller.is_external else "",
    }
    if namespaces:
        labels["client_k8s_namespace_name"] = caller.namespace
        labels["server_k8s_namespace_name"] = callee.namespace
    return labels


def _span_labels(service: Service) -> list[dict[str, str]]:
    """The labels of a server's spans that went well, and of those that failed."""
    labels = {
        "service_name": service.name,
        "span_name": "POST /" if service.protocol == "http" else f"{service.name}/Do",
        "span_kind": "SPAN_KIND_SERVER",
        "k8s_namespace_name": service.namespace,
    }
    return [{**labels, "status_code": status} for status in _STATUS]
