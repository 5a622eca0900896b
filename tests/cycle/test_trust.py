"""
From forecasts that came true, or did not, to the condition `Trusted` and the figures beside it.
"""

import pytest

from builders.operating import Operator, operator
from tidecast_operator.errors import ApiServerUnavailable

SPF = "ServicePerformanceForecast"
RISE = 2.0


@pytest.fixture
def rising() -> Operator:
    """A load that rises all the time, and a predictor that knows it."""
    shop = operator()
    shop.collector.requests_per_second, shop.collector.rise, shop.predictor.slope = 1000.0, RISE, RISE
    return shop


def trust(shop):
    return shop.conditions(SPF, "checkout", "shop")["Trusted"]


def skill(shop):
    return shop.cluster.status(SPF, "checkout", "shop")["skill"]


def told(shop):
    """Whether forecasts are trusted, as Prometheus is told, be it written or not."""
    return gauge(shop, "tidecast_forecast_trusted", 'name="checkout"') == 1


def coverage(shop):
    return gauge(shop, "tidecast_forecast_coverage_ratio", 'service="checkout"', 'metric="RequestsPerSecond"')


def gauge(shop, name, *labels):
    lines = [line for line in shop.gauges.exposition().decode().splitlines() if line.startswith(name + "{")]
    return next(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))


async def test_trust_comes_with_forecasts_that_come_true(rising):
    await rising.run(cycles=20)
    assert trust(rising) == ("False", "TooFewSamples")

    await rising.run(cycles=20)

    assert trust(rising) == ("True", "Skilled")
    assert {name: skill(rising)[name] for name in ("metric", "offsetSeconds", "error", "naiveError", "skill")} == {
        "metric": "RequestsPerSecond",
        "offsetSeconds": 60,
        "error": "0",
        "naiveError": "2",
        "skill": "1",
    }


async def test_trust_goes_when_forecasts_go_wrong_and_the_measurements_stay(rising):
    await rising.run(cycles=40)
    rising.predictor.slope = -20 * RISE

    await rising.run(cycles=8)

    assert trust(rising) == ("False", "Drift")


async def test_who_says_that_nothing_changes_is_not_trusted(rising):
    rising.predictor.slope = 0.0

    await rising.run(cycles=40)

    assert trust(rising) == ("False", "NoSkill")


async def test_trust_outlives_a_restart(rising):
    await rising.run(cycles=60)
    before = skill(rising)["samples"]

    rising.restart()
    await rising.run(cycles=2)

    assert trust(rising) == ("True", "Skilled")
    assert skill(rising)["samples"] >= 0.8 * before


async def test_trust_that_is_days_old_has_to_be_earned_again(rising):
    await rising.run(cycles=60)

    rising.now += 3 * 86_400
    rising.restart()
    await rising.run(cycles=2)

    assert trust(rising) == ("False", "TooFewSamples")


async def test_what_was_said_last_counts_though_no_status_can_be_written(rising):
    await rising.run(cycles=20)
    assert not told(rising)
    rising.cluster.error = ApiServerUnavailable("it does not answer")
    await rising.run(cycles=20)
    assert told(rising)

    # All misses the narrow band from now on: for a while enough lies in it to stay trusted, and not to become so.
    rising.predictor.slope = 1.01 * RISE
    heard = []
    for _ in range(22):
        await rising.run(cycles=2)
        heard.append((told(rising), coverage(rising)))

    assert any(0.66 < share < 0.69 for _, share in heard)
    assert all(is_told for is_told, share in heard if share > 0.66)
    assert not heard[-1][0]


async def test_after_another_replica_led_its_word_counts(rising):
    await rising.run(cycles=60)
    assert told(rising)
    rising.is_leader = False
    await rising.run()

    found = rising.cluster.objects[SPF, "shop", "checkout"]
    for condition in found["status"]["conditions"]:
        if condition["type"] == "Trusted":
            condition |= {"status": "False", "reason": "CoverageOff"}
    found["status"]["skill"] |= {"coverage": "0.68", "samples": 200}
    rising.picture.observe("MODIFIED", found)
    rising.is_leader = True
    await rising.run()

    assert trust(rising) == ("False", "CoverageOff")


async def test_without_measurements_the_old_word_stands_as_long_as_the_forecast_and_no_longer(rising):
    await rising.run(cycles=40)
    rising.collector.until = rising.now

    await rising.run(cycles=8)
    assert trust(rising) == ("True", "Skilled")

    await rising.run(cycles=6)
    assert trust(rising) == ("False", "ForecastExpired")
