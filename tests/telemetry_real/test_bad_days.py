"""A real Prometheus that is away, slow, overloaded, or says that something is missing."""

import pytest

from builders.faults import answers, breaks_off, faulty_server, hangs
from builders.recorded_series import counter
from builders.snapshots import MIDDAY
from tidecast_operator.errors import NotEnoughData, PrometheusUnavailable
from tidecast_operator.telemetry.collector import Collector

pytestmark = pytest.mark.real("prometheus", "promtool")

REQUESTS = counter(
    "istio_requests_total",
    4,
    reporter="destination",
    source_workload="web",
    source_workload_namespace="shop",
    destination_workload="cart",
    destination_workload_namespace="shop",
)


def look(collector):
    collector.detect(at=MIDDAY)
    return collector.collect(MIDDAY - 240, MIDDAY, 60)


def requests(observations):
    return observations.traffic[0].requests.values[:, 0].tolist()


def test_a_collection_rides_out_503_and_broken_answers(recorded, asking):
    with faulty_server(answers(503, b"busy"), breaks_off, upstream=recorded(REQUESTS).url) as proxy:
        assert requests(look(Collector(asking(proxy.url)))) == pytest.approx([4] * 5)


def test_a_prometheus_that_stays_overloaded_fails_the_collection_and_the_next_one_succeeds(recorded, asking):
    with faulty_server(*[answers(503)] * 3, upstream=recorded(REQUESTS).url) as proxy:
        collector = Collector(asking(proxy.url))
        with pytest.raises(PrometheusUnavailable, match="answered 503"):
            look(collector)
        assert requests(look(collector)) == pytest.approx([4] * 5)


def test_a_prometheus_that_hangs_fails_the_collection_in_time(recorded, asking):
    with faulty_server(hangs, upstream=recorded(REQUESTS).url) as proxy:
        collector = Collector(asking(proxy.url, timeout_seconds=0.3))
        with pytest.raises(PrometheusUnavailable, match=r"did not answer within 0.3 s"):
            look(collector)


def test_a_prometheus_that_was_away_is_asked_again_without_a_new_collector(recorded, asking):
    server = recorded(REQUESTS)
    collector = Collector(asking(server.url))
    look(collector)
    server.stop()
    with pytest.raises(PrometheusUnavailable, match="cannot be reached"):
        look(collector)
    server.resume()
    assert requests(look(collector)) == pytest.approx([4] * 5)


def test_an_empty_prometheus_has_not_enough_data(start_prometheus, asking):
    with pytest.raises(NotEnoughData, match="no istio_requests_total"):
        look(Collector(asking(start_prometheus().url)))


def test_a_query_that_prometheus_cannot_read_names_its_reason(start_prometheus, asking):
    with pytest.raises(PrometheusUnavailable, match=r"answered 400: .*parse error"):
        asking(start_prometheus().url).query("sum by (")


def test_what_a_remote_storage_lacks_makes_the_observations_partial(recorded, asking):
    payload = {"status": "success", "warnings": ["store-2 timed out"], "data": {"resultType": "matrix", "result": []}}
    with faulty_server(upstream=recorded(REQUESTS).url) as proxy:
        collector = Collector(asking(proxy.url))
        collector.detect(at=MIDDAY)
        proxy.faults.append(answers(200, payload))
        found = collector.collect(MIDDAY, MIDDAY, 60)
    assert (found.is_partial, found.warnings) == (True, ("store-2 timed out",))
