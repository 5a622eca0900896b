"""
What goes into a sketch of past loads, and what counts for nothing.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from builders.capacities import END, STEP, a_wandering_load, measured, queueing, service
from builders.meshes import MONDAY, chain
from tidecast_contract.features import CPU, FEATURES, LATENCY_P95, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.services import EXTERNAL, ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.capacities import Capacities
from tidecast_operator.hints.load_learning import with_window
from tidecast_operator.hints.load_sketch import BINS, FADING_SECONDS, LOWEST, RATIO, LoadSketch, bin_of
from tidecast_simulator.load import Constant, Diurnal, Noise, Product
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import features

WEB, PAY, DB = service("web"), service("pay"), service("db")
DAY = 86_400


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def learned(*windows):
    sketch = LoadSketch.empty()
    for window in windows:
        sketch = with_window(sketch, window)
    return sketch


def capacity(sketch, of=WEB, signal=REQUESTS):
    return Capacities(sketch).of(of, signal)


def queue_window(rng, *, highest=95.0, **changes):
    load = a_wandering_load(rng, highest=highest)
    return measured({WEB: {"load": load, "p95": queueing(load, rng)}}, **changes)


def parts(window, *ends):
    """The same in pieces that end before these steps."""
    bounds = [0, *ends, window.steps]
    return [
        replace(
            window,
            values=window.values[begin:end],
            end_time=int(window.times[end - 1]),
        )
        for begin, end in itertools.pairwise(bounds)
    ]


def seconds(sketch):
    return {
        one: float(sketch.bins.seconds[row, 0].sum() + sketch.bins.unclear[row, 0].sum())
        for row, one in enumerate(sketch.services)
    }


@pytest.mark.parametrize("feature", [REQUESTS, LATENCY_P95, READY_REPLICAS], ids=lambda feature: feature.name)
def test_what_is_missing_changes_nothing(rng, feature):
    window = queue_window(rng)
    gone = np.full((500, *window.values.shape[1:]), 7.0, np.float32)
    gone[..., index_of(feature)] = np.nan
    later = replace(window, values=gone, end_time=window.end_time + 500 * STEP)

    before, after = learned(window), with_window(learned(window), later)

    faded = np.exp(-500 * STEP / FADING_SECONDS)
    np.testing.assert_allclose(after.bins.seconds[0, 0], before.bins.seconds[0, 0] * faded, rtol=1e-5)
    assert capacity(after).per_replica == pytest.approx(capacity(before).per_replica, rel=1e-5)


@pytest.mark.parametrize("hole", [0.2, 0.7])
def test_holes_at_random_leave_the_capacity_about_where_it_was(hole):
    rng = np.random.default_rng(1)
    window = queue_window(rng)
    values = window.values.copy()
    values[rng.random(values.shape) < hole / 3] = np.nan

    with_holes = capacity(learned(replace(window, values=values)))

    assert with_holes.per_replica == pytest.approx(capacity(learned(window)).per_replica, rel=0.16)


def test_without_ready_replicas_a_load_counts_for_nothing():
    window = measured({WEB: {"load": np.full(100, 20.0), "p95": 0.02, "replicas": 0.0}})

    assert seconds(learned(window))[WEB] == 0


def test_without_any_request_a_load_counts_for_nothing():
    assert seconds(learned(measured({WEB: {"load": np.zeros(100), "p95": 0.02}})))[WEB] == 0


def test_the_step_in_which_replicas_changed_counts_for_nothing():
    replicas = np.where(np.arange(100) < 50, 2.0, 4.0)
    window = measured({WEB: {"load": np.full(100, 20.0), "p95": 0.02, "replicas": replicas}})

    assert seconds(learned(window))[WEB] == pytest.approx(99 * STEP, rel=0.01)


def test_replicas_that_change_between_two_cycles_are_noticed():
    replicas = np.where(np.arange(100) < 99, 2.0, 4.0)
    window = measured({WEB: {"load": np.full(100, 20.0), "p95": 0.02, "replicas": replicas}})
    before = learned(parts(window, 99)[0])

    after = with_window(before, window, since=END - STEP)

    assert seconds(after)[WEB] <= seconds(before)[WEB]


def test_steps_that_were_taken_before_are_not_taken_again():
    window = measured({WEB: {"load": np.full(100, 20.0), "p95": 0.02}})
    once = learned(window)

    assert with_window(once, window, since=END) is once
    assert seconds(with_window(once, window, since=END - 10 * STEP))[WEB] == pytest.approx(110 * STEP, rel=0.01)


def test_in_pieces_and_in_any_order_the_same_is_learned(rng):
    window = queue_window(rng)
    pieces = parts(window, 700, 1500, 2400)

    forth, back, whole = learned(*pieces), learned(*reversed(pieces)), learned(window)

    for one in (forth, back):
        np.testing.assert_allclose(one.bins.seconds, whole.bins.seconds, rtol=1e-3, atol=1)
        assert capacity(one).per_replica == pytest.approx(capacity(whole).per_replica, rel=0.02)


def test_a_coarse_step_counts_for_as_much_time_as_the_fine_ones_it_holds():
    fine = measured({WEB: {"load": np.full(300, 20.0), "p95": 0.02}})
    coarse = measured({WEB: {"load": np.full(60, 20.0), "p95": 0.02}}, step=5 * STEP)

    assert seconds(learned(coarse))[WEB] == pytest.approx(seconds(learned(fine))[WEB], rel=1e-3)
    assert capacity(learned(coarse)) is None  # faded a little below 60 samples
    assert capacity(learned(fine)).samples == pytest.approx(300, rel=0.01)


def test_what_is_a_week_old_counts_for_less_whenever_it_comes_in():
    old = measured({WEB: {"load": np.full(100, 20.0), "p95": 0.02}}, end=END - 7 * DAY)
    new = measured({PAY: {"load": np.full(100, 20.0), "p95": 0.02}})

    for both in (seconds(learned(old, new)), seconds(learned(new, old))):
        assert both[WEB] == pytest.approx(both[PAY] * np.exp(-0.5), rel=0.01)


def test_services_keep_what_is_known_of_them_when_others_come_and_go(rng):
    load = a_wandering_load(rng, highest=60)
    first = {
        WEB: {"load": load, "p95": 0.02},
        PAY: {"load": load / 2, "p95": 0.03},
        DB: {"load": load / 4, "p95": 0.01},
    }
    sketch = learned(measured(first))
    known = {one: capacity(sketch, one).per_replica for one in (WEB, PAY, DB)}

    fresh = service("a-new-one")
    again = measured(
        {fresh: {"load": load[:3], "p95": 0.1}, DB: first[DB] | {"load": load[:3] / 4}}, end=END + 3 * STEP
    )
    sketch = with_window(sketch, again)

    assert sketch.services[:2] == (fresh, DB)
    assert {one: capacity(sketch, one).per_replica for one in (WEB, PAY, DB)} == pytest.approx(known, rel=0.01)
    assert capacity(sketch, fresh) is None


def test_a_service_of_another_name_begins_anew(rng):
    load = a_wandering_load(rng)
    sketch = with_window(
        learned(measured({WEB: {"load": load, "p95": 0.02}})),
        measured({service("web-v2"): {"load": load[:3], "p95": 0.02}}, end=END + 3 * STEP),
    )

    assert capacity(sketch, service("web-v2")) is None


def test_a_service_that_is_gone_for_two_weeks_is_forgotten():
    window = measured({WEB: {"load": np.full(100, 20.0), "p95": 0.02}})
    other = {PAY: {"load": np.full(3, 20.0), "p95": 0.02}}

    assert WEB in with_window(learned(window), measured(other, end=END + 13 * DAY)).services
    assert (
        WEB
        not in learned(window, measured(other, end=END + 15 * DAY), measured(other, end=END + 15 * DAY + 180)).services
    )


def test_peers_outside_the_cluster_take_no_room():
    peer = ServiceId("", EXTERNAL, "unknown")
    window = measured({peer: {"load": np.full(100, 20.0), "p95": 0.02}, WEB: {"load": np.full(100, 20.0), "p95": 0.02}})

    assert learned(window).services == (WEB,)
    assert capacity(learned(window)).per_replica == pytest.approx(20, rel=1e-3)


def slow_callee(rng, *, rate, callee_p95=2.0):
    """The callee is slow, and so its caller, whenever the caller's load is at its highest."""
    load = a_wandering_load(rng, highest=60)
    is_slow = load > 45
    return measured(
        {
            WEB: {"load": load, "p95": np.where(is_slow, 2.0, 0.03)},
            DB: {"load": load, "p95": np.where(is_slow, callee_p95, 0.01)},
        },
        calls=[(WEB, DB, rate)],
    )


