"""
What comes of a replay: what hints can gain, and that they cannot do harm.
"""

from dataclasses import replace

import numpy as np
import pytest

from builders.replays import STEP, recording, replayed, subject, waves
from tidecast_contract.features import READY_REPLICAS, REQUESTS, index_of
from tidecast_operator.replaying.candidates import Asked, Subject, choose
from tidecast_operator.replaying.forecasting import MethodForecasts
from tidecast_operator.replaying.hinting import Hinting
from tidecast_operator.replaying.replay import ALONE, FORESEEN, HINTED
from tidecast_operator.replaying.report import rows_of

PLAIN_WITHIN = 0.02
"""Untrusted hints cost at most so much more replica-hours, and as much more time without capacity, as a share."""


def short(outcome, name):
    return outcome.tallies[name].short_seconds.sum() / 60


def paid(outcome, name):
    return outcome.tallies[name].replica_seconds.sum() / 3600


def shuffled(step, forecast):
    """What is said of one moment is said of another; the median keeps its band."""
    chance = np.random.default_rng(step)
    factor = np.exp(1.5 * chance.standard_normal((len(forecast.services), 1, 1, 1))).astype(np.float32)
    return replace(forecast, values=forecast.values * factor)


async def test_with_perfect_forecasts_time_without_capacity_falls():
    outcome = await replayed(subject(waves()))

    assert short(outcome, ALONE) > 10
    assert short(outcome, HINTED) < short(outcome, ALONE) / 10
    assert outcome.trusted_ratio.min() > 0.99
    worst = [outcome.tallies[name].worst.max() for name in (ALONE, HINTED)]
    assert worst[1] < worst[0]


async def test_foresight_bounds_what_hints_do():
    outcome = await replayed(subject(waves()), "seasonal-naive", always=True)

    assert short(outcome, FORESEEN) == 0
    assert short(outcome, FORESEEN) < short(outcome, HINTED)


async def test_shuffled_forecasts_lose_trust_and_leave_the_autoscaler_alone():
    outcome = await replayed(subject(waves()), change=shuffled)

    assert outcome.trusted_ratio.max() == 0
    assert short(outcome, HINTED) <= short(outcome, ALONE) * (1 + PLAIN_WITHIN)
    assert paid(outcome, HINTED) <= paid(outcome, ALONE) * (1 + PLAIN_WITHIN)


async def test_forecasts_that_go_wrong_half_way_cost_little_before_trust_is_gone():
    steps = 720
    wrong = 540

    def change(step, forecast):
        return forecast if step < wrong else shuffled(step, forecast)

    outcome = await replayed(subject(waves(steps)), change=change)

    assert 0.45 < outcome.trusted_ratio.mean() < 0.6
    # Three hours of good hints, and half an hour of bad ones at most.
    assert short(outcome, HINTED) < short(outcome, ALONE)
    assert paid(outcome, HINTED) < paid(outcome, ALONE) * 1.05


async def test_hints_are_followed_untrusted_only_where_that_is_asked_for():
    what = subject(waves())
    earned = await replayed(what, change=shuffled)
    always = await replayed(what, change=shuffled, always=True)

    assert earned.offered_ratio.max() == 0
    assert always.trusted_ratio.max() == 0
    assert always.offered_ratio.min() > 0.9
    assert paid(always, HINTED) > paid(earned, HINTED) * 1.1


async def test_last_value_is_never_better_than_itself():
    outcome = await replayed(subject(waves()), "last-value")

    assert outcome.trusted_ratio.max() == 0
    assert paid(outcome, HINTED) == paid(outcome, ALONE)


async def test_a_floor_never_lowers_what_the_load_asks_for():
    def tiny(_, forecast):
        return replace(forecast, values=forecast.values * np.float32(1e-3))

    outcome = await replayed(subject(waves()), change=tiny, always=True)

    np.testing.assert_array_equal(outcome.trace.ready[HINTED], outcome.trace.ready[ALONE])


async def test_a_floor_is_held_for_five_minutes_as_the_operator_holds_it():
    what = subject(waves(720))
    hinting, forecasts = Hinting(what, window_steps=60, always=True), MethodForecasts("perfect", what)
    floors = []
    for step in range(600, 607):
        forecast = await forecasts.at(step)
        said = replace(forecast, values=forecast.values * np.float32(3 if step == 600 else 1e-3))
        floors.append(int(hinting.after(step, said, np.array([3, 3])).floors[0]))

    assert floors == [floors[0]] * 5 + [1] * 2
    assert floors[0] > 3


async def test_hints_stay_within_the_bounds_of_the_autoscaler():
    def huge(_, forecast):
        return replace(forecast, values=forecast.values * np.float32(1e3))

    outcome = await replayed(subject(waves(), minReplicas=2, maxReplicas=6), change=huge, always=True)

    for ready in outcome.trace.ready.values():
        assert ready.min() >= 2
        assert ready.max() <= 6


