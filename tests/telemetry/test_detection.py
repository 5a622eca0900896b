"""Which sources have data, and how often they are scraped."""

import pytest

from tidecast_operator.telemetry.detection import Found, detect, interval, one_series, probe
from tidecast_operator.telemetry.infrastructure import KUBE_STATE_METRICS, POD_NAMES
from tidecast_operator.telemetry.istio import ISTIO
from tidecast_operator.telemetry.opentelemetry import OPENTELEMETRY
from tidecast_operator.telemetry.prometheus import Answer
from tidecast_operator.telemetry.series import parse
from tidecast_operator.telemetry.sources import RESOURCES, TRAFFIC

PROBES = {schema.name: schema.probe for schema in (*TRAFFIC, *RESOURCES)}


class FakePrometheus:
    """Has one series, scraped at given times, of each of some metrics; those of one may be times of its own."""

    def __init__(self, *sources, times=(0, 15, 30), also=None):
        self.metrics = {PROBES[name]: times for name in sources} | (also or {})
        self.asked = []

    def query(self, promql, *, at=None):
        self.asked.append((promql, at))
        if "topk" in promql:
            result = [{"metric": {"metric_asked_for": probe, "job": "x"}, "value": [0, "3"]} for probe in self.metrics]
        else:
            times = self.metrics[promql.partition("{")[0]]
            result = [{"metric": {}, "values": [[time, "1"] for time in times]}]
        return Answer(parse(result), (), ())


def found(*sources, **changes):
    return detect(FakePrometheus(*sources, **changes), (ISTIO, OPENTELEMETRY), (KUBE_STATE_METRICS, POD_NAMES))


def test_one_query_probes_every_source():
    istio, names = probe((ISTIO,)), probe((POD_NAMES,))
    assert probe((ISTIO, POD_NAMES)) == f"{istio} or {names}"
    assert istio.endswith(', "metric_asked_for", "istio_requests_total", "", "")')
    assert "container_cpu_usage_seconds_total" in names


def test_sources_with_data_are_found_in_their_order():
    seen = found("PodNames", "OpenTelemetry", "Istio")
    assert (seen.traffic, seen.resources) == ((ISTIO, OPENTELEMETRY), POD_NAMES)


def test_kube_state_metrics_is_preferred_to_names_of_pods():
    assert found("PodNames", "KubeStateMetrics").resources is KUBE_STATE_METRICS


def test_without_data_nothing_is_found():
    assert (found().traffic, found().resources) == ((), None)


def test_only_sources_that_will_be_asked_are_looked_at_more_closely():
    prometheus = FakePrometheus("Istio", "KubeStateMetrics", "PodNames")
    detect(prometheus, (ISTIO,), (KUBE_STATE_METRICS, POD_NAMES), at=300)
    expected = ['istio_requests_total{job="x"}[5m]', 'kube_pod_owner{job="x"}[5m]']
    expected.append('container_cpu_usage_seconds_total{job="x"}[5m]')
    assert [promql for promql, _ in prometheus.asked[1:]] == expected
    assert {at for _, at in prometheus.asked} == {300}


def test_labels_are_quoted_and_those_that_promql_cannot_write_are_left_out():
    labels = {"metric_asked_for": "up", "path": 'a\\b"c\nd', "k8s.pod": "x"}
    assert one_series("up", labels) == 'up{path="a\\\\b\\"c\\nd"}[5m]'


def test_of_the_metrics_of_a_source_the_slowest_decides_on_the_range():
    cadvisor = {"container_cpu_usage_seconds_total": (0, 60, 120)}
    seen = found("Istio", "KubeStateMetrics", also=cadvisor)
    assert seen.scrape_seconds == {"Istio": 15, "KubeStateMetrics": 60}
    assert seen.range_seconds(KUBE_STATE_METRICS, 60) == 180


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        pytest.param((0, 15, 30, 45), 15, id="regular"),
        pytest.param((0, 15, 30, 150, 165, 180), 15, id="with a gap"),
        pytest.param((0.0, 0.5, 1.0), 0.5, id="twice a second"),
        pytest.param((10,), 60, id="once"),
        pytest.param((), 60, id="never"),
    ],
)
def test_the_scrape_interval_is_the_usual_time_between_samples(times, seconds):
    result = [{"metric": {}, "values": [[time, "1"] for time in times]}]
    assert interval(parse(result)) == seconds


@pytest.mark.parametrize(
    ("step_seconds", "scrape_seconds", "range_seconds"),
    [
        pytest.param(60, 15.0, 60, id="a step"),
        pytest.param(15, 15.0, 60, id="the source's minimum"),
        pytest.param(60, 30.0, 90, id="three scrapes"),
        pytest.param(300, 60.0, 300, id="a long step"),
    ],
)
def test_a_rate_is_taken_over_a_step_unless_the_source_needs_longer(step_seconds, scrape_seconds, range_seconds):
    seen = Found((ISTIO,), None, {"Istio": scrape_seconds})
    assert seen.range_seconds(ISTIO, step_seconds) == range_seconds