def test_a_latency_that_a_slow_callee_may_have_made_sets_no_limit(rng):
    found = capacity(learned(slow_callee(rng, rate=60.0)))

    assert not found.is_limit
    assert found.per_replica < 46
    assert found.evidence.endswith("above, callees were slow or requests failed")


def test_a_callee_that_is_as_quick_as_ever_is_no_excuse(rng):
    assert capacity(learned(slow_callee(rng, rate=60.0, callee_p95=0.01))).is_limit


def test_a_callee_that_is_seldom_called_is_no_excuse(rng):
    assert capacity(learned(slow_callee(rng, rate=1.0))).is_limit


def test_the_slow_callee_itself_has_reached_its_limit(rng):
    found = capacity(learned(slow_callee(rng, rate=60.0)), DB)

    assert found.is_limit
    assert found.per_replica < 46


def test_requests_that_fail_quickly_do_not_show_that_latency_held(rng):
    load = a_wandering_load(rng, highest=90)
    errors = np.where(load > 60, 0.3, 0.0)

    found = capacity(learned(measured({WEB: {"load": load, "p95": 0.02, "errors": errors}})))

    assert found.per_replica < 62


def test_failures_that_are_usual_do_not_keep_it_from_learning(rng):
    load = a_wandering_load(rng, highest=60)

    assert capacity(learned(measured({WEB: {"load": load, "p95": 0.02, "errors": 0.08}}))).per_replica > 50