@pytest.mark.parametrize("method", ["perfect", "last-value"])
async def test_missing_data_never_scales_anything_down(method):
    loads = waves()
    loads[280:] = np.nan
    outcome = await replayed(subject(loads), method, always=True, first=250)

    for name in (ALONE, HINTED):
        ready = outcome.trace.ready[name][:, 32:]  # the delay of what it sees, and starting pods, are over
        assert (np.diff(ready, axis=1) >= 0).all()
        assert (ready[:, -1] > 1).all()


async def test_time_that_was_not_measured_counts_nowhere():
    loads = waves()
    loads[-100:] = np.nan
    outcome = await replayed(subject(loads))
    tally = outcome.tallies[ALONE]

    assert (tally.measured_seconds == (240 - 100) * STEP).all()
    assert (tally.replica_seconds <= tally.measured_seconds * 40).all()
    assert outcome.steps_without_forecast == 0


async def test_a_hint_ends_when_its_forecast_has_expired():
    loads, silent = waves(seed=2), 380

    def until(step, forecast):
        return forecast if step < silent else None

    outcome = await replayed(subject(loads, leadTimeSeconds=900), change=until, first=silent - 50)

    assert outcome.offered_ratio == pytest.approx([59 / 150] * 2, abs=2 / 150)
    assert outcome.trusted_ratio == pytest.approx(outcome.offered_ratio)
    assert outcome.steps_without_forecast == 100


async def test_a_gap_in_which_nobody_was_measured_is_lived_through():
    loads = waves()
    loads[300:400] = np.nan
    outcome = await replayed(subject(loads))

    assert short(outcome, HINTED) < short(outcome, ALONE)
    assert (outcome.tallies[ALONE].measured_seconds == (240 - 100) * STEP).all()
    # Of a time that nobody measured these forecasts say nothing, and the step after it is still without; nor is
    # anything said in the steps before it whose lead time reaches into it.
    # The hint of before holds for as long as its own forecast does.
    lead = 3
    held = 9 - lead
    assert outcome.offered_ratio == pytest.approx([1 - (101 - held) / 240] * 2)


async def test_what_is_replayed_of_replicas_is_what_hints_see():
    loads = np.full((300, 1), 1000.0)
    loads[240:] = 3000.0
    made = recording(loads)  # says that there always were three replicas
    what = Subject.of(made, choose(made, Asked(scaling={"perReplica": "50"})).each)
    outcome = await replayed(what, always=True, first=200)

    # From 29 replicas to 60 in one step: from three it would have been seven.
    assert outcome.trace.ready[HINTED][0, 36:40].max() < 60
    assert outcome.trace.ready[HINTED][0, 41] >= 58


async def test_pods_that_start_late_are_missing_for_longer():
    what = subject(waves())
    quick, slow = [short(await replayed(what, start_seconds=seconds), ALONE) for seconds in (15, 300)]

    assert slow > quick + 20


async def test_a_target_closer_to_capacity_costs_less_and_lacks_more():
    what = subject(waves())
    low, high = [await replayed(what, target=target) for target in (0.5, 0.9)]

    assert paid(low, ALONE) > paid(high, ALONE)
    assert short(low, ALONE) < short(high, ALONE)


async def test_counts_are_those_of_a_load_that_is_worked_out_by_hand():
    loads = np.full((100, 1), 100.0)
    loads[80:] = 300.0
    made = recording(loads)
    what = Subject.of(made, choose(made, Asked(scaling={"perReplica": "50"})).each)
    outcome = await replayed(what, "last-value", first=60, start_seconds=60, delay_seconds=0)
    total, (row,) = rows_of(outcome, what.candidates)
    alone = row.counted[ALONE]

    # 3 replicas carry 150; 300 ask for 9 at a target of 35. At the second sync four more start, at the third two. They are
    # paid for at once; a minute later the four are ready, and that is enough.
    assert alone.changes == 2
    assert alone.short_minutes == pytest.approx(1.25)
    assert alone.worst_shortfall == pytest.approx(1.0)
    assert alone.replica_hours == pytest.approx((20.25 * 3 + 0.25 * 7 + 19.5 * 9) / 60)
    assert total.counted[ALONE] == alone


async def test_workloads_that_had_lost_all_replicas_are_seen_without():
    loads = waves(200)
    made = recording(loads)
    made.values[150:, 0, index_of(READY_REPLICAS)] = 0
    what = Subject.of(made, choose(made, Asked(scaling={"perReplica": "50"})).each)
    outcome = await replayed(what)

    assert (outcome.tallies[HINTED].replica_seconds > 0).all()
    assert index_of(REQUESTS) == 0
