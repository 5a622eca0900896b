"""
What is told of services: what is forecast, and what came of past forecasts.
"""

from dataclasses import replace

import numpy as np
import pytest

from builders.gauges import ALL, EXPIRE, STEP, Clock, facts, forecast, named, scraped, services, skills
from builders.hints import NOW
from tidecast_contract.features import FORECAST_FEATURES, MEMORY
from tidecast_contract.services import ServiceId
from tidecast_operator.outlets.gauges.families import FORECASTS
from tidecast_operator.outlets.gauges.gauges import Gauges

REQUESTS = "tidecast_forecast_requests_per_second"
PAST = {
    "tidecast_forecast_skill_ratio": 0.25,
    "tidecast_forecast_error": 1.5,
    "tidecast_forecast_naive_error": 2.0,
    "tidecast_forecast_bias": -0.25,
    "tidecast_forecast_coverage_ratio": 0.8,
    "tidecast_forecast_samples": 40.0,
}
STEPS = "tidecast_forecast_step_seconds"
ISSUED, EXPIRES = "tidecast_forecast_issued_timestamp_seconds", "tidecast_forecast_expire_timestamp_seconds"


def hollow(**holes):
    """A forecast with NaN in places: feature by name to what is not known of it."""
    changed = forecast()
    values = changed.values.copy()
    for name, hole in holes.items():
        values[(slice(None), [one.name for one in FORECAST_FEATURES].index(name), *hole)] = np.nan
    return replace(changed, values=values)


@pytest.mark.parametrize("feature", FORECAST_FEATURES, ids=lambda feature: feature.name)
@pytest.mark.parametrize("row", [0, 1])
def test_a_forecast_is_told_by_service_quantile_and_offset(feature, row):
    found = named(scraped(facts()), FORECASTS[feature.name].name)

    # Labels come in the order of their names: kind, namespace, offset_seconds, quantile, service.
    assert len(found) == 2 * 2 * 3
    for step in (5, 30):
        for quantile in (0.1, 0.5, 0.9):
            key = ("Deployment", "shop", str(step * STEP), f"{quantile:g}", f"service-{row}")
            wanted = 1000 * row + 100 * FORECAST_FEATURES.index(feature) + step + quantile
            assert found[key] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("horizon", "step", "told"),
    [
        pytest.param(30, 60, {300, 1800}, id="both"),
        pytest.param(29, 60, {300}, id="only the near one"),
        pytest.param(4, 60, {60}, id="neither"),
        pytest.param(30, 200, {400, 1800}, id="rounded to steps"),
        pytest.param(5, 900, {900, 1800}, id="a step longer than the near one"),
        pytest.param(5, 3600, {3600}, id="a step longer than both"),
    ],
)
def test_the_offset_is_the_true_one(horizon, step, told):
    found = scraped(facts(forecast=forecast(horizon=horizon, step=step), skills=None))

    assert {int(key[2]) for key in named(found, REQUESTS)} == told


def test_the_value_at_an_offset_is_that_of_its_step():
    found = named(scraped(facts(forecast=forecast(1, horizon=4), skills=None)), REQUESTS)

    assert found["Deployment", "shop", "60", "0.5", "service-0"] == pytest.approx(1.5)


def test_only_metrics_that_are_published_are_told():
    found = scraped(facts(metrics=("CPU", "Memory")))

    assert {name for name, family in FORECASTS.items() if named(found, family.name)} == {"CPU", "Memory"}
    assert {key[1] for key in named(found, "tidecast_forecast_error")} == {"CPU", "Memory"}


def test_a_service_of_which_nothing_is_known_is_absent():
    unknown = replace(forecast(), values=np.where(np.arange(2)[:, None, None, None], forecast().values, np.nan))

    assert {key[-1] for key in scraped(facts(forecast=unknown)) if "service-" in key[-1]} == {"service-1"}


def test_a_forecast_that_says_nothing_at_all_is_no_obstacle():
    found = scraped(facts(forecast=replace(forecast(), values=np.full_like(forecast().values, np.nan))))

    assert not named(found, REQUESTS)
    assert named(found, ISSUED)
    assert named(found, "tidecast_hint_replicas")


def test_a_forecast_of_nobody_is_no_obstacle():
    assert not named(scraped(facts(forecast=forecast(0))), REQUESTS)


def test_a_metric_of_which_nothing_is_known_is_absent():
    found = scraped(facts(forecast=hollow(LatencyP95=(slice(None), slice(None)))))

    assert not named(found, "tidecast_forecast_latency_p95_seconds")
    assert named(found, "tidecast_forecast_latency_p50_seconds")


def test_a_spread_that_is_not_known_is_absent_and_the_median_is_told():
    found = named(scraped(facts(forecast=hollow(RequestsPerSecond=(slice(None), [0, 2])))), REQUESTS)

    assert {key[3] for key in found} == {"0.5"}


def test_what_is_not_finite_is_absent():
    endless = forecast()
    endless.values[0, 0, 4, 2] = np.inf
    found = named(scraped(facts(forecast=endless)), REQUESTS)

    assert ("Deployment", "shop", "300", "0.9", "service-0") not in found
    assert ("Deployment", "shop", "1800", "0.9", "service-0") in found


