import pytest

from chart.rendering import NAMESPACE, cases, of_kind, rendered, values_of
from chart_real import foreign_kinds
from chart_real.inventory import difference
from chart_real.releasing import Release
from chart_real.shop import at_last
from tidecast_simulator.testbed import binaries

pytestmark = [pytest.mark.real(*binaries.ALL), pytest.mark.timeout(600)]

KEPT = {
    "everything": {
        ("apiservices.apiregistration.k8s.io", "", "v1alpha1.tidecast.dev"),
        ("customresourcedefinitions.apiextensions.k8s.io", "", "forecasters.tidecast.dev"),
        ("customresourcedefinitions.apiextensions.k8s.io", "", "serviceperformanceforecasts.tidecast.dev"),
        ("persistentvolumeclaims", NAMESPACE, "tidecast-predictor"),
    }
}


@pytest.fixture(scope="module")
def before(plane, inventory):
    """All that there was before the releases, and in it what the files of values expect of others."""
    foreign_kinds.install(plane)
    for name in ("shop", "warehouse"):
        plane.kubectl("create", "namespace", name)
    return inventory.take_at_rest()


@pytest.fixture
def kept(plane, case):
    """What a file of values asks to be kept; dropped after the test."""
    kept = KEPT.get(case, set())
    yield kept
    for kind, namespace, name in kept:
        if not kind.startswith("apiservices"):  # that one goes with its definitions
            where = [f"--namespace={namespace}"] if namespace else []
            plane.kubectl("delete", "--ignore-not-found", kind, name, *where)


@pytest.fixture
def release(plane, case):
    # Kubernetes 1.20 fails at applying an APIService.
    release = Release(plane, waits=False, applies=not of_kind(rendered(case), "APIService"))
    yield release
    release.discard()


def label(inventory):
    """That an object of every release has since it was changed."""
    return inventory.take()["services", NAMESPACE, "tidecast-predictor"]["metadata"]["labels"].get("changed")


@pytest.mark.parametrize("case", cases())
def test_a_release_comes_changes_goes_back_and_goes(case, before, kept, release, inventory):
    values = values_of(case)

    release.install(values)
    new = {name for (_, _, name), how in difference(before, inventory.take()).items() if how == "new"}
    for one in rendered(case):
        if "helm.sh/hook" not in (one["metadata"].get("annotations") or {}):
            assert one["metadata"]["name"] in new
    release.upgrade({**values, "commonLabels": {"changed": "true"}})
    assert label(inventory) == "true"
    release.rollback()
    assert label(inventory) is None
    assert release.history == ["superseded", "superseded", "deployed"]
    release.uninstall()

    assert release.history == []
    expected = dict.fromkeys(kept, "new")
    assert at_last(lambda: difference(before | expected, inventory.take() | expected)) == {}
    assert expected.items() <= difference(before, inventory.take()).items()
