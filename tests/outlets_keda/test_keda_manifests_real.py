"""
The examples for KEDA on the real API server, which has definitions of KEDA's kinds: it takes them as they are.

Such an API server refuses a wrong type, and drops a field that it does not know: what comes back says so.
"""

import json
from contextlib import suppress
from copy import deepcopy

import pytest
import yaml

from builders import keda_definitions
from builders.documents import ROOT, blocks
from builders.waiting import eventually
from tidecast_simulator.testbed.control_plane import CommandFailed

pytestmark = pytest.mark.real("etcd", "kube-apiserver", "kubectl", "openssl")

KINDS = {one["spec"]["names"]["kind"] for one in keda_definitions.definitions()}
TEXTS = {f"scaling-keda.md-{number}": text for number, text in enumerate(
    blocks((ROOT / "docs" / "scaling-keda.md").read_text(), "yaml"), 1
)} | {path.name: path.read_text() for path in sorted((ROOT / "manifests" / "examples").glob("scaledobject-*.yaml"))}  # fmt: skip
EXAMPLES = {
    name: body for name, text in TEXTS.items() for body in yaml.safe_load_all(text) if body.get("kind") in KINDS
}
EXTERNAL = EXAMPLES["scaledobject-external.yaml"]


@pytest.fixture(scope="module")
def kept(control_plane):
    """What the API server keeps of an object."""
    listed = {"apiVersion": "v1", "kind": "List", "items": keda_definitions.definitions()}
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(listed))
    keda_definitions.wait_until_known(control_plane)

    def keep(body, namespace):
        create = ("create", "-n", namespace, "--validate=false", "--output=json", "-f", "-")
        return json.loads(control_plane.kubectl(*create, stdin=json.dumps(body)))

    def is_served():
        with suppress(CommandFailed):
            return (
                control_plane.kubectl("get", "--all-namespaces", ",".join(keda_definitions.names()), "--output=name")
                == ""
            )

    eventually(is_served, seconds=60)
    yield keep
    control_plane.kubectl("delete", "crd", *keda_definitions.names())


def changed(*path, to):
    """The first example with another value somewhere."""
    body = deepcopy(EXTERNAL)
    *parents, last = path
    place = body["spec"]
    for step in parents:
        place = place[step]
    place[last] = to
    return body


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in EXAMPLES.items()])
def test_an_example_is_kept_as_it_is(kept, namespace, body):
    found = kept(body, namespace)

    assert found["spec"] == body["spec"]
    assert set(found) == {"apiVersion", "kind", "metadata", "spec"}


def test_there_is_one_of_each_that_the_page_tells_of():
    assert [body["kind"] for body in EXAMPLES.values()].count("ScaledObject") == 4
    assert [body["kind"] for body in EXAMPLES.values()].count("TriggerAuthentication") == 1


@pytest.mark.parametrize(
    "path",
    [
        ("minReplicas",),
        ("fallback", "failuresThreshold"),
        ("triggers", 0, "metadatas"),
        ("scaleTargetRef", "namespace"),
    ],
    ids=str,
)
def test_a_field_that_keda_does_not_know_would_be_noticed(kept, namespace, path):
    body = changed(*path, to="x")

    assert kept(body, namespace)["spec"] == EXTERNAL["spec"] != body["spec"]


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("minReplicaCount",), "2"),
        (("fallback", "replicas"), -1),
        (("triggers", 1, "metadata", "value"), 70),
        (("triggers", 1, "metricType"), "Utilisation"),
        (("triggers", 0), {"type": "external"}),
    ],
    ids=str,
)
def test_a_value_of_a_wrong_type_would_be_refused(kept, namespace, path, to):
    with pytest.raises(CommandFailed, match=r"is invalid: spec\."):
        kept(changed(*path, to=to), namespace)
