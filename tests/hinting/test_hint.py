import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.hints import NOW, decided, decided_in_turn, facts
from tidecast_contract.features import CPU
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.demand import Demand
from tidecast_operator.hints.hint import HOLD_SECONDS, TOLERANCE, Limit, decide
from tidecast_operator.scaling import Scaling


def test_replicas_carry_the_demand():
    assert decided(750.0).replicas == 8


def test_a_demand_that_fits_exactly_needs_no_replica_more():
    assert decided(700.0001).replicas == 7


def test_no_demand_at_all_needs_one_replica_and_never_none():
    assert decided(0.0).replicas == 1


@pytest.mark.parametrize(
    ("load", "replicas", "limit"),
    [
        pytest.param(50.0, 3, Limit.MIN_REPLICAS, id="below the minimum"),
        pytest.param(900.0, 6, Limit.MAX_REPLICAS, id="above the maximum"),
        pytest.param(450.0, 5, Limit.NONE, id="between both"),
    ],
)
def test_bounds_hold_and_are_told(load, replicas, limit):
    hint = decided(load, Scaling(min_replicas=3, max_replicas=6))

    assert (hint.replicas, hint.limited_by) == (replicas, limit)


@pytest.mark.parametrize(("current", "highest"), [(1, 5), (3, 7), (5, 10), (20, 40)])
def test_a_rise_is_at_most_twofold_or_four_replicas(current, highest):
    hint = decided(1e6, current_replicas=current)

    assert (hint.replicas, hint.limited_by) == (highest, Limit.RISE_LIMIT)


def test_where_ready_replicas_are_not_known_a_rise_starts_from_the_minimum():
    assert decided(1e6, Scaling(min_replicas=2), current_replicas=None).replicas == 6


def test_a_floor_is_held_before_it_falls():
    hints = decided_in_turn(900.0, *[200.0] * 6, every=60)

    assert [hint.floor for hint in hints] == [9, 9, 9, 9, 9, 2, 2]
    assert HOLD_SECONDS == 300


def test_a_metric_is_not_held_as_autoscalers_hold_what_metrics_ask_for_themselves():
    hints = decided_in_turn(900.0, *[200.0] * 6, every=60)

    assert [(hint.replicas, hint.load) for hint in hints] == [(9, 900.0), *[(2, 200.0)] * 6]


def test_a_floor_that_is_held_is_within_the_bounds_of_today():
    memory = decide(facts(1900.0, current_replicas=20), Scaling())[1]

    hint, _ = decide(facts(100.0, now=NOW + 60, memory=memory), Scaling(min_replicas=2, max_replicas=7))

    assert (hint.replicas, hint.floor) == (2, 7)


@pytest.mark.parametrize("left", [2, None])
def test_ready_replicas_that_vanish_do_not_lower_a_hint(left):
    hints = decided_in_turn(*[5000.0] * 10, current_replicas=[50, *[left] * 9], scaling=Scaling(min_replicas=1))

    assert {hint.replicas for hint in hints} == {50}


def test_a_floor_is_held_over_one_step_however_long_that_is():
    hints = decided_in_turn(900.0, 200.0, 200.0, 200.0, every=3600, step_seconds=3600)

    assert [hint.floor for hint in hints] == [9, 9, 2, 2]


def test_less_demand_while_a_caller_fails_is_not_believed():
    hints = decided_in_turn(*[900.0] * 2, *[100.0] * 20, caller_fails=[False] * 2 + [True] * 19 + [False])

    assert {hint.replicas for hint in hints[:-1]} == {9}
    assert hints[-2].limited_by is Limit.DOMINO_GUARD
    assert hints[-1].replicas == 1


def test_a_floor_is_held_after_the_guard_as_after_any_other_hint():
    fails = [False] * 2 + [True] * 9 + [False] * 7
    hints = decided_in_turn(*[900.0] * 2, *[100.0] * 16, caller_fails=fails)

    assert [hint.replicas for hint in hints[11:]] == [1] * 7
    assert [hint.floor for hint in hints[11:]] == [9, 9, 9, 9, 1, 1, 1]


def test_a_caller_that_fails_again_is_guarded_again():
    fails = [False] * 2 + [True] * 9 + [False] + [True] * 3
    hints = decided_in_turn(*[900.0] * 2, *[100.0] * 13, caller_fails=fails)

    assert [hint.replicas for hint in hints[11:]] == [1, 9, 9, 9]


def test_a_dip_of_one_step_is_no_reason_to_rise_step_by_step():
    hints = decided_in_turn(2000.0, 300.0, 2000.0, current_replicas=[20, 20, 3])

    assert [hint.replicas for hint in hints] == [20, 3, 20]


def test_the_guard_does_not_hold_up_a_rise():
    assert [hint.replicas for hint in decided_in_turn(300.0, 800.0, caller_fails=True)] == [3, 8]


def test_a_caller_that_fails_for_more_than_an_hour_is_the_new_normal():
    hints = decided_in_turn(900.0, *[100.0] * 80, caller_fails=[False] + [True] * 80)

    assert hints[55].replicas == 9
    assert hints[75].replicas == 1


def test_a_lead_time_beyond_the_horizon_is_told():
    assert decided(0.0, demand=Demand(300.0, NOW, is_whole=False)).limited_by is Limit.HORIZON


def test_the_reason_says_quantile_load_time_and_capacity():
    hint = decided(1080.0, per_replica=120.0)

    assert hint.reason == "p90 of 1080 requests/s by 08:01 UTC at 120 a replica"


def test_the_reason_says_when_the_capacity_was_learned_and_the_unit():
    hint = decided(3.0, Scaling(signal=CPU), capacity=Capacity(0.5, samples=500))

    assert "3 cores" in hint.reason
    assert "(learned)" in hint.reason


def told_to_hpa(hint, per_replica):
    """What a HorizontalPodAutoscaler makes of an AverageValue metric, tolerance included."""
    ratio = hint.load / (per_replica * hint.current_replicas)
    if abs(ratio - 1) <= TOLERANCE:
        return hint.current_replicas
    return math.ceil(hint.load / per_replica - 1e-9)


@pytest.mark.parametrize("current", range(1, 10))
def test_a_rise_by_one_is_not_lost_in_the_tolerance_of_an_autoscaler(current):
    load = 100.0 * current + 1

    hint = decided(load, current_replicas=current)

    assert told_to_hpa(hint, 100.0) == hint.replicas == current + 1


@given(
    load=st.floats(0, 1e9),
    per_replica=st.floats(1e-3, 1e6),
    current=st.none() | st.integers(0, 10_000),
    least=st.integers(1, 50),
    more=st.none() | st.integers(0, 1000),
)
def test_a_hint_is_within_bounds_and_its_load_leads_to_it_whatever_the_demand(load, per_replica, current, least, more):
    scaling = Scaling(min_replicas=least, max_replicas=None if more is None else least + more)

    hint = decided(load, scaling, per_replica=per_replica, current_replicas=current)

    assert least <= hint.replicas <= (least + more if more is not None else math.inf)
    assert max(1, math.ceil(hint.load / per_replica - 1e-5)) == hint.replicas
    assert hint.replicas <= max(least, 2 * max(current or 0, least), max(current or 0, least) + 4)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), min_size=1, max_size=40))
def test_a_hint_is_never_below_what_the_demand_needs_within_the_rise(steps):
    hints = decided_in_turn(*[load for load, _ in steps], caller_fails=[fails for _, fails in steps])

    for (load, _), hint in zip(steps, hints, strict=True):
        assert hint.floor >= hint.replicas >= min(10, max(1, math.ceil(load / 100 - 1e-5)))
