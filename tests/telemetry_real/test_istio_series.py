"""What a real Prometheus makes of Istio's series on good and bad days."""

import numpy as np
import pytest

from builders.recorded_series import START, Recorded, counter, histogram, scrapes
from builders.snapshots import MIDDAY
from tidecast_contract.features import LATENCY_P50, LATENCY_P95
from tidecast_operator.telemetry.detection import probe
from tidecast_operator.telemetry.istio import ISTIO
from tidecast_operator.telemetry.observations import Peer

pytestmark = pytest.mark.real("prometheus", "promtool")

CART = Peer(namespace="shop", workload="cart")
WEB = Peer(namespace="shop", workload="web")


def labels(reporter="destination", **changes):
    known = {
        "reporter": reporter,
        "source_workload_namespace": "shop",
        "source_workload": "web",
        "destination_workload_namespace": "shop",
        "destination_workload": "cart",
        "destination_canonical_service": "cart",
        "destination_service_namespace": "shop",
        "destination_service_name": "cart",
        "response_code": "200",
    }
    return known | changes


def requests(per_second, times=None, **changes):
    return counter("istio_requests_total", per_second, times, **labels(**changes))


def of(series, peer=CART):
    return series.values[:, series.peers.index(peer)].tolist()


def edges(traffic):
    calls = traffic.calls
    return dict(zip(zip(calls.callers, calls.callees, strict=True), calls.rates.tolist(), strict=True))


def same(actual, expected):
    return np.allclose(actual, expected, rtol=1e-6, equal_nan=True)


def test_requests_that_both_sides_report_count_once(recorded, collect):
    server = recorded(requests(4), requests(4, reporter="source"))
    found = collect(server, MIDDAY).traffic[0]
    assert same(of(found.requests), [4] * 5)
    assert edges(found) == {(WEB, CART): pytest.approx(4)}


def test_requests_of_all_pods_codes_and_versions_add_up(recorded, collect):
    server = recorded(*(requests(1, pod=pod, response_code=code) for pod in "ab" for code in ("200", "404")))
    assert same(of(collect(server, MIDDAY).traffic[0].requests), [4] * 5)


def test_a_callee_without_a_sidecar_is_measured_by_its_callers(recorded, collect):
    server = recorded(requests(4, reporter="source"))
    found = collect(server, MIDDAY).traffic[0]
    assert same(of(found.requests), [4] * 5)
    assert edges(found) == {(WEB, CART): pytest.approx(4)}


def test_requests_that_reached_no_server_are_calls_to_its_service(recorded, collect):
    nowhere = {"destination_workload_namespace": "unknown", "destination_workload": "unknown"}
    server = recorded(requests(4), requests(1, reporter="source", response_code="503", **nowhere))
    found = collect(server, MIDDAY).traffic[0]
    service = Peer(service="cart", service_namespace="shop", application="cart")
    assert edges(found) == {(WEB, CART): pytest.approx(4), (WEB, service): pytest.approx(1)}
    assert same(of(found.errors, service), [1] * 5)


def test_a_caller_without_a_sidecar_is_nobody(recorded, collect):
    server = recorded(requests(4, source_workload="unknown", source_workload_namespace="unknown"))
    assert edges(collect(server, MIDDAY).traffic[0]) == {(Peer(), CART): pytest.approx(4)}


@pytest.mark.parametrize(
    ("codes", "failed"),
    [
        pytest.param({"response_code": "500"}, 1, id="a failure"),
        pytest.param({"response_code": "0"}, 1, id="no response"),
        pytest.param({"response_code": "404"}, None, id="the caller's fault"),
        pytest.param({"grpc_response_status": "14"}, 1, id="a failed call"),
        pytest.param({"grpc_response_status": "5"}, None, id="not found"),
        pytest.param({"response_code": "503", "grpc_response_status": "14"}, 1, id="failed twice over"),
    ],
)
def test_failures_are_those_of_the_server(recorded, collect, codes, failed):
    errors = collect(recorded(requests(4), requests(1, **codes)), MIDDAY).traffic[0].errors
    assert errors.peers == (() if failed is None else (CART,))
    assert failed is None or same(of(errors), [failed] * 5)


def test_failures_that_only_callers_made_up_are_not_the_servers(recorded, collect):
    server = recorded(requests(4), requests(1, reporter="source", response_code="504"))
    assert collect(server, MIDDAY).traffic[0].errors.peers == ()


def test_quantiles_of_a_classic_histogram_come_in_seconds(recorded, collect):
    buckets = {"100": 5.0, "200": 4.0, "400": 1.0, "+Inf": 0.0}
    server = recorded(requests(10), *histogram("istio_request_duration_milliseconds", buckets, **labels()))
    latencies = collect(server, MIDDAY).traffic[0].latencies
    assert same(of(latencies[LATENCY_P50]), [0.1] * 5)
    assert same(of(latencies[LATENCY_P95]), [0.3] * 5)


