"""A real Prometheus whose scrape interval was shortened while it ran: what was scraped before stays readable."""

import numpy as np
import pytest

from builders.recorded_series import counter
from builders.snapshots import MIDDAY
from tidecast_contract.features import CPU
from tidecast_operator.telemetry.collector import Collector

pytestmark = pytest.mark.real("prometheus", "promtool")

HOUR = 3600
BEGIN, CHANGED = MIDDAY - 4 * HOUR, MIDDAY - 2 * HOUR
TIMES = [*range(BEGIN, CHANGED, 60), *range(CHANGED, MIDDAY + 1, 15)]
REQUESTS = counter(
    "istio_requests_total",
    4,
    TIMES,
    reporter="destination",
    source_workload="web",
    source_workload_namespace="shop",
    destination_workload="cart",
    destination_workload_namespace="shop",
)
USED = counter("container_cpu_usage_seconds_total", 0.2, TIMES, namespace="shop", pod="cart-0", container="app")


@pytest.mark.parametrize(
    ("step_seconds", "start", "end"),
    [
        pytest.param(60, BEGIN + 600, CHANGED - 600, id="before the change"),
        pytest.param(60, BEGIN + 600, MIDDAY - HOUR, id="around the change"),
        pytest.param(300, BEGIN + 600, MIDDAY - HOUR, id="in coarse steps, as what replicas carry is learned from"),
        pytest.param(60, MIDDAY - 600, MIDDAY, id="at present"),
    ],
)
def test_every_step_is_measured(recorded, asking, step_seconds, start, end):
    collector = Collector(asking(recorded(REQUESTS, USED).url))
    collector.detect(at=MIDDAY)
    found = collector.collect(start, end, step_seconds)
    (traffic,) = found.traffic
    np.testing.assert_allclose(traffic.requests.values, 4, rtol=1e-6)
    np.testing.assert_allclose(found.resources[CPU].values, 0.2, rtol=1e-6)
    assert traffic.calls.rates == pytest.approx([4])
