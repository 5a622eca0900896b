"""
Istio's standard metrics with sidecars. https://istio.io/latest/docs/reference/config/metrics/

The proxies on both sides report each request. The callee's report counts; the caller's counts only where no callee
reports: a callee without a sidecar, a host outside the mesh, a request that never reached a server.
"""

from tidecast_contract.features import LATENCY_P50, LATENCY_P95
from tidecast_operator.telemetry.schema import RANGE, PeerLabels, Query, TrafficSchema, received

_CALLEE = "destination_workload_namespace, destination_workload"
_PAIR = f"source_workload_namespace, source_workload, {_CALLEE}"
# Where the callee's workload is unknown, what is left of it is the Service or host that was called.
_CALLED_HOST = "destination_canonical_service, destination_service_namespace, destination_service_name"

_AT_CALLEE = 'reporter="destination"'
_AT_CALLER = 'reporter="source", destination_workload!="unknown"'
_NOWHERE = 'reporter="source", destination_workload="unknown"'

# Code 0 is a request without a response. The gRPC codes are those that OpenTelemetry counts as the server's failures:
# unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
_FAILED_HTTP = 'response_code=~"5..|0"'
_FAILED_GRPC = 'grpc_response_status=~"2|4|12|13|14|15"'


def _counter(reporter: str) -> str:
    return f"istio_requests_total{{{reporter}}}"


def _rate(reporter: str) -> str:
    return f"rate({_counter(reporter)}[{RANGE}])"


def _failed(reporter: str) -> str:
    return f"{_rate(f'{reporter}, {_FAILED_HTTP}')} or {_rate(f'{reporter}, {_FAILED_GRPC}')}"


def _calls() -> str:
    return (
        f"(sum by ({_PAIR}) ({_rate(_AT_CALLEE)})"
        f" or on ({_PAIR}) sum by ({_PAIR}) ({_rate(_AT_CALLER)})"
        f" or sum by (source_workload_namespace, source_workload, {_CALLED_HOST}) ({_rate(_NOWHERE)})) > 0"
    )


def _requests() -> str:
    return (
        f"{received(_counter(_AT_CALLEE), _CALLEE)}"
        f" or on ({_CALLEE}) {received(_counter(_AT_CALLER), _CALLEE)}"
        f" or {received(_counter(_NOWHERE), _CALLED_HOST)}"
    )


def _errors() -> str:
    # A callee that reports no failure has none, whatever its callers' proxies made up.
    return (
        f"sum by ({_CALLEE}) ({_failed(_AT_CALLEE)})"
        f" or (sum by ({_CALLEE}) ({_failed(_AT_CALLER)})"
        f" unless on ({_CALLEE}) sum by ({_CALLEE}) ({_rate(_AT_CALLEE)}))"
        f" or sum by ({_CALLED_HOST}) ({_failed(_NOWHERE)})"
    )


def _latency(quantile: float) -> str:
    # The callee's own report alone: a second pass over the buckets would double the dearest query for a few services
    # without a sidecar.
    classic = f"rate(istio_request_duration_milliseconds_bucket{{{_AT_CALLEE}}}[{RANGE}])"
    native = f"rate(istio_request_duration_milliseconds{{{_AT_CALLEE}}}[{RANGE}])"
    return (
        f"histogram_quantile({quantile}, sum by (le, {_CALLEE}) ({classic}))"
        f" or histogram_quantile({quantile}, sum by ({_CALLEE}) ({native}))"
    )


ISTIO = TrafficSchema(
    name="Istio",
    probe="istio_requests_total",
    minimum_range_seconds=60,
    caller=PeerLabels(namespace=("source_workload_namespace",), workload=("source_workload",)),
    callee=PeerLabels(
        namespace=("destination_workload_namespace",),
        workload=("destination_workload",),
        application=("destination_canonical_service",),
        service=("destination_service_name",),
        service_namespace=("destination_service_namespace",),
    ),
    owner=PeerLabels(
        namespace=("destination_workload_namespace",),
        workload=("destination_workload",),
        application=("destination_canonical_service",),
        service=("destination_service_name",),
        service_namespace=("destination_service_namespace",),
    ),
    calls=Query(_calls()),
    requests=Query(_requests()),
    errors=Query(_errors()),
    latencies={
        LATENCY_P50: Query(_latency(0.5), scale=0.001),
        LATENCY_P95: Query(_latency(0.95), scale=0.001),
    },
)
