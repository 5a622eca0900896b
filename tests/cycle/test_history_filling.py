import asyncio

import numpy as np
import pytest

from builders.operating import STEP, FakeCollector, FakePredictor, forecaster_body, namespace_body, operator
from builders.snapshots import MIDDAY, snapshot
from builders.telemetry import workload_body
from tidecast_contract.features import FEATURES
from tidecast_contract.status import HistoryStatus
from tidecast_operator.errors import NotEnoughData, PrometheusUnavailable
from tidecast_operator.history_filling import Asked, HistoryFiller, Wanted, next_chunk
from tidecast_predictor.history import History

HOUR, DAY = 3600, 86_400
WINDOW_START = MIDDAY - 2 * STEP


def wanted(**changes):
    valid = {"start_time": MIDDAY - 24 * HOUR, "step_seconds": STEP, "services": 20}
    valid |= {"window_start_time": WINDOW_START, "window_end_time": MIDDAY}
    return Wanted(**(valid | changes))


def held(start, end, step=STEP):
    return HistoryStatus(step, start, end, 2)


def test_an_empty_history_waits_for_the_window():
    assert next_chunk(HistoryStatus(), wanted(), Asked()) is None


def test_the_newest_missing_hours_come_first():
    first, last = next_chunk(held(WINDOW_START, MIDDAY), wanted(), Asked())

    assert last == WINDOW_START - STEP
    assert last - first == 6 * HOUR - STEP


def test_many_services_make_short_chunks():
    first, last = next_chunk(held(WINDOW_START, MIDDAY), wanted(services=10_000), Asked())

    assert (last - first) // STEP + 1 == 200


def test_nothing_is_fetched_before_the_wanted_start():
    assert next_chunk(held(MIDDAY - 24 * HOUR, MIDDAY), wanted(), Asked()) is None
    assert next_chunk(held(MIDDAY - 23 * HOUR, MIDDAY), wanted(), Asked())[0] == MIDDAY - 24 * HOUR


def test_hours_that_prometheus_does_not_know_are_not_asked_for_again():
    assert next_chunk(held(MIDDAY - HOUR, MIDDAY), wanted(), Asked(back_to=MIDDAY - 24 * HOUR)) is None


def test_a_hole_after_the_end_is_closed_first():
    away = held(MIDDAY - 5 * HOUR, MIDDAY - 2 * HOUR)

    assert next_chunk(away, wanted(), Asked()) == (MIDDAY - 2 * HOUR + STEP, MIDDAY)


def test_a_history_of_another_step_is_started_anew():
    assert next_chunk(held(0, MIDDAY, step=30), wanted(), Asked()) is None


async def test_the_predictor_gets_the_window_and_then_all_of_the_wanted_history():
    shop = operator()

    await shop.run(cycles=2)

    assert shop.predictor.history.start_time == MIDDAY - HOUR + STEP
    assert shop.predictor.history.end_time == MIDDAY + STEP
    assert shop.cluster.status("Forecaster", "default")["history"]["progress"] == "1"


async def test_later_cycles_send_only_the_new_step():
    shop = operator()
    await shop.run(cycles=2)
    shop.predictor.sent.clear()

    await shop.run(cycles=3)

    assert shop.predictor.sent == [(MIDDAY + n * STEP, MIDDAY + n * STEP) for n in (2, 3)]


async def test_a_history_that_prometheus_does_not_reach_ends_the_filling():
    shop = operator()
    shop.history_collector.since = MIDDAY - HOUR // 2

    await shop.run(cycles=3)
    asked = len(shop.history_collector.asked)
    await shop.run(cycles=3)

    assert len(shop.history_collector.asked) == asked
    assert shop.cluster.status("Forecaster", "default")["history"]["progress"] == "1"


