import json
import subprocess
import sys
from functools import cache

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from chart.rendering import CHART, ROOT, cases, lint, named, objects, of_kind, rendered, texts, values_of

NEWEST_THREE = [version.rpartition(".")[0] for version in utils.all_versions()[-3:]]
SERVED = [f"1.{minor}" for minor in (20, 21, 26, 27, 30, 36)]  # first, last, and those around a change
NOT_OF_KUBERNETES = ("cert-manager.io/", "monitoring.coreos.com/", "apiregistration.k8s.io/")
# The schemas of these are for what API servers of that version accept, and a definition holds schemas itself.
DEFINITION = "CustomResourceDefinition"


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once():
    """The library reads megabytes for each object otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


def definitions():
    return sorted((ROOT / "manifests" / "crds").glob("*.yaml"))


@pytest.mark.parametrize("case", cases())
def test_helm_has_nothing_to_say_about_the_chart(case):
    assert lint(values_of(case)) == []


def test_helm_has_nothing_to_say_about_the_defaults():
    assert lint({}) == []


@pytest.mark.parametrize("version", NEWEST_THREE)
@pytest.mark.parametrize("case", cases())
def test_every_object_follows_the_schema_of_the_newest_versions(case, version):
    for one in rendered(case):
        if not one["apiVersion"].startswith(NOT_OF_KUBERNETES):
            kubernetes_validate.validate(one, version, strict=one["kind"] != DEFINITION)


@pytest.mark.parametrize("version", SERVED)
def test_the_chart_asks_for_no_api_that_a_version_does_not_serve(version):
    found = rendered("default", version)
    minor = int(version.partition(".")[2])

    (budget,) = of_kind(found, "PodDisruptionBudget")
    assert budget["apiVersion"] == ("policy/v1" if minor >= 21 else "policy/v1beta1")
    assert ("unhealthyPodEvictionPolicy" in budget["spec"]) == (minor >= 27)
    beta = {one["apiVersion"] for one in found if "beta" in one["apiVersion"] or "alpha" in one["apiVersion"]}
    assert beta <= {"policy/v1beta1"}


def test_a_kubernetes_that_is_too_old_is_refused():
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == ">=1.20.0-0"


@pytest.mark.parametrize("case", cases())
def test_no_two_objects_have_one_name(case):
    keys = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in rendered(case)]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("case", cases())
def test_every_object_bears_the_labels_of_the_release(case):
    extra = {one["metadata"]["name"] for one in objects({"extraObjects": values_of(case).get("extraObjects", [])})}
    for one in rendered(case):
        labels = one["metadata"].get("labels", {})
        if one["metadata"]["name"] not in extra or "extra" not in one["metadata"]["name"]:
            assert labels["app.kubernetes.io/name"] == "tidecast", one["metadata"]["name"]
            assert labels["app.kubernetes.io/instance"] == "tidecast"
            assert labels["app.kubernetes.io/managed-by"] == "Helm"


def test_labels_and_annotations_for_all_are_on_every_object_and_pod():
    for one in rendered("everything"):
        if one["metadata"]["name"] != "tidecast-extra":
            assert one["metadata"]["labels"]["team"] == "platform", one["kind"]
            assert one["metadata"]["annotations"]["example.com/contact"] == "platform", one["kind"]
    pod = named(rendered("everything"), "Deployment", "tidecast-predictor")["spec"]["template"]["metadata"]
    assert pod["labels"]["team"] == "platform"
    assert pod["annotations"]["example.com/contact"] == "platform"


def test_a_chart_of_another_version_does_not_restart_pods():
    pod = named(rendered("default"), "Deployment", "tidecast-predictor")["spec"]["template"]["metadata"]

    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(pod["labels"])


def test_what_the_chart_repeats_is_in_step():
    command = [sys.executable, ROOT / "scripts" / "sync-chart.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", definitions(), ids=lambda path: path.name)
def test_a_definition_is_what_manifests_say_but_for_labels_and_annotations(path):
    source = yaml.safe_load(path.read_text())
    made = named(rendered("default"), "CustomResourceDefinition", source["metadata"]["name"])

    assert made["spec"] == source["spec"]
    assert "annotations" not in made["metadata"]
    assert "namespace" not in made["metadata"]


def left_out(value, keys):
    """A definition without these keys, wherever they are."""
    if isinstance(value, dict):
        return {key: left_out(one, keys) for key, one in value.items() if key not in keys}
    return [left_out(one, keys) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", definitions(), ids=lambda path: path.name)
@pytest.mark.parametrize(
    ("version", "unknown"),
    [("1.20", {"x-kubernetes-validations", "selectableFields"}), ("1.27", {"selectableFields"}), ("1.30", set())],
)
def test_an_older_api_server_gets_a_definition_that_it_understands(path, version, unknown):
    source = yaml.safe_load(path.read_text())
    made = named(rendered("default", version), "CustomResourceDefinition", source["metadata"]["name"])

    assert made["spec"] == left_out(source["spec"], unknown)


def test_definitions_stay_after_an_uninstall_only_if_that_is_asked_for():
    kept = of_kind(rendered("everything"), "CustomResourceDefinition")

    assert len(kept) == len(definitions())
    for one in kept:
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] == "ServerSideApply=true"
    assert not of_kind(rendered("namespaced"), "CustomResourceDefinition")


def test_nothing_but_what_was_asked_for_stays_after_an_uninstall():
    kept = [one for one in rendered("default") if "helm.sh/resource-policy" in one["metadata"].get("annotations", {})]

    assert kept == []


def test_no_autoscaler_and_no_resource_of_tidecasts_own_is_in_the_release():
    for case in cases():
        groups = {one["apiVersion"].partition("/")[0] for one in rendered(case)}
        assert not groups & {"autoscaling", "tidecast.dev", "keda.sh"}


def test_a_template_holds_one_kind():
    for name, text in texts(values_of("everything")).items():
        if name.endswith(".yaml") and name != "extra-objects.yaml":
            kinds = {one["kind"] for one in yaml.safe_load_all(text) if one}
            assert len(kinds) <= 1, name


def test_the_images_that_are_announced_are_those_that_are_taken():
    announced = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]["artifacthub.io/images"]
    images = {one["image"] for one in yaml.safe_load(announced)}
    taken = {
        container["image"]
        for case in ("default", "gpu")
        for deployment in of_kind(rendered(case), "Deployment")
        for container in deployment["spec"]["template"]["spec"]["containers"]
    }

    assert images == taken


def test_the_definitions_that_are_announced_are_those_that_are_brought():
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    announced = {one["name"] for one in yaml.safe_load(annotations["artifacthub.io/crds"])}

    assert announced == {yaml.safe_load(path.read_text())["metadata"]["name"] for path in definitions()}


def test_the_chart_says_the_version_of_the_project():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (version,) = [
        line.partition('"')[2].rstrip('"')
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.startswith("version = ")
    ]

    assert chart["appVersion"] == version


def test_further_objects_are_filled_in():
    assert named(rendered("everything"), "ConfigMap", "tidecast-extra")["data"] == {"of": "tidecast"}


def test_the_schema_of_values_is_one_that_tools_understand():
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert schema["$schema"].startswith("http://json-schema.org/draft-07")
