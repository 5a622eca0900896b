"""Latencies that exist as native histograms alone."""

import json
import time

import pytest

from builders.native_histograms import target
from tidecast_contract.features import LATENCY_P50
from tidecast_operator.errors import PrometheusUnavailable
from tidecast_operator.telemetry.istio import ISTIO
from tidecast_operator.telemetry.opentelemetry import OPENTELEMETRY
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.process import Process, free_port

pytestmark = pytest.mark.real("prometheus", "promtool")

ISTIO_LABELS = {
    "reporter": "destination",
    "destination_workload_namespace": "shop",
    "destination_workload": "cart",
}
SPAN_LABELS = {"service_name": "cart", "span_kind": "SPAN_KIND_SERVER"}


@pytest.fixture
def scraping(tmp_path):
    """Starts a Prometheus that scrapes native histograms; the testbed's does not."""
    processes = []

    def start(address):
        port = free_port()
        configuration = {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
            "scrape_configs": [{"job_name": "native", "static_configs": [{"targets": [address]}]}],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(configuration))
        arguments = [
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=native-histograms",
            "--log.level=warn",
        ]
        processes.append(Process.start([binaries.find("prometheus"), *arguments], log=tmp_path / "prometheus.log"))
        return f"http://127.0.0.1:{port}"

    yield start
    for process in processes:
        process.stop()


def first_value(prometheus, promql):
    """The value of the only series, once there is one."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            values = prometheus.query(promql).samples.values.tolist()
        except PrometheusUnavailable:  # still starting
            values = []
        if values:
            return float(values[0])
        time.sleep(0.1)
    return pytest.fail(f"no answer to {promql}")


@pytest.mark.parametrize(
    ("query", "name", "labels"),
    [
        pytest.param(
            ISTIO.latencies[LATENCY_P50], "istio_request_duration_milliseconds", ISTIO_LABELS, id="of sidecars"
        ),
        pytest.param(
            OPENTELEMETRY.latencies[LATENCY_P50],
            "traces_span_metrics_duration_milliseconds",
            SPAN_LABELS,
            id="of spans",
        ),
    ],
)
def test_a_native_histogram_has_a_median(scraping, asking, query, name, labels):
    with target(name, labels) as address:
        value = first_value(asking(scraping(address)), query.over(60, scrape_seconds=0.2)) * query.scale
    # All observations lie in (64, 128] milliseconds; newer releases interpolate exponentially within.
    assert 0.064 < value < 0.128
