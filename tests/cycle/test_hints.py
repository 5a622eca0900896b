"""
From a forecast to the hint in the status, the conditions beside it, and what autoscalers are told.
"""

import asyncio

import pytest

from builders.operating import Operator, forecast_body, forecaster_body, operator
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.hints.board import Unknown, Withheld

SPF = "ServicePerformanceForecast"
RISE = 2.0


def shop_with(**scaling) -> Operator:
    """A load that rises all the time, a predictor that knows it, and a checkout that asks for hints."""
    shop = operator()
    shop.collector.requests_per_second, shop.collector.rise, shop.predictor.slope = 1000.0, RISE, RISE
    shop.cluster.put(forecast_body(scaling={"perReplica": "250", "leadTimeSeconds": 120} | scaling))
    return shop


def hint(shop):
    return shop.cluster.status(SPF, "checkout", "shop").get("hint")


def offered(shop):
    return shop.conditions(SPF, "checkout", "shop").get("HintOffered")


def told(shop):
    return shop.noticeboard.board.offered("shop", "checkout", shop.now)[1]


async def test_a_hint_is_shown_at_once_and_offered_to_nobody():
    shop = shop_with(mode="Active")

    await shop.run()

    assert hint(shop)["replicas"] == 5
    assert hint(shop)["perReplica"] == "250"
    assert offered(shop) == ("False", "NotTrusted")
    with pytest.raises(Withheld, match="Trusted"):
        told(shop)


async def test_a_trusted_hint_in_active_mode_is_offered():
    shop = shop_with(mode="Active")

    await shop.run(cycles=40)

    assert offered(shop) == ("True", "Offered")
    assert told(shop).replicas == hint(shop)["replicas"]


async def test_a_trusted_hint_in_preview_is_shown_only():
    shop = shop_with()

    await shop.run(cycles=40)

    assert hint(shop)["replicas"] >= 5
    assert offered(shop) == ("False", "Preview")
    with pytest.raises(Withheld, match="Preview"):
        told(shop)


async def test_a_hint_that_loses_trust_is_withdrawn_and_still_shown():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)
    shop.predictor.slope = -20 * RISE

    await shop.run(cycles=8)

    assert offered(shop) == ("False", "NotTrusted")
    assert hint(shop)
    with pytest.raises(Withheld):
        told(shop)


async def test_trust_is_judged_by_what_the_hint_leans_on():
    shop = shop_with(signal="CPU", mode="Active")

    await shop.run(cycles=40)

    # The doubles measure no CPU.
    assert shop.conditions(SPF, "checkout", "shop")["Trusted"] == ("False", "InputStale")


async def test_trust_is_judged_at_the_end_of_the_lead_time():
    shop = shop_with(leadTimeSeconds=0)

    await shop.run(cycles=40)

    assert shop.cluster.status(SPF, "checkout", "shop")["skill"]["offsetSeconds"] == 60


async def test_a_hint_outlives_telemetry_that_is_away_until_its_forecast_expires():
    shop = shop_with(mode="Active")
    shop.cluster.put(forecaster_body(horizonSteps=20), "MODIFIED")
    await shop.run(cycles=40)
    shop.collector.until = shop.now

    await shop.run(cycles=8)
    assert told(shop)

    await shop.run(cycles=4)
    with pytest.raises(Withheld):
        told(shop)


async def test_without_a_forecaster_nobody_is_told_anything():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)

    shop.cluster.remove("Forecaster", "", "default")
    await shop.run()

    with pytest.raises(Unknown):
        told(shop)


async def test_a_deleted_resource_is_told_of_no_more():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)

    shop.cluster.remove(SPF, "shop", "checkout")
    await shop.run()

    with pytest.raises(Unknown):
        told(shop)


async def test_a_duplicate_has_no_hint():
    shop = shop_with(mode="Active")
    later = {"name": "second", "uid": "uid-of-second", "creationTimestamp": "2026-11-22T11:00:00Z"}
    shop.cluster.put(forecast_body("second", metadata=later, scaling={"mode": "Active", "perReplica": "1"}))

    await shop.run(cycles=2)

    assert ("shop", "second") not in shop.noticeboard.board.entries
    assert "hint" not in shop.cluster.status(SPF, "second", "shop")


async def test_a_scaling_that_cannot_be_followed_says_so_and_keeps_the_forecast():
    shop = shop_with(quantile="0.2")

    await shop.run()

    assert offered(shop) == ("False", "InvalidScaling")
    assert shop.conditions(SPF, "checkout", "shop")["Ready"][0] == "True"


async def test_a_hint_is_gone_from_the_status_when_nobody_asks_for_it_any_more():
    shop = shop_with()
    await shop.run()

    body = forecast_body(metadata={"generation": 2})
    shop.cluster.put(body | {"status": shop.cluster.status(SPF, "checkout", "shop")}, "MODIFIED")
    await shop.run(cycles=2)

    assert hint(shop) is None
    assert offered(shop) is None


async def test_turns_of_trust_are_events_where_somebody_wants_hints():
    shop = shop_with(mode="Active")

    await shop.run(cycles=40)

    told_events = [event["reason"] for event in shop.cluster.events if event["involvedObject"]["kind"] == SPF]
    assert {"Skilled", "Offered"} <= set(told_events)


