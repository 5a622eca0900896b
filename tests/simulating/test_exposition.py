import subprocess

import numpy as np
import pytest

from builders.meshes import MONDAY, chain, gateway_chain, simulation
from tidecast_simulator.exporting.counting import Readings, Totals
from tidecast_simulator.exporting.emission import Kind
from tidecast_simulator.exporting.sources import SOURCES, exporters_of
from tidecast_simulator.exporting.text import exposition
from tidecast_simulator.live import LiveMesh
from tidecast_simulator.load import usual_load
from tidecast_simulator.recording import Span, scrapes
from tidecast_simulator.shop import shop

ALL = ("istio", "cadvisor", "kube-state-metrics", "opentelemetry")
NOW = MONDAY + 12 * 3600


def live(mesh=None, *, since=NOW - 7200, sources=ALL) -> LiveMesh:
    return LiveMesh(simulation(mesh or shop(), usual_load()), since=since, sources=sources)


def read(mesh: LiveMesh, now: float, source: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    readings = mesh.scrape(now)[source]
    return {
        (series.name, frozenset(series.labels)): value
        for series, value in zip(readings.series, readings.values[:, 0], strict=True)
        if not np.isnan(value)
    }


def requests_of(values: dict, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (name, have), value in values.items() if name == "istio_requests_total" and wanted <= have)


@pytest.mark.real
@pytest.mark.parametrize("source", ALL)
def test_promtool_accepts_the_exposition(source):
    text = exposition(live().scrape(NOW)[source])
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    # 3 is lint: names that Istio and the collector have chosen; 1 would be a text that does not parse.
    assert checked.returncode in (0, 3), checked.stderr
    assert len(text.splitlines()) > 50


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_no_series_stands_twice(source):
    exporter = exporters_of(shop(), [source])[source]
    emission = exporter.emit(simulation(shop()).between(NOW // 60, NOW // 60 + 2))
    series = [(one.name, one.labels) for one in emission.counters.series + emission.gauges.series]
    assert len(set(series)) == len(series) == len(emission.counters.values) + len(emission.gauges.values)


def test_counters_never_fall_from_scrape_to_scrape():
    mesh = live()
    gauges = ("kube_", "container_memory")
    before = read(mesh, NOW, "istio") | read(mesh, NOW, "cadvisor") | read(mesh, NOW, "opentelemetry")
    for now in (NOW + 7, NOW + 20, NOW + 60, NOW + 61, NOW + 400):
        after = read(mesh, now, "istio") | read(mesh, now, "cadvisor") | read(mesh, now, "opentelemetry")
        assert all(after[key] >= value for key, value in before.items() if not key[0].startswith(gauges))
        before = after


def test_buckets_are_cumulative_and_the_last_is_the_count():
    readings = live().scrape(NOW, ["istio"])["istio"]
    rows = [row for row, one in enumerate(readings.series) if one.family.kind is Kind.HISTOGRAM]
    values = readings.values[rows, 0].reshape(-1, 22)
    reported = values[~np.isnan(values).any(axis=1)]
    assert len(reported) > 30
    assert (np.diff(reported[:, :20], axis=1) >= 0).all()
    np.testing.assert_array_equal(reported[:, 19], reported[:, 21])
    assert [dict(readings.series[row].labels)["le"] for row in rows[:20:19]] == ["0.5", "+Inf"]


def test_both_sidecars_report_a_call_and_a_peer_without_one_does_not():
    values = read(live(gateway_chain()), NOW, "istio")
    inside = {"source_workload": "front", "destination_workload": "back"}
    as_callee = requests_of(values, reporter="destination", **inside)
    assert as_callee == requests_of(values, reporter="source", **inside) > 0
    unknown = {"source_workload": "unknown", "source_workload_namespace": "unknown", "destination_workload": "back"}
    assert requests_of(values, reporter="destination", **unknown) > 0
    assert requests_of(values, reporter="source", **unknown) == 0


def test_grpc_failures_hide_in_the_grpc_status():
    values = read(live(chain(protocol="grpc", error_ratio=0.1)), NOW, "istio")
    assert requests_of(values, grpc_response_status="13", response_code="200") > 0
    assert requests_of(values, request_protocol="grpc", response_code="500") == 0


def test_a_response_code_is_not_reported_before_its_first_request():
    values = read(live(chain(error_ratio=0.0)), NOW, "istio")
    assert requests_of(values, response_code="200") > 0
    assert not [labels for name, labels in values if ("response_code", "500") in labels]


def test_durations_are_milliseconds():
    values = read(live(chain(latency_seconds=0.02, capacity_rps=1e6)), NOW, "istio")
    mean = {}
    for part in ("sum", "count"):
        name = f"istio_request_duration_milliseconds_{part}"
        mean[part] = sum(value for (one, _), value in values.items() if one == name)
    assert mean["sum"] / mean["count"] == pytest.approx(20, rel=0.2)


def test_a_pod_s_group_repeats_its_containers():
    values = read(live(chain()), NOW, "cadvisor")
    of = {}
    for (name, labels), value in values.items():
        if name == "container_cpu_usage_seconds_total":
            of.setdefault(dict(labels)["pod"], {})[dict(labels).get("container", "")] = value
    assert len(of) == 4
    for pod, parts in of.items():
        assert parts[""] == pytest.approx(parts["POD"] + parts[pod.split("-")[0]])


def test_pods_are_owned_down_to_their_deployment():
    values = read(live(chain()), NOW, "kube-state-metrics")
    labels = {name: [dict(pairs) for one, pairs in values if one == name] for name, _ in values}
    owners = {one["replicaset"]: one["owner_name"] for one in labels["kube_replicaset_owner"]}
    assert sorted(owners[one["owner_name"]] for one in labels["kube_pod_owner"]) == ["back", "back", "front", "front"]
    assert {one["pod"].rsplit("-", 1)[0] for one in labels["kube_pod_info"]} == set(owners)


def test_the_service_graph_counts_what_istio_counts():
    mesh = live(chain(error_ratio=0.1))
    istio = requests_of(read(mesh, NOW, "istio"), reporter="destination", source_workload="front")
    graph = [
        value
        for (name, labels), value in read(mesh, NOW, "opentelemetry").items()
        if name == "traces_service_graph_request_total" and ("client", "front") in labels
    ]
    assert len(graph) == 2
    assert sum(graph) == istio


def test_failures_stand_in_the_graph_and_among_the_spans():
    values = read(live(chain(error_ratio=0.1)), NOW, "opentelemetry")

    def total(name: str, **labels: str) -> float:
        return sum(value for (one, have), value in values.items() if one == name and set(labels.items()) <= have)

    failed = total("traces_service_graph_request_failed_total")
    assert failed == total("traces_service_graph_request_total", failed="true")
    assert failed == total("traces_span_metrics_calls_total", status_code="STATUS_CODE_ERROR")
    assert failed / total("traces_service_graph_request_total") == pytest.approx(0.1, rel=0.05)
    seconds = total("traces_service_graph_request_server_seconds_sum")
    assert total("traces_span_metrics_duration_milliseconds_sum") == pytest.approx(seconds * 1000, rel=1e-6)


def test_live_counters_continue_a_recording():
    span = Span(NOW - 7200, NOW, 60)
    pieces = list(scrapes(simulation(shop(), usual_load()), span, ["istio", "cadvisor"]))
    recorded = pieces[-1][1]
    mesh = live(since=NOW - 7200, sources=["istio", "cadvisor"])
    values = np.concatenate([readings.values for readings in mesh.scrape(NOW).values()])
    order = {(one.name, one.labels): row for row, one in enumerate(recorded.series)}
    rows = [order[one.name, one.labels] for readings in mesh.scrape(NOW).values() for one in readings.series]
    # Added up in another order: the last bits of CPU seconds may differ.
    np.testing.assert_allclose(values[:, 0], recorded.values[rows, -1], rtol=1e-12)


def test_scrapes_within_a_tick_see_part_of_its_requests():
    span = Span(NOW, NOW + 60, 15)
    (_, readings) = next(scrapes(simulation(chain()), span, ["istio-lean"]))
    row = next(row for row, one in enumerate(readings.series) if one.name == "istio_requests_total")
    parts = np.diff(readings.values[row])
    assert parts == pytest.approx(np.full(4, 50 * 15), rel=0.1)
    assert (readings.values[row] == np.rint(readings.values[row])).all()


def test_a_changed_mesh_goes_on_counting():
    mesh = live(chain(), sources=["istio"])
    before = read(mesh, NOW, "istio")
    mesh.replace(mesh.mesh.without_service("shop/back"), NOW)
    assert not read(mesh, NOW + 30, "istio")
    mesh.replace(chain(), NOW + 120)
    after = read(mesh, NOW + 180, "istio")
    assert requests_of(after) > requests_of(before) > 0


def test_readings_before_anything_happened_are_absent():
    exporter = exporters_of(chain(), ["istio"])["istio"]
    traffic = simulation(chain(entry_rps=0.0)).between(0, 1)
    readings: Readings = Totals().read(exporter.emit(traffic), traffic.clock, np.array([60.0]))
    assert np.isnan(readings.values).all()
