"""
Floors on the real API server and controller manager.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from builders.autoscaled_shop import EVERYTHING, HPA, NOTHING, Shop, leading
from builders.autoscalers import NOW, board, hint
from tidecast_operator.api_answers import Outcome
from tidecast_operator.autoscalers import FIELD_MANAGER, Autoscalers
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Entry
from tidecast_operator.outlets.floors.claim import ANNOTATIONS, FLOOR, ORIGINAL, RAISED
from tidecast_operator.resources import ForecastResource
from tidecast_operator.scaling import Mode, parse
from tidecast_simulator.testbed.control_plane import CommandFailed

pytestmark = pytest.mark.real

MANIFESTS, DOCS = (Path(__file__).parents[2] / name for name in ("manifests", "docs"))


@pytest.fixture
def served(autoscalers):
    """The API version that is written with."""
    return f"autoscaling/{autoscalers._served()}"


MARKS = {"annotations": {ORIGINAL: "2", FLOOR: "9"}, "labels": RAISED}
NAMES = {"annotations": ANNOTATIONS, "labels": tuple(RAISED)}
SERVER_SIDE = ("--server-side", "--field-manager=owner")


@pytest.fixture(params=["v1", "ours"])
def owners_version(request, served):
    """The owner may write in another version of the API than we do."""
    return served if request.param == "ours" else "autoscaling/v1"


def test_a_floor_is_raised_in_one_write_kept_and_given_back(shop, floors):
    shop.apply()
    before = shop.managers()

    report = floors.follow(board(shop.entry()))
    assert (report.raised, report.error, shop.floor, shop.marks) == (1, None, 9, EVERYTHING)
    annotations = shop.get()["metadata"]["annotations"]
    assert (annotations[ORIGINAL], annotations[FLOOR]) == ("2", "9")
    report = floors.follow(board(shop.entry()))
    assert (report.raised, report.restored, report.left, shop.floor) == (0, 0, 0, 9)
    report = floors.follow(board(shop.entry(withheld="not trusted")))

    assert (report.restored, report.left, shop.floor, shop.marks) == (1, 0, 2, NOTHING)
    assert shop.managers().keys() == before.keys()


def test_a_lower_hint_lowers_the_floor_and_keeps_the_original(shop, floors):
    shop.apply()

    for replicas in (9, 6, 12):
        floors.follow(board(shop.entry(replicas)))

        annotations = shop.get()["metadata"]["annotations"]
        assert (shop.floor, annotations[ORIGINAL], annotations[FLOOR]) == (replicas, "2", str(replicas))


@pytest.mark.parametrize("changes", [{"mode": Mode.PREVIEW}, {"withheld": "not trusted"}])
def test_what_is_not_active_and_offered_leaves_no_trace(shop, floors, changes):
    shop.apply()
    before = shop.managers()

    report = floors.follow(board(shop.entry(**changes)))

    assert (report.error, report.problems, shop.floor, shop.managers()) == (None, [], 2, before)


class TestAnOwnerWhoAppliesServerSide:
    def test_meets_a_conflict_that_names_us_while_a_floor_is_raised(self, shop, floors, owners_version):
        shop.apply(*SERVER_SIDE, version=owners_version)
        floors.follow(board(shop.entry()))

        with pytest.raises(CommandFailed, match=rf'conflict with "{FIELD_MANAGER}".*:? \.spec\.minReplicas'):
            shop.apply(*SERVER_SIDE, version=owners_version)
        assert shop.floor == 9

    @pytest.mark.parametrize("wanted", [2, 3, 1])
    def test_meets_no_conflict_after_the_floor_was_given_back(self, shop, floors, owners_version, wanted):
        shop.apply(*SERVER_SIDE, version=owners_version)
        before = shop.managers()
        floors.follow(board(shop.entry()))
        floors.follow(board())

        shop.apply(*SERVER_SIDE, version=owners_version, floor=wanted)

        assert (shop.floor, shop.managers()) == (wanted, before)

    def test_meets_no_conflict_with_all_other_fields_while_a_floor_is_raised(self, shop, floors, owners_version):
        shop.apply(*SERVER_SIDE, version=owners_version)
        floors.follow(board(shop.entry()))
        rest = shop.body(ceiling=30, version=owners_version)
        del rest["spec"]["minReplicas"]

        shop.kubectl("apply", "-f", "-", *SERVER_SIDE, stdin=json.dumps(rest))

        assert (shop.floor, shop.get()["spec"]["maxReplicas"], shop.marks) == (9, 30, EVERYTHING)

    def test_may_insist_and_is_raised_from_the_new_floor(self, shop, floors, owners_version):
        shop.apply(*SERVER_SIDE, version=owners_version)
        floors.follow(board(shop.entry()))

        shop.apply(*SERVER_SIDE, "--force-conflicts", version=owners_version, floor=4)
        assert shop.floor == 4
        floors.follow(board(shop.entry()))
        assert shop.floor == 9
        floors.follow(board())

        assert (shop.floor, shop.marks) == (4, NOTHING)


class TestAnOwnerWhoAppliesClientSide:
    def test_sets_a_new_original_while_a_floor_is_raised(self, shop, floors):
        shop.apply()
        floors.follow(board(shop.entry()))

        shop.apply(floor=4)
        assert shop.floor == 4
        floors.follow(board(shop.entry()))
        assert (shop.floor, shop.get()["metadata"]["annotations"][ORIGINAL]) == (9, "4")
        floors.follow(board())

        assert (shop.floor, shop.marks) == (4, NOTHING)

    def test_keeps_what_it_wrote_when_the_hint_is_gone_meanwhile(self, shop, floors):
        shop.apply()
        floors.follow(board(shop.entry()))
        shop.apply(floor=4)

        floors.follow(board())

        assert (shop.floor, shop.marks) == (4, NOTHING)

    def test_cannot_lower_the_ceiling_below_a_raised_floor(self, shop, floors):
        shop.apply()
        floors.follow(board(shop.entry()))

        with pytest.raises(CommandFailed, match="maxReplicas"):
            shop.kubectl(
                "patch", HPA, "checkout", "-n", shop.namespace, "--type=merge", '--patch={"spec":{"maxReplicas":5}}'
            )
        floors.follow(board())
        shop.apply(ceiling=5)

        assert shop.floor == 2


def test_a_crash_between_the_two_writes_of_giving_back_is_made_good_by_the_next_process(shop, floors, autoscalers):
    class Crash(Exception):
        pass

    class Crashing:
        def __getattr__(self, name):
            if name == "release":
                raise Crash
            return getattr(autoscalers, name)

    shop.apply()
    floors.follow(board(shop.entry()))
    with pytest.raises(Crash):
        leading(Crashing()).follow(board())
    assert (shop.floor, shop.marks) == (2, EVERYTHING)

    leading(autoscalers).follow(board())

    assert (shop.floor, shop.marks) == (2, NOTHING)


def test_what_changed_since_it_was_read_is_not_written(shop, autoscalers):
    shop.apply()
    stale = autoscalers.read(shop.namespace, "checkout")
    shop.apply(floor=3)

    assert autoscalers.apply(stale, 9, **MARKS) is Outcome.CONFLICT
    assert autoscalers.release(stale, **NAMES) is Outcome.CONFLICT
    assert shop.floor == 3


def test_what_was_deleted_since_it_was_read_is_not_made_again(shop, autoscalers):
    shop.apply()
    stale = autoscalers.read(shop.namespace, "checkout")
    shop.kubectl("delete", HPA, "--namespace", shop.namespace, "checkout")

    assert autoscalers.apply(stale, 9, **MARKS) is Outcome.CONFLICT
    assert autoscalers.release(stale, **NAMES) is Outcome.GONE
    assert autoscalers.read(shop.namespace, "checkout") is None


def test_the_only_manager_can_give_up_too(shop, autoscalers):
    shop.apply()
    patch = '--patch={"metadata":{"managedFields":[{}]}}'
    shop.kubectl("patch", HPA, "checkout", "-n", shop.namespace, "--type=merge", patch)
    found = autoscalers.apply(autoscalers.read(shop.namespace, "checkout"), 9, **MARKS)
    ours = tuple(entry for entry in found.managers if entry["manager"] == FIELD_MANAGER)

    released = autoscalers.release(replace(found, managers=ours), **NAMES)

    assert (released.is_held, released.min_replicas) == (False, 9)
    assert FLOOR not in released.annotations


def test_everything_is_released_in_some_namespaces_or_all_without_any_definition_of_ours(
    control_plane, new_namespace, autoscalers, floors
):
    shops = [Shop(control_plane, new_namespace()) for _ in range(3)]
    for one in shops:
        one.apply()
    floors.follow(board(*(one.entry() for one in shops)))
    assert [one.floor for one in shops] == [9, 9, 9]

    report = leading(autoscalers).release_all([shops[0].namespace])
    assert (report.restored, [one.floor for one in shops]) == (1, [2, 9, 9])
    report = leading(autoscalers).release_all()

    assert (report.is_complete, [one.floor for one in shops]) == (True, [2, 2, 2])
    assert [one.marks for one in shops] == [NOTHING] * 3


def test_the_command_gives_back_every_floor_and_ends(shop, floors, control_plane):
    shop.apply()
    floors.follow(board(shop.entry(9)))

    command = [f"--kubeconfig={control_plane.kubeconfig}", f"--namespace={shop.namespace}"]
    done = subprocess.run(
        [Path(sys.executable).with_name("tidecast-operator"), "release-floors", *command], check=False, timeout=60
    )

    assert done.returncode == 0
    assert (shop.floor, shop.marks) == (2, NOTHING)


class TestTheControllerManager:
    @pytest.fixture
    def deployed(self, shop):
        labels = {"app": "checkout"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"namespace": shop.namespace, "name": "checkout"},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
        }
        shop.kubectl("apply", "-f", "-", stdin=json.dumps(body))
        shop.apply()
        return shop

    @pytest.mark.real("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
    def test_scales_up_to_a_raised_floor_though_it_has_no_metrics_and_the_floor_is_given_back(self, deployed, floors):
        assert floors.follow(board(deployed.entry(5))).error is None

        wait_until(lambda: deployed.get("deployments")["spec"]["replicas"] == 5)
        wait_until(lambda: "below Spec.MinReplicas" in deployed.kubectl("get", "events", "-n", deployed.namespace))
        floors.follow(board(deployed.entry(5, withheld="not trusted")))

        assert (deployed.floor, deployed.marks) == (2, NOTHING)


def wait_until(is_so, seconds=60):
    for _ in range(seconds):
        if is_so():
            return
        time.sleep(1)
    raise AssertionError(f"not so after {seconds} s")


RULES = [{"apiGroups": ["autoscaling"], "resources": [HPA], "verbs": ["get", "list", "patch"]}]


def test_to_get_list_and_patch_is_permission_enough_and_without_it_the_report_says_so(shop, control_plane):
    shop.apply()
    role = f"floors-{shop.namespace}"
    where = {"namespace": shop.namespace, "name": "floors"}
    items = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": where},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": RULES,
        },
    ]
    shop.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    path = f"/api/v1/namespaces/{shop.namespace}/serviceaccounts/floors/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = json.loads(shop.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(request)))["status"]["token"]
    configuration = client.Configuration()
    configuration.host = control_plane.url
    configuration.ssl_ca_cert = str(control_plane.ca_file)
    configuration.api_key = {"BearerToken": f"Bearer {token}", "authorization": f"Bearer {token}"}
    door = Autoscalers(configuration)

    denied = leading(door).follow(board(shop.entry()))
    assert isinstance(denied.error, Misconfigured)
    shop.kubectl(
        "create", "clusterrolebinding", role, f"--clusterrole={role}", f"--serviceaccount={shop.namespace}:floors"
    )
    wait_until(lambda: leading(door).follow(board(shop.entry())).error is None)
    assert shop.floor == 9
    leading(door).follow(board())

    assert (shop.floor, shop.marks) == (2, NOTHING)
    shop.kubectl("delete", "clusterrolebinding,clusterrole", role)
    door.close()


def test_the_example_is_taken_by_the_api_server_and_raises_the_floor_that_it_names(shop, floors, control_plane):
    control_plane.kubectl("apply", "--validate=false", "-f", str(MANIFESTS / "crds"))
    kind = "crd/serviceperformanceforecasts.tidecast.dev"
    control_plane.kubectl("wait", "--for=condition=Established", kind)
    example = MANIFESTS / "examples" / "serviceperformanceforecast-floor.yaml"
    plural, name = "serviceperformanceforecasts.tidecast.dev", yaml.safe_load(example.read_text())["metadata"]["name"]

    # Just installed, it may not be known to kubectl's own check yet.
    shop.kubectl("apply", "--validate=false", "--namespace", shop.namespace, "-f", str(example))
    body = json.loads(shop.kubectl("get", plural, name, "--namespace", shop.namespace, "--output=json"))
    resource, scaling = ForecastResource.parse(body), parse(body["spec"]["scaling"])
    shop.apply()
    who = (resource.namespace, resource.name, resource.uid, resource.target)
    floors.follow(board(Entry(*who, scaling, hint(9), expire_time=NOW + 600)))

    assert shop.floor == 9
    floors.follow(board())
    assert shop.floor == 2


def test_a_floor_is_undone_by_hand_as_the_docs_say(shop, floors):
    shop.apply()
    floors.follow(board(shop.entry()))
    lines = [line.strip() for line in (DOCS / "scaling-hpa-floor.md").read_text().splitlines()]
    (patch,) = (line.partition("-p ")[2].strip("'") for line in lines if line.startswith("kubectl patch hpa"))

    shop.kubectl("patch", "hpa", "checkout", "--namespace", shop.namespace, "--type=merge", f"--patch={patch}")

    assert (shop.floor, shop.marks) == (2, NOTHING)
    assert floors.follow(board()).restored == 0