async def test_turns_of_trust_are_no_events_where_nobody_does():
    shop = operator()
    shop.collector.requests_per_second, shop.collector.rise, shop.predictor.slope = 1000.0, RISE, RISE

    await shop.run(cycles=40)

    assert "Skilled" not in [event["reason"] for event in shop.cluster.events]


async def test_a_capacity_that_is_not_given_is_learned_from_history_of_its_own():
    shop = shop_with(perReplica=None)

    await shop.run(cycles=2)

    # The doubles measure neither latency nor replicas, so nothing can be learned; it was looked for all the same.
    assert offered(shop) == ("False", "CapacityUnknown")
    assert shop.capacity_collector.asked


async def test_history_is_left_alone_where_every_capacity_is_given():
    shop = shop_with()

    await shop.run(cycles=2)

    assert not shop.capacity_collector.asked


async def test_hints_and_trust_are_told_to_prometheus():
    shop = shop_with(mode="Active")

    await shop.run(cycles=40)

    text = shop.gauges.exposition().decode()
    assert f'tidecast_hint_replicas{{namespace="shop",name="checkout",mode="Active"}} {hint(shop)["replicas"]}' in text
    assert 'tidecast_forecast_trusted{namespace="shop",name="checkout"} 1' in text


async def test_a_replica_that_leads_no_more_tells_prometheus_nothing():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)

    shop.is_leader = False
    await shop.run()

    assert "tidecast_hint_replicas{" not in shop.gauges.exposition().decode()


async def test_a_hint_that_was_offered_is_offered_through_a_restart_without_a_predictor():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)
    before = told(shop)

    shop.restart()
    shop.predictor.error = PredictorUnavailable("it starts")
    await shop.run(cycles=2)

    assert told(shop).replicas == before.replicas


async def test_a_spec_that_is_not_valid_after_a_restart_takes_no_hint_back_before_it_expires():
    shop = shop_with(mode="Active")
    await shop.run(cycles=120)
    before = told(shop)

    shop.restart()
    shop.cluster.put(forecaster_body(prometheus={"url": "prometheus"}), "MODIFIED")
    assert await shop.run() == "InvalidSpec"
    assert told(shop).replicas == before.replicas
    assert offered(shop) == ("True", "Offered")

    await shop.run(cycles=12)
    with pytest.raises(Withheld, match="ForecastFresh"):
        told(shop)


async def test_a_replica_that_leads_again_goes_on_from_what_the_one_between_told():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)
    first, shop.is_leader = shop.cycle, False
    await shop.run()
    shop.is_leader = True
    shop.restart()
    await shop.run(cycles=20)
    before = told(shop)

    shop.cycle, shop.predictor.error = first, PredictorUnavailable("it starts")
    await shop.run(cycles=2)

    assert told(shop).replicas == before.replicas


def followed(shop):
    return shop.conditions(SPF, "checkout", "shop").get("FloorFollowed")


async def test_why_a_floor_does_not_follow_is_not_forgotten_over_a_restart():
    shop = shop_with(mode="Active", horizontalPodAutoscalerName="checkout")
    await shop.run(cycles=40)
    assert followed(shop) == ("False", "FloorsDisabled")

    shop.restart()
    await shop.run()

    assert followed(shop) == ("False", "FloorsDisabled")


async def test_nobody_says_that_a_floor_follows_before_autoscalers_were_looked_at():
    shop = shop_with()
    await shop.run(cycles=40)

    shop.restart()
    scaling = {"perReplica": "250", "leadTimeSeconds": 120, "mode": "Active", "horizontalPodAutoscalerName": "checkout"}
    status = shop.cluster.status(SPF, "checkout", "shop")
    shop.cluster.put(forecast_body(scaling=scaling) | {"status": status}, "MODIFIED")
    await shop.run()
    assert followed(shop) == ("Unknown", "NotLookedYet")

    await shop.run(cycles=2)
    assert followed(shop) == ("False", "FloorsDisabled")


async def test_a_hint_outlives_a_workload_that_is_replaced():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)

    shop.cluster.remove("Deployment", "shop", "checkout")
    await shop.run()
    assert told(shop)
    assert offered(shop) == ("True", "Offered")


async def test_drift_is_not_forgotten_over_a_restart():
    shop = shop_with(mode="Active")
    await shop.run(cycles=40)
    shop.predictor.slope = -20 * RISE
    await shop.run(cycles=8)

    shop.restart()
    await shop.run(cycles=2)

    assert shop.conditions(SPF, "checkout", "shop")["Trusted"] == ("False", "Drift")


async def test_floors_that_cannot_be_looked_at_do_not_end_the_cycles(monkeypatch):
    shop = shop_with(mode="Active")

    def broken(_):
        raise KeyError("spec")

    monkeypatch.setattr(shop.outlets, "follow", broken)
    watcher = Watcher()
    running = asyncio.create_task(shop.cycle.run(watcher))
    async with asyncio.timeout(10):
        await watcher.has_failed.wait()
    await asyncio.sleep(0)

    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Watcher:
    """Waits for a cycle that breaks."""

    def __init__(self):
        self.has_failed = asyncio.Event()

    def completed(self, *_, **__):
        pass

    def failed(self):
        self.has_failed.set()
