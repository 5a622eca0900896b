import re
import shutil

import pytest

from chart.rendering import CHART
from chart_real.installed import WHERE, Written
from chart_real.releasing import Release
from chart_real.watching import Watching
from tidecast_simulator.testbed import binaries

pytestmark = [pytest.mark.real(*binaries.ALL), pytest.mark.timeout(900)]

LISTED = ["mesh-0", "mesh-1"]
SERVICE = "mesh-1/service-1"
OLD = "0.0.9"
FLOORS = "horizontalpodautoscalers"


@pytest.fixture(scope="module")
def old_chart(tmp_path_factory):
    """The chart as it was one version earlier: with other images, whose programs are the same here."""
    folder = shutil.copytree(CHART, tmp_path_factory.mktemp("old") / "tidecast")
    text = (folder / "Chart.yaml").read_text()
    (folder / "Chart.yaml").write_text(re.sub(r"^(version|appVersion): .*", rf"\1: {OLD}", text, flags=re.MULTILINE))
    return folder


@pytest.fixture(scope="module")
def values(shop):
    keeps = {"persistence": {"enabled": True}}
    return shop.values(namespaces=LISTED, hpaFloors={"enabled": True}, predictor=keeps)


@pytest.fixture(scope="module")
def here(not_installed, old_chart, values):
    """A release of the old version, for two of three namespaces."""
    not_installed.release.install(values, chart=old_chart)
    not_installed.shop.wait_for(lambda: not_installed.shop.fresh() == set(LISTED))
    return not_installed


@pytest.fixture(scope="module")
def raised(here):
    """How high a floor was raised by the operator."""
    original = here.shop.floor(SERVICE)
    here.scale_operator(0)
    here.shop.let_a_floor_be_raised(SERVICE)
    here.scale_operator(2)
    # Alone, without what other tests left in Prometheus, last value has no band for minutes.
    here.shop.wait_for(lambda: here.shop.floor(SERVICE) > original, seconds=400)
    return here.shop.floor(SERVICE)


def tags(here):
    """Of the images of all pods that are not about to end."""
    found = here.shop.objects("pods", WHERE)
    images = [one["spec"]["containers"][0]["image"] for one in found if "deletionTimestamp" not in one["metadata"]]
    return {image.rpartition(":")[2] for image in images}


def newer(before, after):
    """Whether all forecasts were issued anew."""
    return all(after[name]["status"]["issuedTime"] > one["status"]["issuedTime"] for name, one in before.items())


def test_forecasts_are_written_where_the_roles_are_and_nowhere_else(here):
    found = here.shop.objects("serviceperformanceforecasts", "--all-namespaces")

    assert {one["metadata"]["namespace"] for one in found} == set(LISTED)
    assert len(here.shop.forecasts()) == 6
    assert not here.shop.objects("forecasters")


def test_no_role_of_the_cluster_belongs_to_it(here):
    for kind in ("clusterroles", "clusterrolebindings"):
        assert not [one for one in here.shop.objects(kind) if "tidecast" in one["metadata"]["name"]]


def test_helm_test_finds_all_of_it_at_work(here):
    here.release.test()

    told = here.told("tidecast-check")
    assert "FAIL" not in told
    for name in LISTED:
        assert f"ok    namespace {name}: all is permitted" in told


@pytest.mark.parametrize("way", ["upgrade", "rollback"])
def test_neither_a_forecast_nor_a_raised_floor_is_lost_by(way, here, raised, values):
    before, written = here.shop.forecasts(), Written(here.shop)

    with Watching(here.shop, {SERVICE: raised}) as watching:
        if way == "upgrade":
            here.release.upgrade(values)
        else:
            here.release.rollback()
        here.shop.wait_for(lambda: newer(before, here.shop.forecasts()))

    assert watching.looks > 5
    assert watching.problems == []
    assert tags(here) == ({"0.1.0"} if way == "upgrade" else {OLD})
    assert written.writes(FLOORS) == []
    assert written.refused() == []
    assert here.complaints() == []


def test_an_uninstall_gives_floors_back_for_good_while_the_operator_runs(here, raised):
    written = Written(here.shop)

    here.release.uninstall()

    assert here.shop.floor(SERVICE) < raised
    assert here.left() == {}
    assert [write.code for write in written.writes(FLOORS)] == [200, 200], "given back by two, never raised again"


def test_a_release_that_comes_right_after_another_leads_at_once(here, values, plane):
    Release(plane, waits=False).install(values)

    assert here.shop.wait_for(here.holder) in here.pods("operator")
