"""
What is known of capacities from cycle to cycle.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from builders.capacities import END, STEP, a_wandering_load, measured, queueing, service
from builders.operating import forecast_body
from tidecast_contract.features import CPU, REQUESTS
from tidecast_operator.hints.capacities import CapacityKeeper, is_wanted
from tidecast_operator.hints.load_learning import with_window
from tidecast_operator.hints.load_sketch import LoadSketch
from tidecast_operator.resources import ForecastResource

WEB = service("web")
WINDOW = 60


def a_day(seed=1):
    rng = np.random.default_rng(seed)
    load = a_wandering_load(rng, highest=95)
    return measured({WEB: {"load": load, "p95": queueing(load, rng)}})


def windows(day):
    """What the cycle has at each step."""
    for end in range(WINDOW, day.steps + 1):
        yield replace(day, values=day.values[end - WINDOW : end], end_time=int(day.times[end - 1]))


def resource(**scaling):
    return ForecastResource.parse(forecast_body(scaling=scaling) if scaling else forecast_body())


def test_windows_that_overlap_count_every_step_once():
    day, keeper = a_day(), CapacityKeeper()
    for window in windows(day):
        known = keeper.after(window)

    at_once = CapacityKeeper().after(day)

    assert known.of(WEB, REQUESTS).samples == pytest.approx(at_once.of(WEB, REQUESTS).samples, abs=2)
    assert known.of(WEB, REQUESTS).per_replica == pytest.approx(at_once.of(WEB, REQUESTS).per_replica, rel=0.16)


def test_a_cycle_that_is_woken_within_a_step_learns_nothing_twice():
    day, keeper = a_day(), CapacityKeeper()

    known = keeper.after(day)

    assert keeper.after(day).of(WEB, REQUESTS) == known.of(WEB, REQUESTS)


def test_what_was_told_before_stays_as_it_was_told():
    day, keeper = a_day(), CapacityKeeper()
    before = keeper.after(day)
    told = before.of(WEB, REQUESTS)

    keeper.learn(replace(day, end_time=END - 100 * 86_400 // STEP * STEP, values=day.values * np.float32(0.1)))
    keeper.after(replace(day, end_time=day.end_time + 3000 * STEP, values=day.values * np.float32(0.1)))

    assert before.of(WEB, REQUESTS) == told


def test_history_tells_of_loads_that_the_cycle_has_not_seen():
    keeper = CapacityKeeper()
    night = measured({WEB: {"load": np.full(90, 5.0), "p95": 0.02}})
    assert keeper.after(night).of(WEB, REQUESTS).per_replica == pytest.approx(5, rel=1e-3)

    keeper.learn(measured({WEB: {"load": np.full(90, 50.0), "p95": 0.02}}, end=END - 86_400, step=300))

    known = keeper.after(replace(night, end_time=END + STEP, values=night.values[:1]))
    assert known.of(WEB, REQUESTS).per_replica == pytest.approx(50, rel=1e-3)
    assert known.of(WEB, CPU).per_replica == pytest.approx(0.2, rel=1e-3)


def test_it_says_from_where_on_and_for_how_long_it_has_watched():
    day, keeper = a_day(), CapacityKeeper()
    assert keeper.begin_time is None
    assert keeper.watched_seconds == 0

    first, second, *_ = windows(day)
    keeper.after(first)
    keeper.after(second)

    assert keeper.begin_time == first.start_time - STEP
    assert keeper.watched_seconds == (WINDOW + 1) * STEP


def test_history_that_comes_in_beside_the_cycle_is_not_lost():
    keeper = CapacityKeeper()
    keeper.after(measured({WEB: {"load": np.full(3, 20.0), "p95": 0.02}}))
    parts = [measured({WEB: {"load": np.full(10, 20.0), "p95": 0.02}}, end=END - n * 3600) for n in range(1, 41)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keeper.learn, parts))

    sketch = LoadSketch.empty()
    for part in parts:
        sketch = with_window(sketch, part)
    known = keeper.after(measured({WEB: {"load": [20.0], "p95": 0.02}}, end=END + STEP))
    assert known.of(WEB, REQUESTS).samples == pytest.approx(float(sketch.samples[0, 0]) + 4, abs=2)


@pytest.mark.parametrize(
    ("scalings", "wanted"),
    [
        pytest.param([], False, id="no resource"),
        pytest.param([{}], False, id="no hints"),
        pytest.param([{"mode": "Preview", "perReplica": "120"}], False, id="given"),
        pytest.param([{"mode": "Preview", "perReplica": "120"}, {"mode": "Preview"}], True, id="one not given"),
    ],
)
def test_capacities_are_wanted_where_hints_are_and_none_is_given(scalings, wanted):
    assert is_wanted(resource(**scaling) for scaling in scalings) is wanted
