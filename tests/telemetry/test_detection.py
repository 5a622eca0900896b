"""Which sources have data, and how often they are scraped."""

import pytest

from tidecast_operator.telemetry.detection import found, probe
from tidecast_operator.telemetry.infrastructure import KUBE_STATE_METRICS, POD_NAMES
from tidecast_operator.telemetry.istio import ISTIO
from tidecast_operator.telemetry.opentelemetry import OPENTELEMETRY
from tidecast_operator.telemetry.prometheus import Answer
from tidecast_operator.telemetry.series import parse

TRAFFIC, RESOURCES = (ISTIO, OPENTELEMETRY), (KUBE_STATE_METRICS, POD_NAMES)


def sources(**counts):
    result = [{"metric": {"source": name}, "value": [0, count]} for name, count in counts.items()]
    return found(Answer(parse(result), (), ()), TRAFFIC, RESOURCES)


def test_one_query_probes_every_source():
    assert probe((ISTIO, POD_NAMES)) == (
        'label_replace(quantile(0.5, count_over_time(istio_requests_total[300s])), "source", "Istio", "", "") or '
        "label_replace(quantile(0.5, count_over_time(container_cpu_usage_seconds_total[300s])),"
        ' "source", "PodNames", "", "")'
    )


def test_sources_with_data_are_found_in_their_order():
    seen = sources(PodNames="20", OpenTelemetry="20", Istio="20")
    assert (seen.traffic, seen.resources) == ((ISTIO, OPENTELEMETRY), POD_NAMES)


def test_kube_state_metrics_is_preferred_to_names_of_pods():
    assert sources(PodNames="20", KubeStateMetrics="10").resources is KUBE_STATE_METRICS


def test_without_data_nothing_is_found():
    assert (sources().traffic, sources().resources) == ((), None)


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [("300", 1), ("60", 5), ("31", 10), ("20", 15), ("21", 15), ("19.5", 15), ("10", 30), ("5", 60), ("1", 300)],
)
def test_the_scrape_interval_is_read_from_the_number_of_samples(samples, seconds):
    assert sources(Istio=samples).scrape_seconds["Istio"] == seconds


@pytest.mark.parametrize(
    ("step_seconds", "samples", "range_seconds"),
    [
        pytest.param(60, "20", 60, id="a step"),
        pytest.param(15, "20", 60, id="the source's minimum"),
        pytest.param(60, "10", 90, id="three scrapes"),
        pytest.param(300, "5", 300, id="a long step"),
    ],
)
def test_a_rate_is_taken_over_a_step_unless_the_source_needs_longer(step_seconds, samples, range_seconds):
    assert sources(Istio=samples).range_seconds(ISTIO, step_seconds) == range_seconds