def test_where_most_requests_fail_all_the_time_nothing_is_learned(rng):
    load = a_wandering_load(rng)

    assert capacity(learned(measured({WEB: {"load": load, "p95": 0.02, "errors": 0.4}}))) is None


@pytest.mark.parametrize("load", [1e-9, 0.02, 0.5, 119.0, 1e4, 1e12])
def test_every_load_has_a_bin(load):
    place = bin_of(np.full(2, load))[0]

    assert 0 <= place < BINS
    if LOWEST[0] < load < LOWEST[0] * RATIO ** (BINS - 1):
        assert LOWEST[0] * RATIO**place <= load * 1.0001
        assert load < LOWEST[0] * RATIO ** (place + 1) * 1.0001


def test_an_empty_snapshot_is_taken():
    nothing = np.zeros((3, 0, len(FEATURES)), np.float32)
    window = Snapshot(END, STEP, (), nothing, np.zeros((2, 0), np.int64), np.zeros(0, np.float32))

    assert learned(window).services == ()


def test_cores_are_learned_where_requests_are_not_known(rng):
    window = measured({WEB: {"load": a_wandering_load(rng), "p95": 0.02}})
    window.values[:, :, index_of(REQUESTS)] = np.nan
    sketch = learned(window)

    assert capacity(sketch) is None
    assert capacity(sketch, signal=CPU).per_replica > 0


def test_what_was_known_before_stays_as_it_was(rng):
    before = learned(queue_window(rng))
    arrays = [*dict(before.bins.each()).values(), *dict(before.usual.each()).values(), before.samples, before.seen]
    copies = [array.copy() for array in arrays]

    with_window(before, queue_window(rng, end=END + DAY))

    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(("level", "is_limit"), [(0.5, False), (1.2, True)])
def test_of_simulated_services_it_is_below_the_true_capacity_and_not_far(level, is_limit):
    mesh = chain(entry_rps=140.0, replicas=2, capacity_rps=100.0, call={"retries": 0})
    simulation = Simulation(mesh, Product((Diurnal(0.4), Noise(), Constant(level))))
    truth = features(simulation, start=MONDAY, end=MONDAY + 2 * DAY)
    nothing = np.zeros((2, 0), np.int64), np.zeros(0, np.float32)

    sketch = learned(Snapshot(MONDAY + 2 * DAY, STEP, truth.services, truth.values, *nothing))

    back = capacity(sketch, service("back"))
    most = np.nanmax(truth.of(service("back"), REQUESTS)) / 2
    assert back.is_limit is is_limit
    assert 0.8 * min(most, 80) < back.per_replica < min(most, 100)
