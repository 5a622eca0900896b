import contextlib
import signal
from pathlib import Path

import pytest
import requests

from builders.node_pods import deployment, pod, probe, script, service, web
from builders.waiting import eventually
from tidecast_simulator.testbed import binaries

pytestmark = pytest.mark.real(*binaries.ALL)


def processes_of(kept, deployment_name):
    """Those whose environment names the folder of one of the pods."""
    folders = [kept.node.folder(kept.namespace, name).name for name in kept.pods(deployment_name)]
    return {process for process in processes() if any(folder in environment(process) for folder in folders)}


def versions_of(kept, deployment_name):
    """Those that its pods answer; a pod that is on its way out, and refuses, has none."""
    versions = set()
    for name in kept.pods(deployment_name):
        with contextlib.suppress(requests.ConnectionError):
            versions.add(kept.answer(name)[0])
    return versions


def processes():
    return {path for path in Path("/proc").iterdir() if path.name.isdigit()}


def environment(process):
    try:
        return (process / "environ").read_text(errors="replace")
    except OSError:
        return ""


def test_a_deployment_becomes_available_and_answers(kept):
    kept.apply(deployment("web", web(), replicas=2))

    assert eventually(lambda: kept.available("web") == 2)
    assert sorted(kept.answer(name) for name in kept.pods("web")) == sorted(f"1 {name}" for name in kept.pods("web"))


def test_a_pod_has_a_node_an_address_and_a_start(kept):
    kept.apply(deployment("web", web()))
    eventually(lambda: kept.available("web") == 1)

    body = kept.find("pods")["items"][0]
    assert body["spec"]["nodeName"] == kept.node.name
    assert body["status"]["podIP"] == body["status"]["podIPs"][0]["ip"]
    assert body["status"]["startTime"]
    conditions = {one["type"]: one["status"] for one in body["status"]["conditions"]}
    assert conditions == dict.fromkeys(("PodScheduled", "Initialized", "ContainersReady", "Ready"), "True")
    assert kept.find("nodes", kept.node.name)["spec"].get("taints") is None


def test_a_rolling_update_replaces_pods_and_is_never_without_one(kept):
    kept.apply(deployment("web", web()), service("web"))
    eventually(lambda: kept.available("web") == 1)
    address = kept.node.service_address(kept.namespace, "web", 80)
    eventually(lambda: "1 web" in requests.get(f"http://{address}", timeout=5).text)

    kept.apply(deployment("web", web(version="2")))
    answers = []

    def answer():
        try:
            return requests.get(f"http://{address}", timeout=5).text
        except requests.ConnectionError:
            # A pod that ends cuts off whom it is answering. Whoever asks again at once has to be answered.
            return requests.get(f"http://{address}", timeout=5).text

    def has_come():
        answers.append(answer()[0])
        return answers[-1] == "2" and kept.available("web") == 1

    assert eventually(has_come)
    assert set(answers) == {"1", "2"}


def test_a_version_that_does_not_get_ready_leaves_the_old_one(kept):
    kept.apply(deployment("web", web()))
    eventually(lambda: kept.available("web") == 1)
    (old,) = kept.pods("web")

    kept.apply(deployment("web", web(version="2", arguments=("--ready-file=/nowhere",))))
    eventually(
        lambda: len(kept.pods("web")) == 2 and all(kept.container(name).get("started") for name in kept.pods("web"))
    )

    assert {name: kept.is_ready(name) for name in kept.pods("web")}[old]
    assert sum(kept.is_ready(name) for name in kept.pods("web")) == 1


def test_a_container_whose_liveness_fails_is_started_again(kept):
    kept.apply(pod("web", web(), restartPolicy="Always"))
    eventually(lambda: kept.is_ready("web"))

    kept.answer("web", "/break")

    assert eventually(lambda: kept.container("web").get("restartCount") == 1 and kept.is_ready("web"))
    assert kept.container("web")["lastState"]["terminated"]["exitCode"] == 0
    assert "ended" in kept.says("web", previous=True)


def test_a_killed_container_is_started_again_with_the_same_address(kept):
    kept.apply(pod("web", web(), restartPolicy="Always"))
    eventually(lambda: kept.is_ready("web"))
    before = kept.node.address(kept.namespace, "web", 8080)

    kept.node.kill(kept.namespace, "web", signal.SIGKILL)

    assert eventually(lambda: kept.container("web").get("restartCount") == 1 and kept.is_ready("web"))
    assert kept.container("web")["lastState"]["terminated"]["exitCode"] == 128 + signal.SIGKILL
    assert kept.node.address(kept.namespace, "web", 8080) == before


def test_a_container_that_always_fails_is_in_a_loop_with_pauses(kept):
    kept.apply(pod("broken", script("raise SystemExit(3)"), restartPolicy="Always"))

    assert eventually(lambda: kept.container("broken")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert kept.container("broken")["lastState"]["terminated"]["exitCode"] == 3
    assert kept.phase("broken") == "Running"


def test_a_startup_probe_holds_the_others_back(kept):
    slow = web(arguments=("--ready-file=/data/ready",), startupProbe=probe("/readyz", failureThreshold=100))
    slow |= {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    kept.apply(pod("web", slow, volumes=[{"name": "data", "emptyDir": {}}]))
    eventually(lambda: "running" in kept.container("web")["state"])
    assert not kept.container("web")["started"]

    (kept.node.folder(kept.namespace, "web", "data") / "ready").touch()

    assert eventually(lambda: kept.container("web")["started"] and kept.is_ready("web"))


def test_a_probe_can_be_a_command_or_a_connection(kept):
    command = {"exec": {"command": ["test", "-e", "/data/ready"]}, "periodSeconds": 1}
    both = web(readinessProbe=command, livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
    both |= {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    kept.apply(pod("web", both, volumes=[{"name": "data", "emptyDir": {}}]))
    eventually(lambda: kept.container("web").get("started"))
    assert not kept.is_ready("web")

    (kept.node.folder(kept.namespace, "web", "data") / "ready").touch()

    assert eventually(lambda: kept.is_ready("web"))
    assert kept.container("web")["restartCount"] == 0


def test_the_api_server_can_go_away_for_a_while(kept):
    kept.apply(deployment("web", web()))
    eventually(lambda: kept.available("web") == 1)

    kept.control_plane.restart_api_server()
    kept.apply(deployment("web", web(version="2"), replicas=2))

    assert eventually(lambda: kept.available("web") == 2, seconds=90)
    assert eventually(lambda: versions_of(kept, "web") == {"2"})


def test_nothing_runs_any_more_when_the_node_has_ended(kept):
    kept.apply(deployment("web", web(), replicas=2))
    eventually(lambda: kept.available("web") == 2)
    before = processes_of(kept, "web")
    assert len(before) == 2

    kept.node.stop()

    assert not before & processes()
    assert kept.find("nodes", kept.node.name) is None
