import copy

import pytest

from chart.pod_security import violations
from chart.rendering import (
    cases,
    container,
    containers,
    named,
    objects,
    of_kind,
    pods,
    rendered,
)

HELM_SECONDS = 300
"""How long Helm waits for a hook unless it is told otherwise."""


@pytest.mark.parametrize("case", cases())
def test_every_pod_keeps_to_the_restricted_standard(case):
    for name, pod in pods(rendered(case)).items():
        assert list(violations(pod["spec"])) == [], name


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda spec: spec.update(hostNetwork=True), "hostNetwork is shared"),
        (lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "volume x is a hostPath"),
        (lambda spec: spec["securityContext"].pop("runAsNonRoot"), "operator: may run as root"),
        (lambda spec: spec["securityContext"].update(runAsUser=0), "operator: runs as root"),
        (lambda spec: spec["securityContext"].pop("seccompProfile"), "operator: has no seccomp profile"),
        (lambda spec: spec["containers"][0]["securityContext"].update(privileged=True), "operator: is privileged"),
        (
            lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
            "operator: may gain privileges",
        ),
        (lambda spec: spec["containers"][0]["securityContext"].pop("capabilities"), "operator: keeps capabilities"),
        (
            lambda spec: spec["containers"][0]["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
            "operator: adds capabilities",
        ),
        (lambda spec: spec["containers"][0]["ports"][0].update(hostPort=1), "operator: takes a port of the host"),
    ],
)
def test_a_pod_that_leaves_the_standard_is_noticed(change, problem):
    spec = copy.deepcopy(pods(rendered("default"))["tidecast-operator"]["spec"])
    change(spec)

    assert list(violations(spec)) == [problem]


@pytest.mark.parametrize("case", cases())
def test_every_container_is_bounded_and_cannot_write_to_its_image(case):
    for name, one in containers(rendered(case)).items():
        for bound in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(one["resources"][bound]), name
            # A number would do for most servers; old ones cannot apply it on their side.
            assert all(isinstance(amount, str) for amount in one["resources"][bound].values()), name
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"mountPath": "/tmp", "name": one["volumeMounts"][0]["name"]} == one["volumeMounts"][0]  # noqa: S108


@pytest.mark.parametrize("case", cases())
def test_every_pod_runs_as_a_user_above_those_of_nodes(case):
    for name, pod in pods(rendered(case)).items():
        context = pod["spec"]["securityContext"]
        assert min(context["runAsUser"], context["runAsGroup"], context["fsGroup"]) > 10000, name


def test_a_platform_that_chooses_users_itself_can_do_so():
    free = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    found = objects({"operator": free, "predictor": free})

    for pod in pods(found).values():
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod["spec"]["securityContext"])
        assert list(violations(pod["spec"])) == []


@pytest.mark.parametrize("case", cases())
def test_every_image_has_a_version(case):
    for name, one in containers(rendered(case)).items():
        tag = one["image"].partition("@")[0].rpartition(":")[2]
        assert tag, name
        assert tag != "latest", name
        assert one["imagePullPolicy"] == "IfNotPresent"


def test_a_digest_and_a_registry_of_ones_own_are_taken():
    image = {"repository": "mirror/operator", "tag": "1.2", "digest": f"sha256:{'0' * 64}"}
    found = objects({"global": {"imageRegistry": "registry.local:5000"}, "operator": {"image": image}})

    assert container(found, "tidecast-operator/operator")["image"] == (
        f"registry.local:5000/mirror/operator:1.2@sha256:{'0' * 64}"
    )
    assert container(found, "tidecast-predictor/predictor")["image"].startswith("registry.local:5000/tidecast/")


@pytest.mark.parametrize("case", cases())
def test_every_port_says_its_protocol(case):
    # Helm applies on the server's side, and old servers merge ports by protocol without knowing its default.
    found = rendered(case)
    ports = [port for one in containers(found).values() for port in one.get("ports", ())]
    ports += [port for one in of_kind(found, "Service") for port in one["spec"]["ports"]]

    assert ports
    assert {port.get("protocol") for port in ports} == {"TCP"}


