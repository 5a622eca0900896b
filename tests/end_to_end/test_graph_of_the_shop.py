"""
The graph that is discovered is the simulator's: every call above the noise floor, and no other.
"""

import time
from collections.abc import Iterator

import pytest

from tidecast_contract.services import ServiceId
from tidecast_operator import snapshots
from tidecast_operator.discovery.workloads import WorkloadIndex, Workloads
from tidecast_operator.telemetry.collector import Collector
from tidecast_operator.telemetry.prometheus import Connection, Prometheus
from tidecast_simulator import truth
from tidecast_simulator.kubernetes_objects import objects_of
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.traffic import Simulation

pytestmark = pytest.mark.real

WINDOW_SECONDS = 3600
# A call less often than this may not have happened at all within the window.
NOISE_FLOOR = 10 / WINDOW_SECONDS


@pytest.fixture(scope="module")
def workloads(simulation: Simulation) -> WorkloadIndex:
    known = Workloads()
    for body in objects_of(simulation.mesh):
        known.observe("ADDED", body)
    return known.index()


@pytest.fixture
def prometheus(recorded_shop: PrometheusServer) -> Iterator[Prometheus]:
    connection = Prometheus(Connection(recorded_shop.url))
    yield connection
    connection.close()


@pytest.mark.parametrize("source", ["Istio", "OpenTelemetry"])
def test_precision_and_recall_of_the_discovered_calls_are_1(
    source: str, prometheus: Prometheus, workloads: WorkloadIndex, simulation: Simulation
) -> None:
    end = int(time.time()) // 60 * 60
    start = end - WINDOW_SECONDS + 60

    observations = Collector(prometheus, (source,)).collect(start, end, 60)
    discovered = calls_of(snapshots.build(observations, workloads, noise_floor=NOISE_FLOOR).snapshot)

    true = {
        call for call, rate in truth.call_rates(simulation, start=start - 60, end=end).items() if rate > NOISE_FLOOR
    }
    assert internal(discovered) == internal(true)


def calls_of(snapshot: snapshots.Snapshot) -> set[tuple[ServiceId, ServiceId]]:
    return {(snapshot.services[caller], snapshot.services[callee]) for caller, callee in snapshot.calls.T.tolist()}


def internal(calls: set[tuple[ServiceId, ServiceId]]) -> set[tuple[ServiceId, ServiceId]]:
    """Those between workloads: what lies outside has no identity that two sources could share."""
    return {call for call in calls if not call[0].is_external and not call[1].is_external}
