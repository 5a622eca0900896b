"""
The graph and the measurements of a simulated shop, found through a real Prometheus, beside the simulator's truth.
"""

import numpy as np
import pytest

from builders.snapshots import MIDDAY
from builders.telemetry import cluster, service_body, workload_body
from tidecast_contract.features import CPU, ERRORS, LATENCY_P50, MEMORY, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_operator import snapshots
from tidecast_operator.telemetry.collector import Collector
from tidecast_operator.telemetry.prometheus import Connection, Prometheus
from tidecast_simulator.load import usual_load
from tidecast_simulator.recording import record
from tidecast_simulator.shop import shop
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.traffic import Simulation

pytestmark = pytest.mark.real("prometheus", "promtool")

MESH = shop()
LOAD = usual_load()
STEPS = 60


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """The two hours before midday of the shop, by each source under a target of its own."""
    directory = tmp_path_factory.mktemp("shop")
    sources = ("istio", "opentelemetry", "cadvisor", "kube-state-metrics")
    times = {"start": MIDDAY - 7200, "end": MIDDAY + 300, "scrape_seconds": 15, "tick_seconds": 15.0}
    record(MESH, LOAD, directory=directory / "data", sources=sources, **times)
    with PrometheusServer.start(directory, storage=directory / "data") as server:
        yield server


def known(service):
    """The node that an external peer is found as: one beside each namespace that it calls."""
    return service.service_id if not service.is_external else ServiceId("shop", "External", service.name)


def built(server, *sources, steps=STEPS, end_time=MIDDAY):
    workloads = [service for service in MESH.services if not service.is_external]
    bodies = [workload_body(service.name, service.namespace, service.kind) for service in workloads]
    index = cluster(*bodies, *(service_body(service.name, service.namespace) for service in workloads))
    client = Prometheus(Connection(server.url))
    collector = Collector(client, sources)
    collector.detect(at=MIDDAY)
    observations = collector.collect(end_time - (steps - 1) * 60, end_time, 60)
    client.close()
    return snapshots.build(observations, index)


def truth():
    """The simulation by minutes, as long as the snapshot."""
    return Simulation(MESH, LOAD, tick_seconds=15.0).between(MIDDAY // 15 - STEPS * 4, MIDDAY // 15)


@pytest.mark.parametrize("source", ["Istio", "OpenTelemetry"])
def test_every_call_is_found_and_no_other(prometheus, source):
    found = built(prometheus, source).snapshot
    calls = {(found.services[caller], found.services[callee]) for caller, callee in found.calls.T}
    happened = truth().requests.sum(axis=1) > 0
    ends = (ends for ends, is_seen in zip(MESH.ends, happened, strict=True) if is_seen)
    assert calls == {(known(MESH.services[caller]), known(MESH.services[callee])) for caller, callee in ends}


@pytest.mark.parametrize("source", ["Istio", "OpenTelemetry"])
def test_the_rates_of_calls_are_those_that_happened(prometheus, source):
    found = built(prometheus, source).snapshot
    measured = {
        (found.services[a], found.services[b]): rate for (a, b), rate in zip(found.calls.T, found.rates, strict=True)
    }
    happened = truth().requests.mean(axis=1) / 15
    for (caller, callee), rate in zip(MESH.ends, happened, strict=True):
        call = (known(MESH.services[caller]), known(MESH.services[callee]))
        # A range over an hour sees all but the first scrape interval of it.
        assert measured.get(call, 0) == pytest.approx(rate, rel=0.02, abs=0.01)


def received(per_call):
    """What each service of the mesh received, a minute at a time, (N, T); the sum of its incoming calls."""
    totals = np.zeros((len(MESH.services), per_call.shape[1]))
    np.add.at(totals, [callee for _, callee in MESH.ends], per_call)
    return by_minute(totals)


def by_minute(per_tick):
    return per_tick.reshape(len(per_tick), -1, 4).sum(axis=2)


def measured(snapshot, feature):
    """What was measured of each service of the mesh, (N, T), NaN for those that are not in the graph."""
    places = {service: place for place, service in enumerate(snapshot.services)}
    values = np.full((len(MESH.services), snapshot.steps), np.nan)
    for row, service in enumerate(MESH.services):
        if service.service_id in places:
            values[row] = snapshot.values[:, places[service.service_id], index_of(feature)]
    return values


@pytest.fixture(scope="module")
def found(prometheus):
    return built(prometheus, "Istio").snapshot


CALLED = sorted({callee for _, callee in MESH.ends})


def test_requests_of_each_minute_are_those_that_happened(found):
    assert np.allclose(measured(found, REQUESTS)[CALLED] * 60, received(truth().requests)[CALLED], rtol=1e-5)


def test_error_ratios_are_those_that_happened(found):
    requests = received(truth().requests)
    failed = received(truth().failed + truth().refused)
    with np.errstate(invalid="ignore"):
        expected = np.where(requests > 0, failed / requests, np.nan)
    assert np.allclose(measured(found, ERRORS)[CALLED], expected[CALLED], rtol=1e-4, equal_nan=True)


def test_medians_are_within_the_buckets_of_those_that_happened(found):
    happened = by_minute(np.exp(truth().log_latency_mean)) / 4
    ratio = measured(found, LATENCY_P50)[CALLED] / happened[CALLED]
    # The widest bucket reaches over a factor of 5; within it, a quantile is interpolated.
    assert np.nanmin(ratio) > 1 / 2.5
    assert np.nanmax(ratio) < 2.5


def over_two_minutes(by_minute):
    """Of each step but the first."""
    return (by_minute[:, 1:] + by_minute[:, :-1]) / 2


def test_resources_are_those_that_were_used_in_the_last_two_minutes(found):
    happened = truth()
    replicas = happened.replicas[:, 3::4]
    inside = [row for row, service in enumerate(MESH.services) if not service.is_external]
    used = over_two_minutes(by_minute(happened.cpu_cores) / 4)[inside]
    assert np.allclose(measured(found, CPU)[inside, 1:], used, rtol=1e-3, atol=1e-4)
    assert np.array_equal(measured(found, READY_REPLICAS)[inside], replicas[inside])
    memory = over_two_minutes(by_minute(happened.memory_bytes) / 4 * replicas)[inside]
    # A pod's memory differs from its siblings' by up to 3 percent.
    assert np.allclose(measured(found, MEMORY)[inside, 1:], memory, rtol=0.05)


def test_both_sources_together_count_each_call_once(prometheus, found):
    both = built(prometheus, "Istio", "OpenTelemetry")
    assert both.sources == ("Istio", "OpenTelemetry")
    assert both.snapshot.services == found.services
    assert np.array_equal(both.snapshot.calls, found.calls)
    assert np.array_equal(both.snapshot.rates, found.rates)


def test_a_window_that_grew_step_by_step_equals_one_that_was_asked_for_at_once(prometheus, found):
    window = None
    for end_time in range(MIDDAY - 240, MIDDAY + 1, 60):
        window = snapshots.extend(window, built(prometheus, "Istio", steps=1, end_time=end_time).snapshot, steps=5)
    order = [window.snapshot.services.index(service) for service in found.services]
    assert np.array_equal(window.snapshot.values[:, order], found.values[-5:], equal_nan=True)