@pytest.mark.parametrize("case", cases())
def test_what_runs_for_long_is_probed_where_it_listens(case):
    for name, one in containers(rendered(case)).items():
        ports = {port["name"] for port in one.get("ports", ())}
        if not ports:
            continue  # a command that ends
        assert one["livenessProbe"]["httpGet"]["path"] == "/healthz", name
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert one.get(probe, {"httpGet": {"port": next(iter(ports))}})["httpGet"]["port"] in ports, name
        if name != "tidecast-operator/predictor":
            assert one["readinessProbe"]["httpGet"]["path"] == "/readyz", name


def test_a_predictor_in_the_operators_pod_does_not_decide_whether_the_operator_is_ready():
    assert "readinessProbe" not in container(rendered("sidecar"), "tidecast-operator/predictor")


@pytest.mark.parametrize("case", cases())
def test_only_those_who_ask_the_api_server_have_a_token(case):
    for name, pod in pods(rendered(case)).items():
        is_asking = "predictor" not in name
        projected = any("projected" in volume for volume in pod["spec"]["volumes"])
        assert (pod["spec"]["automountServiceAccountToken"] or projected) == is_asking, name
    for account in of_kind(rendered(case), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_a_predictor_in_the_operators_pod_has_no_token():
    spec = pods(rendered("sidecar"))["tidecast-operator"]["spec"]
    (volume,) = [one["name"] for one in spec["volumes"] if "projected" in one]
    mounts = {one["name"]: {mount["name"] for mount in one["volumeMounts"]} for one in spec["containers"]}

    assert spec["automountServiceAccountToken"] is False
    assert volume in mounts["operator"]
    assert volume not in mounts["predictor"]


def test_operators_are_spread_over_nodes():
    pod = pods(rendered("default"))["tidecast-operator"]
    (constraint,) = pod["spec"]["topologySpreadConstraints"]

    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_a_selector_of_ones_own_is_kept():
    mine = {
        "maxSkew": 2,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"a": "b"}},
    }
    spec = pods(objects({"operator": {"topologySpreadConstraints": [mine]}}))["tidecast-operator"]["spec"]

    assert spec["topologySpreadConstraints"] == [mine]


def test_an_upgrade_never_takes_the_last_operator_that_answers():
    strategy = named(rendered("default"), "Deployment", "tidecast-operator")["spec"]["strategy"]

    assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_what_shapes_a_pod_reaches_it():
    found = rendered("everything")
    spec = pods(found)["tidecast-operator"]["spec"]
    operator = container(found, "tidecast-operator/operator")

    assert spec["priorityClassName"] == "system-cluster-critical"
    assert spec["runtimeClassName"] == "gvisor"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["tolerations"][0]["key"] == "dedicated"
    assert "podAntiAffinity" in spec["affinity"]
    assert {"name": "scratch", "emptyDir": {}} in spec["volumes"]
    assert {"name": "scratch", "mountPath": "/scratch"} in operator["volumeMounts"]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in operator["env"]
    assert operator["args"][-1] == "--log-level=INFO"
    metadata = pods(found)["tidecast-operator"]["metadata"]
    assert metadata["annotations"]["sidecar.istio.io/inject"] == "false"
    assert metadata["labels"]["zone"] == "trusted"


def test_secrets_for_images_are_named_once():
    values = {"global": {"imagePullSecrets": [{"name": "a"}]}, "imagePullSecrets": [{"name": "a"}, {"name": "b"}]}

    for pod in pods(objects(values)).values():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_commands_that_run_once_end_and_are_taken_away():
    found = rendered("default")
    job, pod = named(found, "Job", "tidecast-clean-up"), named(found, "Pod", "tidecast-check")

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert job["spec"]["ttlSecondsAfterFinished"] > 0
    assert 0 < job["spec"]["activeDeadlineSeconds"] < HELM_SECONDS  # so that Helm hears that it failed
    for one in (job, pod):
        policy = one["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert set(policy.split(",")) == {"before-hook-creation", "hook-succeeded"}
