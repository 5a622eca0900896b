import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from builders.waiting import eventually
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.pods import Pods

pytestmark = pytest.mark.real(*binaries.ALL)

START_UP_SECONDS = 0.5
MANY = 150


@pytest.fixture
def pods(control_plane: ControlPlane, namespace: str) -> Iterator[Pods]:
    with Pods(control_plane, start_up_seconds=START_UP_SECONDS, namespace=namespace) as running:
        yield running


@pytest.fixture
def slow_pods(control_plane: ControlPlane, namespace: str) -> Iterator[Pods]:
    with Pods(control_plane, start_up_seconds=3600, namespace=namespace) as running:
        yield running


@pytest.fixture
def get(control_plane: ControlPlane, namespace: str) -> Callable[..., Any]:
    return lambda *what: json.loads(control_plane.kubectl("get", "-n", namespace, "-o", "json", *what))


@pytest.fixture
def create(control_plane: ControlPlane, namespace: str) -> Callable[[int], None]:
    def with_replicas(replicas: int) -> None:
        name = ("web", "--image=none", f"--replicas={replicas}")
        control_plane.kubectl("create", "deployment", *name, "-n", namespace)

    return with_replicas


@pytest.fixture
def scale(control_plane: ControlPlane, namespace: str) -> Callable[[int], None]:
    return lambda replicas: (
        control_plane.kubectl("scale", "deploy/web", f"--replicas={replicas}", "-n", namespace) and None
    )


def ready_replicas(get: Callable[..., Any]) -> int:
    return int(get("deploy/web")["status"].get("readyReplicas", 0))


def test_the_replicas_of_a_deployment_become_ready(pods, create, get):
    create(3)

    assert eventually(lambda: ready_replicas(get) == 3)
    assert [pod.is_ready for pod in pods.now] == [True] * 3


@pytest.mark.usefixtures("pods")
def test_a_ready_pod_has_an_address_a_start_and_running_containers(create, get):
    create(2)
    eventually(lambda: ready_replicas(get) == 2)

    statuses = [pod["status"] for pod in get("pods")["items"]]
    assert {status["phase"] for status in statuses} == {"Running"}
    assert len({status["podIP"] for status in statuses}) == 2
    assert all(status["startTime"] for status in statuses)
    assert all(status["containerStatuses"][0]["state"]["running"]["startedAt"] for status in statuses)


def test_a_pod_that_still_starts_is_there_and_not_ready(slow_pods, create, get):
    create(1)

    assert eventually(lambda: [pod.is_ready for pod in slow_pods.now] == [False])
    assert get("pods")["items"][0]["status"]["phase"] == "Pending"
    assert ready_replicas(get) == 0


def test_pods_that_are_scaled_away_are_gone(pods, create, scale, get):
    create(3)
    eventually(lambda: ready_replicas(get) == 3)

    scale(1)

    assert eventually(lambda: len(pods.now) == 1)
    assert eventually(lambda: len(get("pods")["items"]) == 1)


def test_a_pod_on_a_node_that_is_deleted_does_not_linger(pods, control_plane, namespace, get):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lone", "namespace": namespace},
        "spec": {
            "nodeName": "nowhere",
            "terminationGracePeriodSeconds": 3600,
            "containers": [{"name": "main", "image": "none"}],
        },
    }
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    eventually(lambda: [one.is_ready for one in pods.now] == [True])

    control_plane.kubectl("delete", "pod", "lone", "-n", namespace, "--wait=false")

    assert eventually(lambda: not get("pods")["items"])
    assert not pods.now


def test_pods_that_were_there_before_become_ready_too(control_plane, namespace, create, get):
    create(2)
    eventually(lambda: len(get("pods")["items"]) == 2)

    with Pods(control_plane, start_up_seconds=0, namespace=namespace):
        assert eventually(lambda: ready_replicas(get) == 2)


@pytest.mark.usefixtures("pods")
def test_more_than_a_hundred_pods_at_once_become_ready(create, get):
    create(MANY)

    assert eventually(lambda: ready_replicas(get) == MANY, seconds=90)


@pytest.mark.usefixtures("pods")
def test_pods_become_ready_after_the_api_server_was_away(control_plane, create, get):
    create(1)
    eventually(lambda: ready_replicas(get) == 1)

    control_plane.restart_api_server()
    control_plane.kubectl("scale", "deploy/web", "--replicas=4", "-n", get("deploy/web")["metadata"]["namespace"])

    assert eventually(lambda: ready_replicas(get) == 4, seconds=90)
