"""
An operator that may work in two of three namespaces, and in nothing else: on real components, with Roles alone.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from kubernetes import client

from builders.service_accounts import confined, kubeconfig_of
from tidecast_simulator.kubernetes_objects import apply, delete, objects_of
from tidecast_simulator.live import LiveMesh, LiveServer
from tidecast_simulator.load import usual_load
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.mesh_generation import Blueprint, generate
from tidecast_simulator.testbed import tidecast
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.testbed.world import World
from tidecast_simulator.traffic import Simulation

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

FIRST, SECOND, THIRD, NOWHERE = "mesh-0", "mesh-1", "mesh-2", "mesh-nowhere"
OWN = "tidecast-confined"
LISTED = f"{FIRST},{SECOND},{THIRD},{NOWHERE}"


class ConfinedWorld(World):
    """An operator of its own account, whose Forecaster is in a file; the predictor and the rest as in any world."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.file = self.directory / "forecaster.yaml"
        self.account = kubeconfig_of(self.control_plane, OWN, "tidecast-operator", self.directory)
        flags = [f"--namespace={OWN}", f"--watch-namespaces={LISTED}", f"--forecaster-file={self.file}"]
        self.operator = tidecast.operator(self.directory, self.account, "confined", flags)

    def write(self, **spec: object) -> None:
        """Changes the file."""
        short = {"stepSeconds": 5, "windowSteps": 24, "horizonSteps": 12}
        body = self.forecaster(**short, training={"historySeconds": 7200, "minimumHistorySeconds": 7200}, **spec)
        del body["spec"]["namespaceSelector"]
        self.file.write_text(json.dumps(body))

    @property
    def told(self) -> str:
        """The operator's log."""
        return self.operator.log.read_text()

    def metrics(self) -> str:
        """What the operator exposes."""
        [address] = [flag for flag in self.operator.command if str(flag).startswith("--http-address=")]
        return requests.get(f"http://{str(address).partition('=')[2]}/metrics", timeout=10).text

    def fresh(self) -> set[str]:
        """The namespaces in which a forecast is fresh."""
        items = self.get("spf", "--all-namespaces").get("items", [])
        return {
            item["metadata"]["namespace"]
            for item in items
            for condition in item.get("status", {}).get("conditions", [])
            if (condition["type"], condition["status"]) == ("ForecastFresh", "True")
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the operator's, with the same rights."""
        command = [sys.executable, "-m", "tidecast_operator", *arguments, f"--kubeconfig={self.account}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """Nine services in three namespaces, which call each other."""
    return generate(Blueprint(size=9, depth=3, namespaces=3, sparse_share=0.0, queue_share=0.0))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, mesh: Mesh) -> Iterator[PrometheusServer]:
    """A Prometheus that scrapes the live mesh every second."""
    live = LiveServer(LiveMesh(Simulation(mesh, usual_load(), tick_seconds=1), since=time.time() - 60)).start()
    with PrometheusServer.start(tmp_path_factory.mktemp("mesh"), targets=[live.target]) as server:
        yield server
    live.stop()


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    control_plane: ControlPlane,
    api_client: client.ApiClient,
    mesh: Mesh,
    prometheus: PrometheusServer,
) -> Iterator[ConfinedWorld]:
    """All of it, as soon as the first forecasts are written."""
    objects = objects_of(mesh)
    apply(objects, api_client)
    apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OWN}}], api_client)
    confined(control_plane, OWN, (FIRST, SECOND))
    made = ConfinedWorld(
        tmp_path_factory.mktemp("confined"), control_plane=control_plane, prometheus_url=prometheus.url
    )
    made.install_definitions()
    made.write()
    try:
        made.predictor.start(wait_seconds=120)
        made.operator.start(wait_seconds=60)
        made.wait_for(lambda: {FIRST, SECOND} <= made.fresh(), timeout_seconds=240)
        yield made
    finally:
        made.operator.stop()
        made.predictor.stop()
        delete(objects, api_client)
        control_plane.kubectl("delete", "namespace", OWN, "--wait=false")


def test_forecasts_are_written_where_the_roles_are_and_nowhere_else(world: ConfinedWorld) -> None:
    assert world.fresh() == {FIRST, SECOND}
    found = world.get("spf", "--all-namespaces")["items"]
    assert {item["metadata"]["namespace"] for item in found} & {THIRD, NOWHERE} == set()
    assert not world.get("forecasters.tidecast.dev").get("items")
    assert not world.get("events", f"--namespace={THIRD}", "--field-selector=source=tidecast-operator").get("items")


def test_nothing_that_was_asked_for_was_refused(world: ConfinedWorld) -> None:
    told = world.told

    for namespace in (THIRD, NOWHERE):
        assert f"namespace {namespace} is left out" in told
    assert "cannot" not in told
    assert "not everything was written" not in told
    assert "kopf ended" not in told
    assert "Traceback" not in told


def test_no_cycle_takes_hints_back_before_the_file_was_read(world: ConfinedWorld) -> None:
    assert "outcome=Forecast" in world.told
    assert "outcome=NoForecaster" not in world.told


def test_calls_from_other_namespaces_are_part_of_the_graph(world: ConfinedWorld) -> None:
    [count] = re.findall(r"^tidecast_graph_services (\S+)", world.metrics(), flags=re.MULTILINE)

    assert float(count) > len(world.get("spf", "--all-namespaces")["items"])


def test_the_conditions_of_the_forecaster_are_told_by_log_and_gauge(world: ConfinedWorld) -> None:
    ready = 'tidecast_forecaster_condition{reason="Forecasting",status="True",type="Ready"} 1.0'

    world.wait_for(lambda: ready in world.metrics())
    assert "Forecaster: PrometheusReachable is True, Answers" in world.told


def test_the_replica_that_leads_tells_how_old_its_hints_are(world: ConfinedWorld) -> None:
    [age] = re.findall(r"^tidecast_board_age_seconds (\S+)", world.metrics(), flags=re.MULTILINE)

    assert 0 <= float(age) < 600
    assert "tidecast_relay_connected" not in world.metrics()


def test_a_changed_file_takes_effect_without_a_restart(world: ConfinedWorld) -> None:
    world.write(prometheus={"url": "http://127.0.0.1:1", "timeoutSeconds": 1})
    try:
        lost = 'status="False",type="PrometheusReachable"'
        world.wait_for(lambda: lost in world.metrics())
        world.file.write_text("kind: [")
        world.wait_for(lambda: f"{world.file} is no YAML" in world.told)
        assert lost in world.metrics(), "what was in effect stays"
    finally:
        world.write()
    world.wait_for(lambda: 'status="True",type="PrometheusReachable"' in world.metrics())


def test_the_check_finds_what_works_and_what_does_not(world: ConfinedWorld) -> None:
    flags = ("check", f"--namespace={OWN}", f"--forecaster-file={world.file}", "--hpa-floors")

    good = world.run(*flags, f"--watch-namespaces={FIRST},{SECOND}", "--timeout-seconds=30")
    assert (good.returncode, "FAIL" in good.stdout) == (0, False), good.stdout + good.stderr
    bad = world.run(*flags, f"--watch-namespaces={LISTED}", "--timeout-seconds=20")
    assert bad.returncode == 1
    assert [line for line in bad.stdout.splitlines() if line.startswith("FAIL")] == [
        line for line in bad.stdout.splitlines() if THIRD in line or NOWHERE in line
    ]


def test_a_namespace_that_is_granted_later_gets_forecasts(world: ConfinedWorld) -> None:
    confined(world.control_plane, OWN, [THIRD])

    world.wait_for(lambda: world.fresh() == {FIRST, SECOND, THIRD}, timeout_seconds=240)


def test_an_operator_that_was_put_to_rest_stands_by(world: ConfinedWorld) -> None:
    flags = [f"--namespace={name}" for name in (FIRST, SECOND, THIRD)]
    for _ in range(2):
        done = world.run("clean-up", f"--lease-namespace={OWN}", *flags, "--with-forecaster")
        assert done.returncode == 1, "the Forecaster may not be looked for"
        assert "forecasters" in done.stderr

        done = world.run("clean-up", f"--lease-namespace={OWN}", *flags)
        assert done.returncode == 0, done.stderr

    world.wait_for(lambda: "standing by, tidecast-clean-up leads" in world.told)
    world.wait_for(lambda: "tidecast_leader 0.0" in world.metrics())
    assert "tidecast_forecaster_condition{" not in world.metrics()
    assert "tidecast_board_age_seconds" not in world.metrics()
