"""
The HorizontalPodAutoscaler of the replay against what Kubernetes documents.
"""

import numpy as np
import pytest

from builders.replays import bounds, pods
from tidecast_operator.replaying.autoscaler import Autoscaler, Behaviour, Bounds, Pods, Policy, recommended

TARGET = np.array([100.0])


def asks_for(load, now, target=TARGET):
    return recommended(now, np.array([float(load)]), target, tolerance=0.1).tolist()[0]


class Watched:
    """One autoscaler whose pods are ready at once, synced every 15 seconds."""

    def __init__(self, replicas, behaviour=None, **limits):
        self.autoscaler, self.replicas, self.time, self.bounds = Autoscaler(behaviour), replicas, 0, bounds(**limits)

    def syncs(self, load, times=1):
        seen = []
        for _ in range(times):
            self.time += 15
            now = pods(self.replicas)
            self.replicas = int(self.autoscaler.sync(self.time, now, np.array([load]), TARGET, self.bounds)[0])
            seen.append(self.replicas)
        return seen


@pytest.mark.parametrize(
    ("load", "replicas", "wanted"),
    [(800, 4, 8), (200, 4, 2), (401, 4, 4), (440, 4, 4), (441, 4, 5), (360, 4, 4), (359, 4, 4), (300, 4, 3), (0, 4, 0)],
)
def test_replicas_follow_the_ratio_rounded_up_beyond_the_tolerance(load, replicas, wanted):
    assert asks_for(load, pods(replicas)) == wanted


def test_starting_pods_count_as_idle_when_more_are_asked_for():
    assert asks_for(600, pods(4, starting=1)) == 6
    assert asks_for(600, pods(4, starting=2)) == 6  # six are there already: nothing changes
    assert asks_for(500, pods(4, starting=2)) == 6  # idle ones turn the ratio around


def test_starting_pods_do_not_count_when_fewer_are_asked_for():
    assert asks_for(300, pods(4, starting=4)) == 3


def test_what_was_not_measured_changes_nothing():
    assert asks_for(np.nan, pods(4)) == 4
    assert Watched(4).syncs(np.nan, 100) == [4] * 100


def test_it_rises_by_four_or_to_twice_as_many_in_a_quarter_of_a_minute():
    assert Watched(1).syncs(10_000.0, 5) == [5, 10, 20, 40, 80]


def test_a_rise_is_not_put_off():
    assert Watched(4).syncs(800.0) == [8]


def test_it_falls_to_the_highest_recommendation_of_five_minutes():
    watched = Watched(8)
    watched.syncs(800.0, 4)
    watched.syncs(500.0)

    assert watched.syncs(200.0, 18) == [8] * 18
    assert watched.syncs(200.0, 2) == [5, 2]


def test_a_moment_without_measurement_does_not_end_the_five_minutes():
    watched = Watched(8)
    watched.syncs(800.0)
    watched.syncs(200.0, 10)
    watched.syncs(np.nan, 30)

    assert watched.replicas == 8
    assert watched.syncs(200.0) == [2]


def test_beyond_its_bounds_it_goes_to_them_at_once_whatever_the_load():
    assert Watched(2, lowest=30).syncs(np.nan) == [30]
    assert Watched(50, highest=10).syncs(9_000.0) == [10]
    assert Watched(50, highest=10).syncs(100.0) == [10]
    assert Watched(4, highest=6).syncs(9_000.0) == [6]
    assert Watched(4, lowest=3).syncs(0.0, 40)[-1] == 3


def test_a_floor_that_is_lowered_leaves_nothing_behind():
    watched = Watched(4)
    watched.syncs(400.0, 30)
    watched.bounds = bounds(lowest=20)
    watched.syncs(400.0, 30)
    watched.bounds = bounds(lowest=1)

    assert watched.replicas == 20
    assert watched.syncs(400.0) == [4]  # its own recommendations never were 20


def test_policies_bound_what_changes_within_their_period():
    slow = Behaviour(rise=(Policy(pods=2, period_seconds=60),), fall=(Policy(percent=50, period_seconds=60),))
    rising, falling = Watched(4, slow), Watched(16, Behaviour(fall_window_seconds=0, fall=slow.fall))

    assert rising.syncs(9_000.0, 9) == [6, 6, 6, 6, 8, 8, 8, 8, 10]
    assert falling.syncs(0.0, 6) == [8, 8, 8, 8, 4, 4]


def test_without_a_policy_it_stays():
    assert Watched(4, Behaviour(rise=())).syncs(800.0) == [4]


def test_a_window_for_rising_takes_the_lowest_recommendation():
    watched = Watched(4, Behaviour(rise_window_seconds=60))
    watched.syncs(400.0)

    assert watched.syncs(800.0, 5) == [4, 4, 4, 8, 8]


def test_workloads_know_nothing_of_each_other():
    chance = np.random.default_rng(1)
    loads = chance.uniform(0, 3000, (200, 5))
    loads[chance.random(loads.shape) < 0.1] = np.nan
    together, now = Autoscaler(), np.array([3, 3, 3, 3, 3])
    alone = [Watched(3) for _ in range(5)]
    for step, load in enumerate(loads, 1):
        limits = Bounds(np.full(5, 1), np.full(5, 100))
        now = together.sync(step * 15, Pods(now, np.zeros(5, int)), load, np.full(5, 100.0), limits)
        assert now.tolist() == [one.syncs(own)[0] for one, own in zip(alone, load, strict=True)]
