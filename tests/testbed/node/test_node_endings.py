import json
import signal

import pytest

from builders.node_pods import job, pod, script, web
from builders.waiting import eventually
from tidecast_simulator.testbed import binaries

pytestmark = pytest.mark.real(*binaries.ALL)

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def condition(kept, name, kind):
    for one in kept.find("jobs", name)["status"].get("conditions") or ():
        if one["type"] == kind:
            return one["status"]
    return None


def is_gone(kept, name):
    return kept.find("pods", name) is None


def test_a_job_whose_program_ends_well_is_complete(kept):
    kept.apply(job("well", script("print('done')")))

    assert eventually(lambda: condition(kept, "well", "Complete")) == "True"
    (name,) = [one["metadata"]["name"] for one in kept.find("pods", labelSelector="job-name=well")["items"]]
    assert kept.phase(name) == "Succeeded"
    assert kept.says(name) == "done\n"


def test_a_job_whose_program_fails_is_tried_again_and_has_failed(kept):
    kept.apply(job("badly", script("raise SystemExit(7)"), retries=1))

    # The job controller waits 10 s before it tries again.
    assert eventually(lambda: condition(kept, "badly", "Failed"), seconds=90) == "True"
    assert kept.find("jobs", "badly")["status"]["failed"] == 2


def test_the_status_of_an_ended_pod_has_the_exit_code(kept):
    kept.apply(pod("badly", script("raise SystemExit(7)")))

    assert kept.ends("badly") == "Failed"
    assert kept.container("badly")["state"]["terminated"]["exitCode"] == 7
    assert kept.container("badly")["restartCount"] == 0


def test_a_policy_of_on_failure_tries_again_until_it_goes_well(kept):
    code = "import pathlib; seen = pathlib.Path('/data/seen'); again = seen.exists(); seen.touch(); raise SystemExit(not again)"
    once = script("import sys; exec(sys.argv[1])", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    once["args"].append(code)
    kept.apply(pod("stubborn", once, restartPolicy="OnFailure", volumes=[{"name": "data", "emptyDir": {}}]))

    assert kept.ends("stubborn") == "Succeeded"
    assert kept.container("stubborn")["restartCount"] == 1


def test_init_containers_run_one_after_the_other_before_the_others(kept):
    def noting(name):
        code = f"open('/data/notes', 'a').write('{name} '); print(open('/data/notes').read())"
        return script(code, volumeMounts=[{"name": "data", "mountPath": "/data"}]) | {"name": name}

    volumes = [{"name": "data", "emptyDir": {}}]
    kept.apply(pod("ordered", noting("third"), initContainers=[noting("first"), noting("second")], volumes=volumes))

    assert kept.ends("ordered") == "Succeeded"
    assert kept.says("ordered") == "first second third \n"


def test_a_failed_init_container_fails_the_pod(kept):
    first = script("raise SystemExit(1)") | {"name": "first"}
    kept.apply(pod("stuck", script("print('never')"), initContainers=[first]))

    assert kept.ends("stuck") == "Failed"
    assert "terminated" not in kept.container("stuck")["state"]


def test_a_deleted_pod_gets_its_time_to_end(kept):
    slow = web(arguments=("--end-file=/data/may-end",), volumeMounts=[{"name": "data", "mountPath": "/data"}])
    kept.apply(pod("web", slow, volumes=[{"name": "data", "emptyDir": {}}], terminationGracePeriodSeconds=120))
    eventually(lambda: kept.is_ready("web"))

    kept.delete("pod", "web")
    eventually(lambda: "ending" in kept.says("web"))
    eventually(lambda: not kept.is_ready("web"))
    assert not is_gone(kept, "web")
    (kept.node.folder(kept.namespace, "web", "data") / "may-end").touch()

    assert eventually(lambda: is_gone(kept, "web"))
    assert kept.says("web").split() == ["listening", "ending", "ended"]


def test_a_pod_that_does_not_listen_to_sigterm_is_killed_when_its_time_is_over(kept):
    kept.apply(pod("deaf", script(DEAF), terminationGracePeriodSeconds=1))
    eventually(lambda: kept.phase("deaf") == "Running")
    eventually(lambda: kept.says("deaf") == "up\n")

    kept.delete("pod", "deaf")

    assert eventually(lambda: is_gone(kept, "deaf"))
    with pytest.raises(ProcessLookupError):
        kept.node.kill(kept.namespace, "deaf", signal.SIGCONT)


def test_a_pre_stop_hook_comes_before_sigterm(kept):
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hooked > /data/hook"]}}}
    code = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(pathlib.Path(sys.argv[1]).read_text(), flush=True)))\n"
        f"{SLEEP}"
    )
    hooked = script(code, lifecycle=hook, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    hooked["args"].append("/data/hook")
    kept.apply(pod("hooked", hooked, volumes=[{"name": "data", "emptyDir": {}}]))
    eventually(lambda: kept.phase("hooked") == "Running" and kept.says("hooked") == "up\n")

    kept.delete("pod", "hooked")

    assert eventually(lambda: is_gone(kept, "hooked"))
    assert kept.says("hooked").split() == ["up", "hooked"]


def test_a_pod_that_is_too_old_has_failed(kept):
    kept.apply(pod("long", script(SLEEP), activeDeadlineSeconds=1))

    assert kept.ends("long") == "Failed"
    assert kept.pod("long")["status"]["reason"] == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"image": "example.org/unknown:1"}, "ErrImagePull", "no program for the image 'example.org/unknown:1'"),
        ({"ports": [{"containerPort": 1, "hostPort": 1}]}, "CreateContainerConfigError", "hostPort"),
        ({"command": ["no-such-program"]}, "StartError", "no such program"),
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, "CreateContainerConfigError", "secret 'none' not found"),
    ],
)
def test_what_cannot_be_run_says_why(kept, change, reason, message):
    kept.apply(pod("refused", script("print('never')") | change))

    def told():
        state = kept.container("refused")["state"]
        return state.get("waiting") or state.get("terminated")

    assert eventually(lambda: (told() or {}).get("reason") == reason)
    assert message in told()["message"]
    assert any(message in event["message"] for event in kept.find("events")["items"])


def test_a_pod_for_other_nodes_stays_unscheduled(kept):
    kept.apply(pod("elsewhere", script("print('never')"), nodeSelector={"accelerator": "present"}))

    def scheduled():
        conditions = kept.pod("elsewhere")["status"].get("conditions") or ()
        return json.dumps([one for one in conditions if one["type"] == "PodScheduled"])

    assert eventually(lambda: "nodeSelector" in scheduled())
    assert "nodeName" not in kept.pod("elsewhere")["spec"]


def test_a_node_can_have_devices(start_node):
    kept = start_node(resources={"example.org/gpu": 1})
    limits = {"resources": {"limits": {"example.org/gpu": "1"}}}
    kept.apply(pod("fits", script("print('on it')") | limits))
    kept.apply(pod("too-much", script("print('never')") | {"resources": {"limits": {"example.org/gpu": "2"}}}))

    assert kept.ends("fits") == "Succeeded"
    assert eventually(lambda: "insufficient example.org/gpu" in json.dumps(kept.pod("too-much")["status"]))
