"""
The OpenTelemetry collector's service graph and span metrics, and those of Grafana Tempo, which share their names.

https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/connector/servicegraphconnector
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/connector/spanmetricsconnector

Calls come from the service graph. What a service received comes from its own spans; only a service without span
metrics is measured by the service graph, which leaves out requests whose caller sends no spans.
"""

from dataclasses import dataclass

from tidecast_contract.features import LATENCY_P50, LATENCY_P95
from tidecast_operator.telemetry.schema import RANGE, PeerLabels, Query, TrafficSchema, received

_SIDES = (
    "client, server, connection_type, virtual_node, client_k8s_namespace_name, server_k8s_namespace_name,"
    " client_service_namespace, server_service_namespace"
)
_GRAPH = "traces_service_graph_request_total"
_SERVED = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'


@dataclass(frozen=True, slots=True)
class _Measure:
    """
    Where one kind of collector counts and times what a service received.

    Attributes:
        service: The label with the service's name.
        namespaces: The labels with its namespace, if it is sent at all.
        count: The counter of requests.
        served: The matcher of the requests a service received, as opposed to those it made.
        failed: The counter of failed requests with its matcher.
        latencies: Histograms, with what their values are divided by to give seconds.
    """

    service: str
    namespaces: str
    count: str
    served: str
    failed: str
    latencies: tuple[tuple[str, int], ...]

    @property
    def _by(self) -> str:
        return f"{self.service}, {self.namespaces}"

    def _named(self, answer: str) -> str:
        """The answer with the service under the one label that all measures share."""
        if self.service == "service_name":
            return answer
        return f'label_replace({answer}, "service_name", "$1", "{self.service}", "(.+)")'

    def summed(self, rate: str, *also: str) -> str:
        """A rate by service."""
        return self._named(f"sum by ({', '.join((*also, self._by))}) ({rate})")

    @property
    def requests(self) -> str:
        return self._named(received(f"{self.count}{{{self.served}}}", self._by))

    @property
    def presence(self) -> str:
        """Something for every service that it counts."""
        return self.summed(f"rate({self.count}{{{self.served}}}[{RANGE}])")

    @property
    def errors(self) -> str:
        return self.summed(f"rate({self.failed}[{RANGE}])")

    def latency(self, quantile: float) -> list[str]:
        """The quantile by every histogram, classic and native."""
        answers = []
        for name, divisor in self.latencies:
            classic = self.summed(f"rate({name}_bucket{{{self.served}}}[{RANGE}])", "le")
            native = self.summed(f"rate({name}{{{self.served}}}[{RANGE}])")
            unit = f" / {divisor}" if divisor != 1 else ""
            answers += [f"histogram_quantile({quantile}, {histogram}){unit}" for histogram in (classic, native)]
        return answers


def _span_metrics(prefix: str) -> _Measure:
    return _Measure(
        service="service_name",
        namespaces="k8s_namespace_name, service_namespace",
        count=f"{prefix}calls_total",
        served=_SERVED,
        failed=f'{prefix}calls_total{{{_SERVED}, status_code="STATUS_CODE_ERROR"}}',
        latencies=((f"{prefix}duration_milliseconds", 1000), (f"{prefix}duration_seconds", 1)),
    )


# The first that knows a service speaks for it.
_MEASURES = (
    _span_metrics("traces_span_metrics_"),
    _span_metrics(""),
    _Measure(  # Tempo's
        service="service",
        namespaces="k8s_namespace_name, service_namespace",
        count="traces_spanmetrics_calls_total",
        served=_SERVED,
        failed=f'traces_spanmetrics_calls_total{{{_SERVED}, status_code="STATUS_CODE_ERROR"}}',
        latencies=(("traces_spanmetrics_latency", 1),),
    ),
    _Measure(
        service="server",
        namespaces="server_k8s_namespace_name, server_service_namespace",
        count=_GRAPH,
        served="",
        failed="traces_service_graph_request_failed_total",
        latencies=(("traces_service_graph_request_server_seconds", 1),),
    ),
)


def _preferred(answers: list[str]) -> str:
    return " or on (service_name) ".join(answers)


def _errors() -> str:
    # The failures that one measure counts fit the requests of that measure alone.
    answers = [_MEASURES[0].errors]
    for count in range(1, len(_MEASURES)):
        spoken_for = _preferred([measure.presence for measure in _MEASURES[:count]])
        answers.append(f"({_MEASURES[count].errors} unless on (service_name) ({spoken_for}))")
    return " or on (service_name) ".join(answers)


def _latency(quantile: float) -> Query:
    return Query(_preferred([answer for measure in _MEASURES for answer in measure.latency(quantile)]))


OPENTELEMETRY = TrafficSchema(
    name="OpenTelemetry",
    probe=_GRAPH,
    # The service graph is flushed once a minute, so a shorter range sees steps instead of a rate.
    minimum_range_seconds=240,
    caller=PeerLabels(
        namespace=("client_k8s_namespace_name",),
        application=("client",),
        service_namespace=("client_service_namespace",),
        virtual=({"virtual_node": "client"}, {"connection_type": "virtual_node", "client": "user"}),
    ),
    callee=PeerLabels(
        namespace=("server_k8s_namespace_name",),
        application=("server",),
        service_namespace=("server_service_namespace",),
        virtual=(
            {"virtual_node": "server"},
            {"connection_type": "virtual_node"},
            {"connection_type": "database"},
        ),
    ),
    owner=PeerLabels(
        namespace=("k8s_namespace_name", "server_k8s_namespace_name"),
        application=("service_name",),
        service_namespace=("service_namespace", "server_service_namespace"),
    ),
    calls=Query(f"sum by ({_SIDES}) (rate({_GRAPH}[{RANGE}])) > 0"),
    requests=Query(_preferred([measure.requests for measure in _MEASURES])),
    errors=Query(_errors()),
    latencies={LATENCY_P50: _latency(0.5), LATENCY_P95: _latency(0.95)},
    paces=tuple(measure.count for measure in _MEASURES if measure.count != _GRAPH),
)
