import runpy
import shutil
import subprocess
import sys

import pytest
import yaml

from builders.documents import ROOT, blocks
from chart.rendering import objects
from tidecast_simulator.testbed import binaries

MANIFESTS = ROOT / "manifests"
SCRIPT = ROOT / "scripts" / "render-manifests.py"
OF_HELM = ("app.kubernetes.io/managed-by", "helm.sh/chart")
BY_HAND = {"tidecast-clean-up": "clean-up.yaml", "tidecast-check": "check.yaml"}


def built(folder):
    command = [binaries.find("kubectl"), "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {key(one): one for one in yaml.safe_load_all(done.stdout)}


def key(one):
    return one["kind"], one["metadata"]["name"]


def without_helm(one):
    """An object of the chart without what says that Helm manages it."""
    metadata = one["metadata"]
    labels = {name: value for name, value in metadata["labels"].items() if name not in OF_HELM}
    annotations = {
        name: value for name, value in metadata.get("annotations", {}).items() if not name.startswith("helm.sh/")
    }
    kept = {name: value for name, value in metadata.items() if name not in ("labels", "annotations")}
    return one | {"metadata": kept | {"labels": labels} | ({"annotations": annotations} if annotations else {})}


def of_the_chart():
    return {key(one): without_helm(one) for one in objects({})}


@pytest.mark.real("kubectl")
def test_kustomize_makes_what_the_chart_renders_and_a_namespace():
    made, expected = built(MANIFESTS), of_the_chart()

    assert made.keys() == {*expected, ("Namespace", "tidecast-system")} - {key(one) for one in of_the_hooks()}
    definitions = [one for one in made if one[0] == "CustomResourceDefinition"]
    assert all(made[one]["spec"] == expected[one]["spec"] for one in definitions)  # the chart labels them
    assert [one for one in expected if one in made and one not in definitions and made[one] != expected[one]] == []


def of_the_hooks():
    return [one for one in objects({}) if "helm.sh/hook" in one["metadata"].get("annotations", {})]


def test_what_helm_runs_at_certain_moments_is_there_to_be_run_by_hand():
    made = {one["metadata"]["name"]: without_helm(one) for one in of_the_hooks()}

    assert made == {name: yaml.safe_load((MANIFESTS / file).read_text()) for name, file in BY_HAND.items()}


def test_the_manifests_are_in_step_with_the_chart():
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("change", ["edited", "missing", "left over"])
def test_manifests_that_are_not_in_step_are_noticed(change, tmp_path, monkeypatch):
    copy = tmp_path / "manifests"
    shutil.copytree(MANIFESTS, copy)
    service = copy / "operator" / "service.yaml"
    if change == "edited":
        service.write_text(service.read_text().replace("8080", "80"))
    elif change == "missing":
        service.unlink()
    else:
        service.rename(service.with_name("old.yaml"))
        shutil.copy(MANIFESTS / "operator" / "service.yaml", service)
    main = runpy.run_path(str(SCRIPT))["main"]
    monkeypatch.setitem(main.__globals__, "ROOT", tmp_path)
    monkeypatch.setitem(main.__globals__, "MANIFESTS", copy)
    monkeypatch.setattr(sys, "argv", ["render-manifests.py", "--check"])

    assert "run scripts/render-manifests.py" in main()


def test_the_namespace_asks_for_the_restricted_standard():
    namespace = yaml.safe_load((MANIFESTS / "namespace.yaml").read_text())

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.real("kubectl")
def test_images_of_ones_own_take_the_place_of_the_charts(tmp_path):
    page = (ROOT / "docs" / "installing.md").read_text()
    (overlay,) = [block for block in blocks(page, "yaml") if "kind: Kustomization" in block]
    (tmp_path / "kustomization.yaml").write_text(overlay)
    shutil.copytree(MANIFESTS, tmp_path / "tidecast" / "manifests")

    found = [one for one in built(tmp_path).values() if one["kind"] == "Deployment"]

    assert {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in found} == {
        "registry.example.com/tidecast/operator:0.1.0",
        "registry.example.com/tidecast/predictor:0.1.0",
    }
