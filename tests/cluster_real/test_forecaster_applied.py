"""
A Forecaster that comes from a file, on the real API server: with the exact permissions, and no others.
"""

import json
from contextlib import closing

import pytest

from builders.operating import forecaster_spec
from builders.service_accounts import kubeconfig_of
from tidecast_operator.api_answers import Outcome
from tidecast_operator.cluster import load_configuration
from tidecast_operator.errors import Misconfigured
from tidecast_operator.file_following import Applying
from tidecast_operator.forecaster_file import Manifest
from tidecast_operator.forecasters import Forecasters, is_from_file
from tidecast_simulator.testbed.control_plane import CommandFailed

pytestmark = pytest.mark.real

BODY = Manifest({"team": "platform"}, {}, forecaster_spec()).to_body({"app.kubernetes.io/managed-by": "tidecast-file"})
RULES = [
    {"apiGroups": ["tidecast.dev"], "resources": ["forecasters"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["tidecast.dev"],
        "resources": ["forecasters"],
        "resourceNames": ["default"],
        "verbs": ["create", "patch", "delete"],
    },
]
ROLES = "rbac.authorization.k8s.io"


@pytest.fixture
def forecasters(definitions, apply, namespace, tmp_path):
    """The door, with the rights that the operator has when it follows a file."""
    subject = {"kind": "ServiceAccount", "name": "filer", "namespace": namespace}
    kinds = {"apiVersion": f"{ROLES}/v1", "metadata": {"name": namespace}}
    apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "filer", "namespace": namespace}},
        kinds | {"kind": "ClusterRole", "rules": RULES},
        kinds
        | {
            "kind": "ClusterRoleBinding",
            "subjects": [subject],
            "roleRef": {"apiGroup": ROLES, "kind": "ClusterRole", "name": namespace},
        },
    )
    definitions.kubectl("delete", "forecasters.tidecast.dev", "--all")
    with closing(Forecasters(load_configuration(kubeconfig_of(definitions, namespace, "filer", tmp_path)))) as door:
        yield door
    definitions.kubectl("delete", "forecasters.tidecast.dev", "--all")
    definitions.kubectl("delete", "clusterrole,clusterrolebinding", namespace)


def test_a_forecaster_is_made_changed_and_deleted(forecasters):
    assert forecasters.find() is None
    assert forecasters.apply(BODY) is Outcome.DONE
    first = forecasters.find()
    assert is_from_file(first)
    assert first["spec"]["prometheus"]["url"] == BODY["spec"]["prometheus"]["url"]
    assert first["metadata"]["labels"]["team"] == "platform"

    assert forecasters.apply(BODY) is Outcome.DONE
    assert forecasters.find()["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"], "nothing changed"
    assert forecasters.apply(BODY | {"spec": forecaster_spec(stepSeconds=30)}) is Outcome.DONE
    assert forecasters.find()["spec"]["stepSeconds"] == 30

    assert forecasters.delete("another") is Outcome.CONFLICT
    assert forecasters.delete(first["metadata"]["uid"]) is Outcome.DONE
    assert forecasters.find() is None
    assert forecasters.delete(first["metadata"]["uid"]) is Outcome.GONE


def test_what_a_user_wrote_gives_way_and_what_the_file_drops_is_gone(forecasters, apply, get):
    apply(
        {
            "apiVersion": "tidecast.dev/v1alpha1",
            "kind": "Forecaster",
            "metadata": {"name": "default"},
            "spec": forecaster_spec(stepSeconds=30),
        }
    )
    assert not is_from_file(forecasters.find())

    assert forecasters.apply(BODY | {"spec": forecaster_spec(stepSeconds=45, horizonSteps=9)}) is Outcome.DONE
    assert forecasters.find()["spec"]["stepSeconds"] == 45
    forecasters.apply(BODY | {"spec": {k: v for k, v in forecaster_spec().items() if k != "horizonSteps"}})

    entries = get("fcst", "default", "--show-managed-fields")["metadata"]["managedFields"]
    assert "tidecast-file" in {entry["manager"] for entry in entries}
    assert forecasters.find()["spec"].get("horizonSteps") != 9


@pytest.mark.parametrize("steps", ["soon", 1, [1]])
async def test_a_spec_that_the_schema_refuses_is_told_with_the_file_and_the_field(forecasters, tmp_path, steps):
    forecasters.apply(BODY)
    applying = Applying(tmp_path / "forecaster.yaml", forecasters)

    with pytest.raises(Misconfigured, match=r"forecaster\.yaml.*stepSeconds.*correct the file"):
        await applying.take(Manifest({}, {}, forecaster_spec(stepSeconds=steps)))
    assert forecasters.find()["spec"].get("stepSeconds") not in ("soon", 1, [1])


@pytest.mark.usefixtures("forecasters")
def test_no_other_forecaster_may_be_written(definitions, namespace, tmp_path):
    kubeconfig = kubeconfig_of(definitions, namespace, "filer", tmp_path)
    flags = (f"--kubeconfig={kubeconfig}", "--server-side", "--validate=false", "-f", "-")
    other = json.dumps(BODY | {"metadata": {"name": "other"}})

    with pytest.raises(CommandFailed, match=r"(?i)forbidden"):
        definitions.kubectl("apply", *flags, stdin=other)
