import json
from collections.abc import Iterator

import pytest

from builders.waiting import eventually
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.control_plane import CommandFailed, ControlPlane
from tidecast_simulator.testbed.pods import Pods
from tidecast_simulator.testbed.resource_metrics import ResourceMetrics, Usage

pytestmark = pytest.mark.real(*binaries.ALL)

ROOT = "/apis/metrics.k8s.io/v1beta1"


class Load:
    """What is used: so many cores by every ready pod, shared among them."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods
        self.cores = 0.2

    def usages(self) -> list[Usage]:
        ready = [pod for pod in self.pods.now if pod.is_ready]
        return [Usage(pod.namespace, pod.name, pod.labels, "none", self.cores / len(ready), 2**20) for pod in ready]


@pytest.fixture
def load(control_plane: ControlPlane, namespace: str, tmp_path) -> Iterator[Load]:
    with Pods(control_plane, start_up_seconds=0.2, namespace=namespace) as pods:
        load = Load(pods)
        with ResourceMetrics(control_plane, tmp_path, usages=load.usages, window_seconds=1):
            control_plane.kubectl("create", "deployment", "web", "--image=none", "-n", namespace)
            control_plane.kubectl("set", "resources", "deploy/web", "--requests=cpu=100m", "-n", namespace)
            eventually(lambda: [pod.is_ready for pod in pods.now] == [True])
            yield load


def metrics(control_plane: ControlPlane, path: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = json.loads(control_plane.kubectl("get", "--raw", f"{ROOT}{path}"))["items"]
    return items


def test_the_api_server_passes_on_what_pods_use(control_plane, namespace, load):
    (found,) = metrics(control_plane, f"/namespaces/{namespace}/pods")

    assert found["containers"] == [{"name": "none", "usage": {"cpu": "200000000n", "memory": "1024Ki"}}]
    assert found["metadata"]["name"] == load.pods.now[0].name


@pytest.mark.usefixtures("load")
def test_a_selector_leaves_out_the_pods_of_others(control_plane, namespace):
    assert len(metrics(control_plane, f"/namespaces/{namespace}/pods?labelSelector=app%3Dweb")) == 1
    assert not metrics(control_plane, f"/namespaces/{namespace}/pods?labelSelector=app%3Dother")
    assert not metrics(control_plane, "/namespaces/other/pods")


@pytest.mark.usefixtures("load")
def test_a_selector_that_is_not_understood_is_refused(control_plane, namespace):
    with pytest.raises(CommandFailed, match="only key=value"):
        metrics(control_plane, f"/namespaces/{namespace}/pods?labelSelector=app%20in%20%28web%29")


def test_an_autoscaler_follows_the_cpu_that_is_told(control_plane, namespace, load):
    """0.2 cores of 0.1 requested at a target of 50 percent are four pods; those share the load then."""
    wanted = ("--cpu-percent=50", "--min=1", "--max=10")
    control_plane.kubectl("autoscale", "deploy/web", *wanted, "-n", namespace)

    eventually(lambda: sum(pod.is_ready for pod in load.pods.now) == 4, seconds=60)
    status = json.loads(control_plane.kubectl("get", "hpa/web", "-n", namespace, "-o", "json"))["status"]
    assert status["desiredReplicas"] == 4
