import asyncio

import pytest

from chart.rendering import NAMESPACE
from chart_real.installed import Written
from tidecast_contract.rpc.tls import TlsFiles
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.predictor_client import PredictorClient
from tidecast_simulator.testbed import binaries

pytestmark = [pytest.mark.real(*binaries.ALL), pytest.mark.timeout(900)]

SERVICE = "mesh-1/service-1"


@pytest.fixture(scope="module")
def written(shop):
    """What the operator writes from before the release on."""
    return Written(shop)


@pytest.fixture(scope="module")
def here(not_installed, written):
    """A release with default values; with it begins what is looked at."""
    assert written.writes() == []
    not_installed.release.install(not_installed.shop.values())
    return not_installed


def asked(address, tls):
    """The kind of model that the predictor tells of."""

    async def ask():
        client = PredictorClient(address, timeout_seconds=30, tls=tls)
        try:
            return (await client.status()).model.kind.value
        finally:
            await client.close()

    return asyncio.run(ask())


def test_installing_returns_when_everything_is_ready(here):
    assert here.release.history == ["deployed"]
    assert (here.ready("tidecast-operator"), here.ready("tidecast-predictor")) == (2, 1)
    assert here.holder() in here.pods("operator")


def test_every_service_that_is_called_gets_a_forecast(here):
    here.shop.wait_for(lambda: here.shop.fresh() == {"mesh-0", "mesh-1", "mesh-2"})

    # A namespace is fresh with its first one; the others are written in the same cycle, one after the other.
    assert here.shop.wait_for(lambda: len(here.shop.forecasts()) == 9)


def test_forecasts_are_written_by_the_account_of_the_chart_which_is_refused_nothing(here, written):
    here.shop.wait_for(lambda: len(here.shop.forecasts()) == 9)

    names = {write.name for write in written.writes("serviceperformanceforecasts/status") if write.is_done}
    assert names == set(here.shop.forecasts())
    assert written.refused() == []
    assert here.complaints() == []


def test_the_predictor_answers_the_operators_certificate_and_nobody_without_one(here):
    address = here.node.service_address(NAMESPACE, "tidecast-predictor", 8500)
    folder = here.node.folder(NAMESPACE, here.pods("operator")[0], "tls")

    assert asked(address, TlsFiles.in_folder(folder)) == "LastValue"
    with pytest.raises(PredictorUnavailable):
        asked(address, None)


def test_helm_test_finds_all_of_it_at_work(here):
    here.release.test()

    told = here.told("tidecast-check").splitlines()
    good = [line.partition(":")[0].removeprefix("ok    ") for line in told if line.startswith("ok ")]
    assert good == ["API server", "definitions", "operator", "Forecaster default", "Prometheus", "predictor"]
    assert not [line for line in told if line.startswith("FAIL")]


@pytest.mark.timeout(500)
def test_an_uninstall_gives_floors_back_and_leaves_nothing_also_when_the_operator_is_gone(here):
    original = here.shop.floor(SERVICE)
    here.shop.wait_for(lambda: here.shop.has_band(SERVICE), seconds=240)
    here.remove_operator()
    here.shop.let_a_floor_be_raised(SERVICE)
    here.release.upgrade(here.shop.values(hpaFloors={"enabled": True}))
    here.shop.wait_for(lambda: here.shop.floor(SERVICE) > original)
    here.remove_operator()
    assert here.shop.floor(SERVICE) > original

    here.release.uninstall()

    assert here.shop.floor(SERVICE) == original
    assert here.left() == {}
    assert here.release.history == []
