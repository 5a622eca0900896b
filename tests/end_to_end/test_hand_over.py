"""
Two real operators and what befalls the one that leads; the API server's audit log tells who wrote when.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tidecast_simulator.kubernetes_objects import idle_deployment
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.process import Process, free_port, listens
from tidecast_simulator.testbed.replicas import Blow, Replicas
from tidecast_simulator.testbed.world import OPT_IN, World

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

ENDPOINT = Path(__file__).parents[2] / "benchmarks" / "ten_thousand_services" / "endpoint.py"
NAMES = ("operator-a", "operator-b")
SERVICES, NAMESPACE, SERVICE = 16, "team-000", "service-00001"  # as the endpoint has it
SPF = ("spf", SERVICE, f"--namespace={NAMESPACE}")
HIGHEST = 4
TRAINING = ("--training-seconds=2", "--training-threads=1")  # whatever speaks afterwards, it is not to change


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of an endpoint that answers at once, with made-up numbers."""
    port = free_port()
    command = [sys.executable, ENDPOINT, f"--services={SERVICES}", f"--port={port}"]
    endpoint = Process.start(command, log=tmp_path_factory.mktemp("endpoint") / "endpoint.log")
    endpoint.wait_until(lambda: listens(port))
    yield f"http://127.0.0.1:{port}"
    endpoint.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, prometheus_url: str) -> Iterator[World]:
    """Some services on an audited control plane; the world's own operator is not started."""
    directory = tmp_path_factory.mktemp("hand-over")
    with (
        ControlPlane.start(directory / "plane", controllers=False, users=NAMES, is_audited=True) as plane,
        World(directory, control_plane=plane, prometheus_url=prometheus_url, predictor_arguments=TRAINING) as world,
    ):
        world.install_definitions()
        world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": OPT_IN}})
        world.apply(*(idle_deployment(NAMESPACE, f"service-{number:05d}") for number in range(SERVICES)))
        world.predictor.start(wait_seconds=120)
        training = {"historySeconds": 7200, "minimumHistorySeconds": 7200}
        world.apply(world.forecaster(training=training, stepSeconds=5, windowSteps=24, horizonSteps=12))
        yield world


@pytest.fixture(scope="module")
def replicas(world: World) -> Iterator[Replicas]:
    """Both, at work."""
    with Replicas(world.directory, world.control_plane, NAMES, ["--hpa-floors"]) as replicas:
        replicas.start()
        world.wait_for(lambda: issued(world), timeout_seconds=120)
        yield replicas


@pytest.mark.parametrize("blow", [Blow.KILL, Blow.PAUSE], ids=lambda blow: blow.name)
def test_a_leader_that_is_struck_amid_its_writes_is_followed_by_one_that_writes_alone(
    blow: Blow, world: World, replicas: Replicas
) -> None:
    before = issued(world)

    hand_over = replicas.strike(blow, is_amid_writes=True, pause_seconds=22)

    assert hand_over.successor != hand_over.struck
    assert hand_over.lead_seconds < 30, "what is promised"
    assert not replicas.log.foreign_writes()
    assert world.wait_for(lambda: issued(world) > before)


def test_a_leader_that_is_told_to_end_hands_over_forecasts_and_floors_untouched(
    world: World, replicas: Replicas
) -> None:
    raise_a_floor(world, replicas)
    replicas.wait_for_write(replicas.leader, since=time.time())
    start, before = len(replicas.log.writes), world.get("spf", f"--namespace={NAMESPACE}")["items"]

    hand_over = replicas.strike(Blow.END)
    replicas.wait_for_write(hand_over.successor, since=time.time())

    assert not replicas.log.foreign_writes()
    assert not [write for write in replicas.log.writes[start:] if write.resource == "horizontalpodautoscalers"]
    assert floor(world) == HIGHEST
    after = {one["metadata"]["name"]: one["status"] for one in world.get("spf", f"--namespace={NAMESPACE}")["items"]}
    for one in before:
        status = after[one["metadata"]["name"]]
        assert status["forecasts"]
        assert status["issuedTime"] >= one["status"]["issuedTime"]
    assert world.condition("ForecastFresh", *SPF)["status"] == "True"
    assert world.condition("Trusted", *SPF)["status"] == "True"


def issued(world: World) -> str:
    """When the forecast of the service was issued; empty while there is none."""
    return str(world.get(*SPF).get("status", {}).get("issuedTime", ""))


def floor(world: World) -> int:
    """That of the service's autoscaler."""
    return int(world.get("hpa", SERVICE, f"--namespace={NAMESPACE}")["spec"]["minReplicas"])


def raise_a_floor(world: World, replicas: Replicas) -> None:
    """Lets the service's hint raise a floor as high as it may."""
    world.wait_for(lambda: world.get("forecaster", "default")["status"]["training"].get("finishedTime"))
    replicas.wait_for_write(replicas.leader, since=time.time())
    replicas.stop()
    world.apply(
        {
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": NAMESPACE, "name": SERVICE},
            "spec": {
                "minReplicas": 1,
                "maxReplicas": HIGHEST,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": SERVICE},
            },
        }
    )
    # What trust takes is earned in half an hour; here it is told by the status, as after a restart.
    with config.new_client_from_config(str(world.control_plane.kubeconfig)) as api_client:
        custom = client.CustomObjectsApi(api_client)
        spf = ("tidecast.dev", "v1alpha1", NAMESPACE, "serviceperformanceforecasts", SERVICE)
        scaling = {"mode": "Active", "perReplica": "1m", "horizontalPodAutoscalerName": SERVICE}
        custom.patch_namespaced_custom_object(*spf, {"spec": {"scaling": {**scaling, "leadTimeSeconds": 60}}})
        custom.patch_namespaced_custom_object_status(*spf, {"status": earned(world)})
    replicas.start()
    world.wait_for(lambda: floor(world) == HIGHEST, timeout_seconds=120)


def earned(world: World) -> dict[str, Any]:
    """A status that tells of good forecasts, of what the hint leans on."""
    figures = {"error": "1", "naiveError": "2", "bias": "0", "skill": "500m", "coverage": "800m", "samples": 200}
    skill = {"metric": "RequestsPerSecond", "offsetSeconds": 60, "windowSeconds": 86400, **figures}
    return {**world.get(*SPF)["status"], "skill": skill}
