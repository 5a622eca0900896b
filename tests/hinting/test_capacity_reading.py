"""
What is read off a sketch: the load up to which p95 held, and never more than was seen.
"""

import numpy as np
import pytest

from builders.capacities import CAPACITY, CORES_PER_REQUEST, a_wandering_load, measured, queueing, service
from tidecast_contract.features import CPU, REQUESTS
from tidecast_operator.figures import figure
from tidecast_operator.hints.capacities import Capacities
from tidecast_operator.hints.load_learning import with_window
from tidecast_operator.hints.load_sketch import LoadSketch

WEB = service("web")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def learned(load, p95, signal=REQUESTS, **more):
    window = measured({WEB: {"load": load, "p95": p95} | more})
    return Capacities(with_window(LoadSketch.empty(), window)).of(WEB, signal)


def of_a_queue(rng, *, highest, signal=REQUESTS, **more):
    load = a_wandering_load(rng, highest=highest)
    return learned(load, queueing(load, rng), signal, **more)


@pytest.mark.parametrize("seed", range(5))
def test_the_knee_of_a_queue_is_found(seed):
    # From 5 to 95 percent of its capacity; at half the load of the lower half, which is 20 percent or so, p95 is 1.25
    # times that at rest, so it doubles at 60.
    capacity = of_a_queue(np.random.default_rng(seed), highest=95)

    assert capacity.is_limit
    assert 45 < capacity.per_replica < 72


@pytest.mark.parametrize("seed", range(5))
def test_a_capacity_is_never_above_the_highest_load_that_was_seen(seed):
    rng = np.random.default_rng(seed)
    load = np.exp(rng.normal(rng.uniform(-3, 6), rng.uniform(0, 1), 500))
    p95 = np.exp(rng.normal(-3, rng.uniform(0, 1), 500))
    for signal, unit in ((REQUESTS, 1), (CPU, CORES_PER_REQUEST)):
        capacity = learned(load, p95, signal)
        assert capacity.per_replica <= unit * load.max() * 1.0001
        assert capacity.per_replica >= unit * load.min() * 0.9999


def test_what_never_broke_is_no_limit_and_little_less_than_the_most_that_was_seen(rng):
    capacity = of_a_queue(rng, highest=40)

    assert not capacity.is_limit
    assert 34 < capacity.per_replica < 46
    assert "the most that was seen often" in capacity.evidence


def test_a_burst_of_a_minute_is_not_what_was_seen_often(rng):
    load = a_wandering_load(rng, highest=40)
    load[700] = 90

    assert learned(load, np.full(3000, 0.02)).per_replica < 50


def test_at_overload_measured_requests_saturate_and_the_knee_is_below_that(rng):
    offered = a_wandering_load(rng, highest=160)
    served = np.minimum(offered, 0.98 * CAPACITY * np.exp(0.01 * rng.standard_normal(3000)))
    p95 = np.where(offered > CAPACITY, 5.0, queueing(offered, rng))

    capacity = learned(served, p95)

    assert capacity.is_limit
    assert 45 < capacity.per_replica < 80


def test_throughput_that_collapses_at_overload_does_not_raise_the_capacity(rng):
    offered = a_wandering_load(rng, highest=130)
    served = np.where(offered > CAPACITY, 70.0, offered)
    p95 = np.where(offered > CAPACITY, 5.0, queueing(offered, rng))

    assert learned(served, p95).per_replica < 75


def test_one_noisy_load_in_the_middle_decides_nothing(rng):
    load = a_wandering_load(rng, highest=60)
    p95 = np.where((load > 30) & (load < 34), 0.05, 0.02)

    capacity = learned(load, p95)

    assert not capacity.is_limit
    assert capacity.per_replica > 50


def test_an_hour_of_outage_does_not_bring_down_what_weeks_have_shown(rng):
    load = a_wandering_load(rng, highest=60)
    p95 = np.full(3000, 0.02)
    p95[360:390] = 30.0  # at the top of the first wave, of four

    assert learned(load, p95).per_replica > 50


def test_a_capacity_in_cores_is_that_of_the_same_load():
    requests = of_a_queue(np.random.default_rng(3), highest=95)
    cores = of_a_queue(np.random.default_rng(3), highest=95, signal=CPU)

    assert cores.per_replica == pytest.approx(CORES_PER_REQUEST * requests.per_replica, rel=0.16)
    assert " cores a replica" in cores.evidence


def test_of_fewer_than_sixty_samples_nothing_is_told():
    assert learned(np.full(59, 20.0), np.full(59, 0.02)) is None
    assert learned(np.full(61, 20.0), np.full(61, 0.02)).per_replica == pytest.approx(20, rel=1e-4)


def test_of_another_service_nothing_is_told():
    window = measured({WEB: {"load": np.full(100, 20.0), "p95": 0.02}})

    assert Capacities(with_window(LoadSketch.empty(), window)).of(service("pay"), REQUESTS) is None


def test_the_evidence_says_what_it_rests_on(rng):
    capacity = of_a_queue(rng, highest=95)

    assert capacity.evidence == (
        f"p95 held up to {figure(capacity.per_replica)} requests/s a replica "
        f"in {capacity.samples} samples and rose above"
    )
    assert capacity.is_learned


def test_large_numbers_are_written_as_people_do():
    assert learned(np.full(100, 12_345.0), 0.02).evidence.startswith("12300 requests/s a replica")


def test_a_few_quick_measurements_above_the_knee_do_not_raise_the_capacity(rng):
    load = a_wandering_load(rng, highest=60)
    p95 = np.where((load > 45) & (load < 58), 0.1, 0.02)

    capacity = learned(load, p95)

    assert capacity.is_limit
    assert capacity.per_replica < 46


def test_measurements_that_are_far_off_now_and_then_count_as_slow_and_no_more(rng):
    load = a_wandering_load(rng, highest=60)
    p95 = np.where((load > 45) & (rng.random(len(load)) < 0.15), 60.0, 0.02)

    assert not learned(load, p95).is_limit


def test_a_load_that_was_seen_for_minutes_in_a_week_was_not_seen_often(rng):
    load = a_wandering_load(rng, steps=10_080, highest=40)
    load[5000:5012] = 90

    assert learned(load, np.full(10_080, 0.02)).per_replica < 50


def test_three_slow_minutes_are_no_limit(rng):
    load = a_wandering_load(rng, highest=40)
    load[700:703] = 60
    p95 = np.where(load == 60, 0.2, 0.02)

    assert not learned(load, p95).is_limit
