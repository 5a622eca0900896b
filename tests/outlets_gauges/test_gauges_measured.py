"""
What is told of measurements: the newest step of the services whose forecasts are told.
"""

import numpy as np
import pytest

from builders.gauges import EXPIRE, STEP, Clock, facts, forecast, measured, named, scraped, services
from builders.hints import NOW
from tidecast_contract.features import FEATURES, READY_REPLICAS
from tidecast_contract.services import ServiceId
from tidecast_operator.outlets.gauges.families import MEASURED
from tidecast_operator.outlets.gauges.gauges import Gauges

REQUESTS = "tidecast_measured_requests_per_second"
TOO_OLD = NOW + 5 * STEP


def told(found):
    return {name for name, family in MEASURED.items() if named(found, family.name)}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_the_newest_step_of_a_service_is_told(feature):
    found = named(scraped(facts()), MEASURED[feature.name].name)

    place = FEATURES.index(feature)
    assert found == {("Deployment", "shop", f"service-{row}"): 100 * row + place for row in range(2)}


def test_a_service_is_found_by_its_name_and_not_by_its_place():
    first, second = services(2)
    found = scraped(facts(forecast=forecast((second, first)), measured=measured((first, second))))

    assert named(found, "tidecast_measured_cpu_cores")["Deployment", "shop", "service-1"] == 104


def test_what_was_not_measured_in_the_newest_step_is_absent():
    window = measured()
    window.values[-1, 0] = np.nan
    found = scraped(facts(measured=window))

    assert set(named(found, REQUESTS)) == {("Deployment", "shop", "service-1")}


def test_a_service_that_is_not_in_the_window_is_absent():
    found = scraped(facts(measured=measured((ServiceId("shop", "Deployment", "service-0"),))))

    assert set(named(found, REQUESTS)) == {("Deployment", "shop", "service-0")}


def test_only_services_whose_forecasts_are_told_are():
    found = scraped(facts(forecast=forecast(loads=[1, 9])), services_limit=1)

    assert set(named(found, REQUESTS)) == {("Deployment", "shop", "service-1")}


def test_only_metrics_that_are_published_are_told_and_replicas():
    assert told(scraped(facts(metrics=("CPU",)))) == {"CPU", READY_REPLICAS.name}


def test_until_it_is_too_old_the_newest_step_is_told():
    assert told(scraped(facts(), clock=Clock(TOO_OLD - 0.001)))


def test_from_then_on_it_is_absent_though_the_forecast_holds():
    clock = Clock()
    gauges = Gauges(clock=clock)
    gauges.show(facts())
    assert b"tidecast_measured_" in gauges.exposition()

    clock.now = TOO_OLD
    assert clock.now < EXPIRE
    assert b"tidecast_measured_" not in gauges.exposition()
    assert b"tidecast_forecast_requests" in gauges.exposition()


def test_a_cycle_without_measurements_leaves_those_of_before_until_they_are_too_old():
    silent = facts(measured=None, forecast=None, expire_time=0)

    assert told(scraped(facts(), silent, clock=Clock(TOO_OLD - 1)))
    assert not told(scraped(facts(), silent, clock=Clock(TOO_OLD)))


def test_without_any_nothing_is_told():
    assert not told(scraped(facts(measured=None)))
