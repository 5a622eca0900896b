"""
When the next cycle begins: at the next step, or within a minute after one that was kept from a forecast.
"""

import asyncio

import pytest

from builders.operating import forecaster_body, namespace_body, operator
from builders.snapshots import MIDDAY
from builders.telemetry import workload_body
from tidecast_operator.errors import PredictorUnavailable


def hourly(**changes):
    """A shop with a step of an hour, a minute after that began."""
    shop = namespace_body(), workload_body("frontend"), workload_body("checkout"), forecaster_body(stepSeconds=3600)
    return operator(*shop, now=MIDDAY + 60.0, **changes)


async def test_a_cycle_with_a_forecast_waits_for_the_next_step():
    shop = hourly()

    assert shop.cycle.seconds_until_next(await shop.run()) == 3545


@pytest.mark.parametrize("is_leader", [True, False])
async def test_only_a_cycle_that_could_have_forecast_is_tried_again_within_a_minute(is_leader):
    shop = hourly(is_leader=is_leader)
    shop.predictor.error = PredictorUnavailable("it loads")

    assert shop.cycle.seconds_until_next(await shop.run()) == (5 if is_leader else 3545)


async def test_what_is_tried_again_is_not_late_for_the_next_step():
    shop = operator(namespace_body(), forecaster_body(stepSeconds=100), now=MIDDAY + 185.0)

    assert shop.cycle.seconds_until_next("NoPrediction") == 20


async def test_short_steps_are_not_shortened():
    shop = operator(namespace_body(), forecaster_body(stepSeconds=45), now=MIDDAY + 50.0)

    assert shop.cycle.seconds_until_next("NoTelemetry") == 45


class Heard:
    """Counts cycles that completed, and waits for the second."""

    def __init__(self):
        self.outcomes, self.are_two = [], asyncio.Event()

    def completed(self, outcome, **_):
        self.outcomes.append(outcome)
        if len(self.outcomes) == 2:
            self.are_two.set()

    def failed(self):
        pass


async def test_a_predictor_that_still_loads_is_asked_again_long_before_the_next_step():
    shop = hourly()
    shop.now = MIDDAY + 64.9
    shop.predictor.error = PredictorUnavailable("it loads")
    heard = Heard()

    cycles = asyncio.create_task(shop.cycle.run(heard))
    async with asyncio.timeout(20):
        await heard.are_two.wait()
    cycles.cancel()
    await asyncio.gather(cycles, return_exceptions=True)

    assert heard.outcomes[:2] == ["NoPrediction"] * 2
