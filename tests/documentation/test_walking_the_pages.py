import json

import pytest
import yaml

from builders.documents import ROOT, blocks, documents
from documentation.walk import NOT_HERE, Walk
from tidecast_simulator.testbed.control_plane import ControlPlane

pytestmark = pytest.mark.real

DEFINITIONS = {"forecasters.tidecast.dev", "serviceperformanceforecasts.tidecast.dev"}
OF_OTHERS = {"keda.sh", "monitoring.coreos.com"}  # their definitions are not here


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    """One of its own: the pages take definitions away."""
    with ControlPlane.start(tmp_path_factory.mktemp("walk")) as started:
        yield started


@pytest.fixture
def fresh(plane):
    """The same, as it was at its start when the test has ended."""
    yield plane
    plane.kubectl("delete", "namespace", "--ignore-not-found", "tidecast-system", "shop", timeout_seconds=120)
    plane.kubectl("delete", "crd", "--ignore-not-found", *DEFINITIONS)


@pytest.fixture
def walked(fresh, monkeypatch):
    """Walks through a page."""
    monkeypatch.chdir(ROOT)
    begun = []

    def walk(name):
        begun.append(Walk(fresh, (ROOT / "docs" / name).read_text()))
        begun[0].run()
        return begun[0]

    yield walk
    begun[0].close()


def left(walk):
    """The definitions and cluster roles of Tidecast's own that are in the cluster."""
    definitions = {one["metadata"]["name"] for one in walk.objects("crd")}
    roles = {one["metadata"]["name"] for one in walk.objects("clusterroles")}
    return definitions & DEFINITIONS | {one for one in roles if one.startswith("tidecast")}


def test_the_quick_start_can_be_walked_and_leaves_nothing(walked):
    walk = walked("quick-start.md")

    assert len(walk.done) >= 12
    assert any(line.startswith("helm install tidecast charts/tidecast") for line in walk.done)
    assert any('"mode":"Preview"' in line for line in walk.done)
    assert left(walk) == set()


def test_installing_can_be_walked_with_helm_and_without_and_leaves_nothing(walked):
    walk = walked("installing.md")

    commands = {" ".join(line.split()[:2]) for line in walk.done}
    assert {"helm install", "helm upgrade", "helm rollback", "helm uninstall", "kubectl apply"} <= commands
    assert {"kubectl create", "kubectl delete"} <= commands
    assert left(walk) == set()


def test_a_namespace_can_be_labelled_as_the_page_on_security_says(walked, fresh):
    fresh.kubectl("create", "namespace", "tidecast-system")

    walk = walked("security.md")

    assert [line.split()[1] for line in walk.done] == ["label"]


def manifests():
    """Every whole object in a document, by its place."""
    for path in documents():
        bodies = [body for block in blocks(path.read_text(), "yaml") for body in yaml.safe_load_all(block)]
        for body in bodies:
            if isinstance(body, dict) and "kind" in body and "name" in body.get("metadata", {}):
                yield path.name, body


def test_every_manifest_in_the_documents_is_one_that_the_api_server_takes(fresh):
    found = [(name, body) for name, body in manifests() if body["apiVersion"].partition("/")[0] not in OF_OTHERS]
    fresh.kubectl("apply", "--validate=false", "-f", str(ROOT / "manifests" / "crds"))
    fresh.kubectl("wait", "--for=condition=Established", "crd", *sorted(DEFINITIONS))
    fresh.kubectl("create", "namespace", "shop")
    fresh.kubectl("create", "namespace", "tidecast-system")

    items = {"apiVersion": "v1", "kind": "List", "items": [body for _, body in found]}
    answer = fresh.kubectl("apply", "--dry-run=server", "--validate=false", "-f", "-", stdin=json.dumps(items))

    assert {name for name, _ in found} == {"hints.md", "running.md", "scaling-hpa-floor.md", "telemetry.md"}
    assert len(answer.splitlines()) == len(found)


def test_what_is_left_out_is_on_a_page():
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("quick-start.md", "installing.md"))

    assert [beginning for beginning in NOT_HERE if beginning not in pages] == []
