import itertools
import json
import time

import numpy as np
import pytest

from builders.blocks import dumped
from builders.meshes import MONDAY, chain, gateway_chain, simulation
from tidecast_contract.features import LATENCY_P95
from tidecast_contract.services import ServiceId
from tidecast_simulator.exporting.sources import RECORDED
from tidecast_simulator.live import LiveMesh, LiveServer
from tidecast_simulator.load import usual_load
from tidecast_simulator.openmetrics import create_blocks, write_openmetrics
from tidecast_simulator.recording import BLOCK_SECONDS, Span, record, scrapes
from tidecast_simulator.shop import shop
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.process import NotReady
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import call_rates, features

MINUTE = int(time.time()) // 60 * 60
RATES = "sum by (source_workload, destination_workload) (rate(istio_requests_total{{reporter='{}'}}[{}s]))"


@pytest.mark.parametrize("scrape_seconds", [15, 60, 300])
def test_pieces_of_a_recording_join_without_a_seam(scrape_seconds):
    span = Span(MONDAY, MONDAY + 30 * 3600, scrape_seconds)
    pieces = list(scrapes(simulation(chain()), span, ["istio-lean"]))
    times = np.concatenate([times for times, _ in pieces])
    requests = np.concatenate([readings.values[0] for _, readings in pieces])
    np.testing.assert_array_equal(times, span.times)
    # 50 requests/s; five standard deviations of a Poisson count.
    expected = 50 * scrape_seconds
    assert np.abs(np.diff(requests) - expected).max() < 5 * np.sqrt(50 * 60) * max(scrape_seconds / 60, 1) ** 0.5


def test_a_span_without_a_scrape_is_refused():
    with pytest.raises(ValueError, match="lies before start"):
        Span(100, 50)


@pytest.mark.parametrize("sources", [["istio", "istio-lean"], ["zipkin"], []])
def test_sources_that_do_not_fit_are_refused(tmp_path, sources):
    with pytest.raises(ValueError, match="sources"):
        record(chain(), usual_load(), start=MONDAY, end=MONDAY + 60, directory=tmp_path, sources=sources)


def test_a_recording_says_that_it_is_simulated(tmp_path):
    record(chain(), usual_load(), start=MONDAY, end=MONDAY + 60, directory=tmp_path)
    description = json.loads((tmp_path / "recording.json").read_text())
    assert "not a measurement" in description["note"]
    assert description["start"] == MONDAY


@pytest.mark.real("promtool")
def test_both_ways_into_prometheus_give_the_same_samples(tmp_path):
    start = MONDAY + BLOCK_SECONDS - 3600 - MONDAY % BLOCK_SECONDS
    span = Span(start, start + 7000, 60)
    sources = (*RECORDED, "opentelemetry")
    record(chain(), usual_load(), start=span.start, end=span.end, directory=tmp_path / "direct", sources=sources)
    for file in write_openmetrics(simulation(chain(), usual_load()), span, tmp_path / "text", sources=sources):
        create_blocks(file, tmp_path / "promtool", promtool=str(binaries.find("promtool")))
    direct, official = dumped(tmp_path / "direct"), dumped(tmp_path / "promtool")
    assert len(direct) > 100
    assert direct == official


@pytest.mark.real("prometheus")
def test_a_real_prometheus_measures_what_was_simulated_now_and_later(tmp_path, start_prometheus):
    start, end = MINUTE - 4 * 3600, MINUTE + 2 * 3600
    record(shop(), usual_load(), start=start, end=end, directory=tmp_path / "data")
    server = start_prometheus(storage=tmp_path / "data")
    known = Simulation(shop(), usual_load())
    for now in (MINUTE - 3600, end):
        answer = server.query(RATES.format("destination", 240), time=now)
        measured = {
            (one["metric"]["source_workload"], one["metric"]["destination_workload"]): float(one["value"][1])
            for one in answer
        }
        true = call_rates(known, start=now - 240, end=now)
        assert {key for key, rate in measured.items() if rate} == {(a.name, b.name) for a, b in true}
        for (caller, callee), rate in true.items():
            # A response code's first requests bring its series into being: rate() cannot see them.
            assert measured[caller.name, callee.name] == pytest.approx(rate, rel=1e-6, abs=4 / 240)


@pytest.mark.real("prometheus")
def test_quantiles_read_off_the_histogram_are_near_the_true_ones(tmp_path, start_prometheus):
    record(shop(), usual_load(), start=MINUTE - 3600, end=MINUTE, directory=tmp_path / "data")
    server = start_prometheus(storage=tmp_path / "data")
    answer = server.query(
        "histogram_quantile(0.95, sum by (le, destination_workload)"
        " (rate(istio_request_duration_milliseconds_bucket[5m])))",
        time=MINUTE,
    )
    measured = {one["metric"]["destination_workload"]: float(one["value"][1]) / 1000 for one in answer}
    truth = features(Simulation(shop(), usual_load()), start=MINUTE - 240, end=MINUTE)
    frontend = truth.of(ServiceId("shop", "Deployment", "frontend"), LATENCY_P95).mean()
    # Istio's buckets there are 100, 250 and 500 ms: a quantile is known to about half a bucket.
    assert measured["frontend"] == pytest.approx(frontend, rel=0.5)


def samples_after(server, query: str, moment: float) -> list[list]:
    """The last minutes' samples of one series once several are later than this moment."""
    for _ in range(100):
        answer = server.query(f"{query}[5m]")
        if answer and sum(float(at) > moment for at, _ in answer[0]["values"]) > 3:
            return answer[0]["values"]
        time.sleep(0.2)
    raise NotReady("prometheus", "no live sample in time")


@pytest.mark.real("prometheus")
def test_live_metrics_go_on_where_a_recording_ended(tmp_path, start_prometheus):
    known = Simulation(gateway_chain(), usual_load(), tick_seconds=5)
    now = int(time.time())
    span = {"start": now - 900, "end": now, "scrape_seconds": 15, "tick_seconds": 5}
    live = LiveServer(LiveMesh(known, since=now - 900, sources=RECORDED))
    labels = {"job": "mesh", "instance": live.target}
    record(known.mesh, known.shape, directory=tmp_path / "data", target_labels=labels, **span)
    server = start_prometheus(storage=tmp_path / "data", targets=[live.start().target])
    query = "istio_requests_total{source_workload='front',reporter='source',response_code='200'}"
    try:
        samples = samples_after(server, query, now)
    finally:
        live.stop()
    fresh = LiveMesh(known, since=now - 900, sources=RECORDED)
    for at, value in samples:
        readings = fresh.scrape(float(at))["istio-lean"]
        row = next(
            row
            for row, series in enumerate(readings.series)
            if {("source_workload", "front"), ("reporter", "source"), ("response_code", "200")} <= set(series.labels)
        )
        # A scrape is served some milliseconds after its timestamp; there are some 50 requests/s.
        assert float(value) == pytest.approx(readings.values[row, 0], abs=100)
    assert len({float(at) <= now for at, _ in samples}) == 2


def test_times_reach_the_last_scrape_of_a_block():
    span = Span(MONDAY, MONDAY + BLOCK_SECONDS + 600, 60)
    pieces = scrapes(simulation(chain()), span, ["kube-state-metrics"])
    times = list(itertools.chain.from_iterable(times.tolist() for times, _ in pieces))
    assert times == span.times.tolist()