async def test_an_interrupted_filling_goes_on_where_it_was():
    shop = operator()
    shop.history_collector.error = PrometheusUnavailable("slow")
    await shop.run(cycles=2)
    assert "slow" in shop.cluster.status("Forecaster", "default")["history"]["message"]
    shop.history_collector.error = None

    await shop.run(cycles=2)

    assert shop.cluster.status("Forecaster", "default")["history"]["progress"] == "1"
    assert "message" not in shop.cluster.status("Forecaster", "default")["history"]


def held_seconds(shop):
    return shop.predictor.history.end_time - shop.predictor.history.start_time


async def test_history_of_which_parts_are_missing_is_asked_for_again_until_it_is_whole():
    shop = operator()
    shop.history_collector.warnings = ("store gateway: deadline exceeded",)
    await shop.run(cycles=3)
    history = shop.cluster.status("Forecaster", "default")["history"]
    assert "parts missing: store gateway: deadline exceeded" in history["message"]
    assert held_seconds(shop) < HOUR / 2
    assert [end for _, end in shop.history_collector.asked] == [MIDDAY - 3 * STEP] * 3

    shop.history_collector.warnings = ()
    await shop.run(cycles=3)

    assert held_seconds(shop) >= HOUR - STEP


async def test_parts_that_are_missing_for_good_do_not_keep_the_rest_back():
    shop = operator()
    shop.history_collector.warnings = ("store gateway: gone",)

    await shop.run(cycles=12)

    assert held_seconds(shop) >= HOUR - STEP


async def test_a_predictor_that_lost_its_history_gets_it_again():
    shop = operator()
    await shop.run(cycles=2)
    shop.predictor.history = HistoryStatus()

    await shop.run(cycles=2)

    assert shop.predictor.history.start_time <= MIDDAY - HOUR + 3 * STEP