def test_a_large_value_keeps_six_digits():
    large = forecast(1)
    large.values[0, FORECAST_FEATURES.index(MEMORY)] = 123_456_789_000.0
    found = named(scraped(facts(forecast=large)), "tidecast_forecast_memory_bytes")

    assert list(found.values()) == pytest.approx([123_456_789_000] * 6, rel=1e-5)


@pytest.mark.parametrize("name", PAST)
def test_what_came_of_past_forecasts_is_told_by_service_metric_and_offset(name):
    found = named(scraped(facts()), name)

    assert set(found) == {
        ("Deployment", metric, "shop", offset, f"service-{row}")
        for metric in ALL
        for offset in ("300", "1800")
        for row in range(2)
    }
    assert list(found.values()) == pytest.approx([PAST[name]] * len(found))


@pytest.mark.parametrize(
    ("sums", "absent"),
    [
        pytest.param({"moments": 0.0}, set(PAST), id="nothing compared"),
        pytest.param({"last": 0.0}, {"tidecast_forecast_skill_ratio"}, id="naive forecasts did not err"),
        pytest.param({"banded": 0.0}, {"tidecast_forecast_coverage_ratio"}, id="no band"),
        pytest.param(
            {"last": np.nan}, {"tidecast_forecast_skill_ratio", "tidecast_forecast_naive_error"}, id="naive unknown"
        ),
    ],
)
def test_what_is_not_known_of_past_forecasts_is_absent(sums, absent):
    found = scraped(facts(skills=skills(**sums)))

    assert {name for name in PAST if not named(found, name)} == absent


def test_two_offsets_with_the_same_past_are_told_once():
    # The forecast reaches further than those that were compared, after the horizon was raised.
    found = named(scraped(facts(skills=skills(horizon=10))), "tidecast_forecast_error")

    assert {key[3] for key in found} == {"300"}


def test_without_skills_forecasts_are_told_alone():
    found = scraped(facts(skills=None))

    assert named(found, REQUESTS)
    assert not [name for name in PAST if named(found, name)]


def test_when_the_forecast_was_made_and_expires_is_told_with_its_step():
    found = scraped(facts())

    assert named(found, STEPS) == {(): STEP}
    assert named(found, ISSUED) == {(): NOW}
    assert named(found, EXPIRES) == {(): EXPIRE}


def test_before_the_first_cycle_nothing_is_told():
    assert Gauges(clock=Clock()).exposition() == b""


def test_until_it_expires_a_forecast_is_told():
    assert named(scraped(facts(), clock=Clock(EXPIRE - 0.001)), REQUESTS)


def test_from_then_on_only_when_it_was_made_and_expired_is_told_of_it():
    found = scraped(facts(), clock=Clock(EXPIRE))

    told = {key[0] for key in found if key[0].startswith("tidecast_forecast_")}
    assert told == {ISSUED, EXPIRES, STEPS, "tidecast_forecast_resources_left_out"}


def test_expiry_is_noticed_without_a_new_cycle():
    clock = Clock()
    gauges = Gauges(clock=clock)
    gauges.show(facts())
    assert REQUESTS.encode() in gauges.exposition()

    clock.now = EXPIRE

    assert REQUESTS.encode() not in gauges.exposition()


def test_a_cycle_without_a_forecast_leaves_the_one_before_until_it_expires():
    silent = facts(forecast=None, expire_time=0, skills=None)

    assert named(scraped(facts(), silent, clock=Clock(EXPIRE - 1)), REQUESTS)
    assert named(scraped(facts(), silent, clock=Clock(EXPIRE - 1)), "tidecast_forecast_error")
    assert not named(scraped(facts(), silent, silent, clock=Clock(EXPIRE)), REQUESTS)


def test_a_cycle_that_never_had_a_forecast_tells_none():
    found = scraped(facts(forecast=None, expire_time=0))

    assert not [key for key in found if key[0] in (REQUESTS, ISSUED, EXPIRES)]


def test_a_new_forecast_is_told_in_place_of_the_old_one():
    clock = Clock()
    gauges = Gauges(clock=clock)
    gauges.show(facts())
    before = gauges.exposition()
    gauges.show(facts(forecast=forecast(3)))

    assert b"service-2" not in before
    assert b"service-2" in gauges.exposition()


def test_between_two_cycles_the_text_is_written_once():
    gauges = Gauges(clock=Clock())
    gauges.show(facts())

    assert gauges.exposition() is gauges.exposition()


def test_a_replica_that_does_not_run_the_cycles_any_more_tells_nothing():
    gauges = Gauges(clock=Clock())
    gauges.show(facts())
    gauges.exposition()
    gauges.clear()

    assert gauges.exposition() == b""


def test_after_that_it_does_not_go_back_to_an_old_forecast():
    gauges = Gauges(clock=Clock())
    gauges.show(facts())
    gauges.clear()
    gauges.show(facts(forecast=None, expire_time=0, skills=None))

    assert REQUESTS.encode() not in gauges.exposition()


def test_a_peer_outside_of_the_cluster_is_told_as_one():
    peer = ServiceId("", "External", "api.example.org")
    found = named(scraped(facts(forecast=forecast((peer, *services(1))), skills=None)), REQUESTS)

    assert ("External", "", "300", "0.5", "api.example.org") in found