def test_a_silent_service_has_no_requests_and_no_latency(recorded, collect):
    buckets = {"100": 0.0, "+Inf": 0.0}
    server = recorded(requests(0), *histogram("istio_request_duration_milliseconds", buckets, **labels()))
    found = collect(server, MIDDAY).traffic[0]
    assert of(found.requests) == [0] * 5
    assert np.isnan(of(found.latencies[LATENCY_P50])).all()
    assert not edges(found)


def test_a_restarted_server_makes_no_jump(recorded, collect):
    restart = MIDDAY - 150
    rising = [(time, 4 * (time - START) if time < restart else 4 * (time - restart)) for time in scrapes()]
    found = collect(recorded(Recorded("istio_requests_total", labels(), rising)), MIDDAY).traffic[0]
    assert np.allclose(of(found.requests), 4, atol=4 * 15 / 45)
    assert max(of(found.requests)) < 4.001


def test_a_gap_in_the_scrapes_is_missing_and_makes_no_dip_at_its_ends(recorded, collect):
    times = [time for time in scrapes() if not MIDDAY - 155 < time <= MIDDAY - 35]
    found = collect(recorded(requests(4, times)), MIDDAY).traffic[0]
    assert same(of(found.requests), [4, 4, np.nan, np.nan, np.nan])


def test_a_call_goes_on_counting_through_a_gap(recorded, collect):
    times = [time for time in scrapes() if not MIDDAY - 190 < time <= MIDDAY - 60]
    assert edges(collect(recorded(requests(4, times)), MIDDAY).traffic[0])[WEB, CART] == pytest.approx(4, rel=0.01)


def test_a_new_series_is_missing_before_it_begins(recorded, collect):
    new = scrapes(MIDDAY - 105)
    server = recorded(requests(4), requests(4, new, destination_workload="new"))
    found = collect(server, MIDDAY).traffic[0]
    values = of(found.requests, Peer(namespace="shop", workload="new"))
    assert np.isnan(values[:3]).all()
    assert same(values[4:], [4])


def test_a_service_whose_series_are_gone_is_missing_and_the_others_stay(recorded, collect):
    gone = scrapes(START, MIDDAY - 200)
    server = recorded(requests(4), requests(4, gone, destination_workload="gone"))
    found = collect(server, MIDDAY, steps=3).traffic[0]
    assert [peer.workload for peer in found.requests.peers] == ["cart"]


@pytest.mark.parametrize("broken", ["NaN", "+Inf"])
def test_samples_that_are_no_numbers_are_missing(recorded, collect, broken):
    samples = [(time, broken if time > MIDDAY - 60 else 4 * (time - START)) for time in scrapes()]
    found = collect(recorded(Recorded("istio_requests_total", labels(), samples)), MIDDAY).traffic[0]
    assert same(of(found.requests)[:4], [4] * 4)
    assert np.isnan(of(found.requests)[4])


@pytest.mark.parametrize("offset", [0, 7], ids=["on the step", "beside it, as Prometheus 3 counts all"])
@pytest.mark.parametrize("every", [5, 15, 20, 30, 45, 60])
def test_whatever_the_scrape_interval_there_is_a_rate(recorded, collect, every, offset):
    server = recorded(requests(4, scrapes(START + offset, MIDDAY + 60, every=every)))
    assert same(of(collect(server, MIDDAY).traffic[0].requests), [4] * 5)


def test_services_that_are_scraped_seldom_have_a_rate_beside_others_that_are_often(recorded, collect):
    often = [requests(1, scrapes(every=15), destination_workload=f"often-{number}") for number in range(6)]
    server = recorded(*often, requests(4, scrapes(START + 10, every=60)))
    found = collect(server, MIDDAY).traffic[0]
    assert same(of(found.requests), [4] * 5)
    assert same(of(found.requests, Peer(namespace="shop", workload="often-0")), [1] * 5)


def test_series_that_have_just_begun_do_not_pass_for_those_of_slow_targets(recorded, asking):
    lasting = [requests(1, scrapes(every=15), destination_workload=f"lasting-{number}") for number in range(6)]
    client = asking(recorded(*lasting, requests(4, scrapes(MIDDAY - 60))).url)
    labels = client.query(probe((ISTIO,)), at=MIDDAY).samples.labels
    assert [each["destination_workload"].startswith("lasting") for each in labels] == [True]


def test_a_source_is_found_whose_series_have_all_just_begun(recorded, collect):
    found = collect(recorded(requests(4, scrapes(MIDDAY - 240))), MIDDAY).traffic[0]
    assert of(found.requests)[-1] == pytest.approx(4)


def test_more_steps_than_prometheus_answers_at_once_are_collected(recorded, collect):
    times = scrapes(MIDDAY - 12_000 * 60, every=60)
    found = collect(recorded(requests(4, times)), MIDDAY, steps=11_990).traffic[0]
    assert np.allclose(of(found.requests), 4)