async def test_a_predictor_that_lost_its_oldest_days_gets_them_again():
    shop = operator()
    await shop.run(cycles=2)
    shop.predictor.history = held(MIDDAY - HOUR // 2, shop.predictor.history.end_time)
    shop.now += STEP

    await shop.run(cycles=2)

    assert shop.predictor.history.start_time <= MIDDAY - HOUR + 3 * STEP


async def test_history_that_came_by_chunks_and_was_lost_before_the_next_cycle_comes_again():
    shop = operator()
    await shop.run()
    shop.predictor.history = held(MIDDAY - HOUR // 2, MIDDAY)
    shop.now += STEP

    await shop.run(cycles=2)

    assert shop.predictor.history.start_time <= MIDDAY - HOUR + 3 * STEP


async def test_history_that_was_lost_while_another_replica_led_comes_again():
    shop = operator()
    shop.history_collector.since = MIDDAY
    await shop.run(cycles=2)  # asked for an hour in vain
    shop.is_leader = False
    await shop.run()
    shop.is_leader, shop.now = True, MIDDAY + HOUR // 2 + 10
    shop.predictor.history = held(MIDDAY + HOUR // 4, MIDDAY + HOUR // 2)

    await shop.run()

    assert shop.predictor.history.start_time <= MIDDAY


class Forgetful(FakePredictor):
    """Keeps history as the predictor does, three days of it."""

    def __init__(self):
        super().__init__()
        self.kept = History(None, limit_seconds=3 * DAY)

    async def append_history(self, snapshots):
        for one in snapshots:
            self.kept.append(one)
        self.history = self.kept.status()
        return self.history


def forgetful_shop():
    """A shop of hourly steps, whose Forecaster wants as much history as its predictor keeps."""
    forecaster = forecaster_body(stepSeconds=HOUR, training={"historySeconds": 3 * DAY})
    shop = namespace_body(), workload_body("frontend"), workload_body("checkout"), forecaster
    return operator(*shop, predictor=Forgetful())


async def pass_days(shop, days):
    for _ in range(days * DAY // HOUR):
        shop.now += HOUR
        await shop.run()


async def test_days_that_are_forgotten_for_their_age_are_not_fetched_again():
    shop = forgetful_shop()
    await pass_days(shop, days=1)
    shop.history_collector.asked.clear()

    await pass_days(shop, days=5)

    assert shop.predictor.history.steps == 3 * 24 + 1
    assert shop.history_collector.asked == []


async def test_a_history_that_gets_shorter_as_its_limit_passes_a_hole_is_not_fetched_for_ever():
    shop = forgetful_shop()
    shop.history_collector.since = MIDDAY - 6 * HOUR
    for end_time, steps in ((MIDDAY - 2 * DAY, 6), (MIDDAY - 6 * HOUR, 3)):  # a day lies between that nobody knows
        values = np.full((steps, 2, len(FEATURES)), 1.0, dtype=np.float32)
        await shop.predictor.append_history([snapshot(end_time=end_time, step_seconds=HOUR, values=values)])
    await pass_days(shop, days=1)
    shop.history_collector.asked.clear()

    await pass_days(shop, days=1)
    assert shop.history_collector.asked
    shop.history_collector.asked.clear()

    await pass_days(shop, days=4)
    assert shop.history_collector.asked == []


async def test_hours_in_which_the_operator_was_away_are_fetched():
    shop = operator()
    shop.predictor.history = held(MIDDAY - 3 * HOUR, MIDDAY - 2 * HOUR)

    await shop.run(cycles=2)

    assert shop.history_collector.asked[0] == (MIDDAY - HOUR + STEP, MIDDAY)
    assert shop.predictor.history.end_time == MIDDAY + STEP


async def under_way(shop):
    """A filler whose first chunk waits to be sent, and the event that lets it go on."""
    arrived, go_on, filler = asyncio.Event(), asyncio.Event(), HistoryFiller()
    send = shop.predictor.append_history

    async def waiting(snapshots):
        arrived.set()
        await go_on.wait()
        return await send(snapshots)

    shop.predictor.append_history = waiting
    filler.consider(held(WINDOW_START, MIDDAY), wanted(), doors(shop), shop.picture.workloads)
    await arrived.wait()
    return filler, go_on


def doors(shop):
    return shop.history_collector, shop.predictor


@pytest.mark.parametrize("history", [HistoryStatus(), held(0, MIDDAY, step=30)])
async def test_what_is_under_way_for_a_history_that_is_gone_is_not_sent(history):
    shop = operator()
    filler, go_on = await under_way(shop)

    filler.notice(history, step_seconds=STEP)
    go_on.set()
    await filler.idle()

    assert shop.predictor.sent == []


async def test_another_prometheus_is_asked_as_soon_as_it_is_in_use():
    shop = operator()
    filler, go_on = await under_way(shop)
    other = FakeCollector()

    filler.consider(held(WINDOW_START, MIDDAY), wanted(), (other, shop.predictor), shop.picture.workloads)
    go_on.set()
    await filler.idle()

    assert len(shop.history_collector.asked) == 1
    assert other.asked[-1][0] == MIDDAY - 24 * HOUR


async def test_a_prometheus_without_telemetry_now_is_not_taken_for_one_without_history():
    shop = operator()
    shop.history_collector.error = NotEnoughData("no source of the last minutes")
    await shop.run(cycles=2)
    shop.history_collector.error = None

    await shop.run(cycles=2)

    assert shop.predictor.history.start_time <= MIDDAY - HOUR + 3 * STEP


async def test_without_a_forecaster_no_history_is_fetched():
    shop = operator()
    await shop.run()
    filler, _ = await under_way(shop)
    shop.cycle._filler = filler
    shop.cluster.remove("Forecaster", "", "default")

    await shop.cycle.run_once()

    assert not filler.is_running


@pytest.mark.parametrize(("since", "is_told"), [(0, True), (MIDDAY, False)])
async def test_the_end_of_a_filling_is_told_where_anything_came_of_it(since, is_told):
    shop, told = operator(), []
    shop.history_collector.since = since
    shop.predictor.history = held(WINDOW_START, MIDDAY)
    filler = HistoryFiller(lambda: told.append(True))

    filler.consider(held(WINDOW_START, MIDDAY), wanted(), doors(shop), shop.picture.workloads)
    await filler.idle()

    assert told == [True] * is_told
