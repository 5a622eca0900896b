"""
The autoscalers of the closed loop with hints as a metric: behind the real API server, followed by the real controller.
"""

import argparse
import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import cluster
import pytest
import pytest_asyncio
import requests
from doors import MetricDoor, heard
from scene import NAMESPACE, mesh, requested_cores

from builders.hints import decided, entry
from builders.metrics_api import board
from builders.waiting import eventually
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.serving import Serving, add_flags
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.pods import Pods
from tidecast_simulator.testbed.process import free_port
from tidecast_simulator.testbed.resource_metrics import ResourceMetrics, Usage

pytestmark = [pytest.mark.real(*binaries.ALL), pytest.mark.asyncio(loop_scope="module")]

MANIFESTS = Path(__file__).parents[2] / "manifests"
SHARE = 0.85
THROUGH = {"external": "payment", "custom": "accounts"}
"""The service that is scaled through each API; not the one of the examples."""

SERVICES = {service.name: service for service in mesh().services}


@pytest.fixture(scope="module", autouse=True)
def _pods(control_plane, tmp_path_factory):
    """The namespace of the closed loop with pods that become ready, each using half of the CPU that it requests."""
    control_plane.kubectl("apply", "--validate=false", "-f", str(MANIFESTS / "crds"))
    control_plane.kubectl("create", "namespace", NAMESPACE)
    with Pods(control_plane, start_up_seconds=0.2, namespace=NAMESPACE) as pods:

        def usages():
            for pod in pods.now:
                name = pod.labels["app"]
                if pod.is_ready:
                    yield Usage(NAMESPACE, pod.name, pod.labels, name, 0.5 * requested_cores(SERVICES[name]))

        folder = tmp_path_factory.mktemp("resource-metrics")
        with ResourceMetrics(control_plane, folder, usages=usages, window_seconds=1):
            yield
        control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(control_plane, tmp_path_factory):
    """Both metrics APIs, as the operator serves them by the flags of a door, with a hint of eight replicas for each."""
    folder, port = tmp_path_factory.mktemp("metrics-api"), free_port()
    doors = [MetricDoor(api, folder, port) for api in THROUGH]
    parser, noticeboard = argparse.ArgumentParser(), Noticeboard()
    add_flags(parser)
    options = parser.parse_args(doors[0].operator_flags)
    now = int(time.time())
    noticeboard.show(board(*(offered(name, 8, now) for name in THROUGH.values())))
    reads = Cluster(load_configuration(control_plane.kubeconfig))
    task = asyncio.create_task(Serving(options, noticeboard, reads, leads=lambda: True).run())
    yield doors
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    reads.close()


def offered(name, replicas, now):
    per_replica = float(cluster.per_replica(SERVICES[name], SHARE))
    hint = decided(replicas * per_replica, per_replica=per_replica)
    return entry(namespace=NAMESPACE, name=name, hint=hint, issued_time=now, expire_time=now + 600)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def followed(control_plane, doors):
    """The autoscaler behind each door, as soon as it has brought about eight pods and knows their CPU."""
    return await asyncio.to_thread(through, control_plane, doors)


def through(plane, doors):
    wanted = [one for one in cluster.objects() if one["metadata"]["name"] in THROUGH.values()]
    cluster.apply(plane, [one for one in wanted if one["kind"] != "Service"])
    with ExitStack() as stack:
        for door in doors:
            stack.enter_context(door.registered(plane))
            door.open(plane, [SERVICES[THROUGH[door.api]]], share=SHARE)
        version = cluster.autoscaling_version(plane)
        return {
            api: eventually(lambda name=name: at_eight(plane, version, name), seconds=120)
            for api, name in THROUGH.items()
        }


def at_eight(plane, version, name):
    path = f"/apis/{version}/namespaces/{NAMESPACE}/horizontalpodautoscalers/{name}"
    headers = {"Authorization": f"Bearer {plane.token}"}
    found = requests.get(f"{plane.url}{path}", headers=headers, verify=str(plane.ca_file), timeout=10).json()
    status = found.get("status", {})
    is_known = len([one for one in status.get("currentMetrics") or () if one["type"]]) == 2
    return found if status.get("currentReplicas") == 8 and is_known else None


@pytest.mark.parametrize(("api", "kind"), [("external", "External"), ("custom", "Object")])
async def test_an_autoscaler_has_the_hint_in_its_status_beside_cpu(followed, api, kind):
    metrics = followed[api]["status"]["currentMetrics"]

    assert [one["type"] for one in metrics] == [kind, "Resource"]
    assert metrics[1]["resource"]["current"]["averageUtilization"] == 50


@pytest.mark.parametrize("api", ["external", "custom"])
async def test_an_autoscaler_follows_the_hint_where_that_asks_for_more_than_cpu(followed, api):
    """Pods that use half of their CPU, at a target of 70 percent, never are eight by CPU alone."""
    assert followed[api]["status"]["desiredReplicas"] == 8


@pytest.mark.parametrize(("api", "at_eight"), [("external", "42500m"), ("custom", "127500m")])
async def test_what_an_autoscaler_heard_is_told(followed, api, at_eight):
    """A replica of payment carries 85 percent of 50 requests a second, one of accounts 85 percent of 150."""
    assert heard(followed[api]) == at_eight


async def test_an_autoscaler_by_cpu_alone_has_heard_nothing():
    cpu = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageValue": "1"}}}

    assert heard({"status": {"currentMetrics": [cpu]}}) == ""
    assert heard({}) == ""


async def test_an_api_is_registered_no_longer_when_a_run_is_over(followed, control_plane):
    names = await asyncio.to_thread(control_plane.kubectl, "get", "apiservice", "--output=name")

    assert set(followed) == {"external", "custom"}
    assert "external.metrics" not in names
    assert "custom.metrics" not in names
