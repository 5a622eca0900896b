"""
From forecasts that came true, or did not, to the condition `Trusted` and the figures beside it.
"""

import pytest

from builders.operating import Operator, operator

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


async def test_without_measurements_the_old_word_stands_as_long_as_the_forecast_and_no_longer(rising):
    await rising.run(cycles=40)
    rising.collector.until = rising.now

    await rising.run(cycles=8)
    assert trust(rising) == ("True", "Skilled")

    await rising.run(cycles=6)
    assert trust(rising) == ("False", "ForecastExpired")
