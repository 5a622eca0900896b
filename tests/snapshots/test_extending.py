"""A window moves on by what was measured since."""

import numpy as np
import pytest

from builders.snapshots import CHECKOUT, FRONTEND, MIDDAY, snapshot
from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_operator import snapshots

NAN = float("nan")
CART = ServiceId("shop", "Deployment", "cart")
OUTSIDE = ServiceId("shop", "External", "unknown")


def part(value, *, steps=1, end_time=MIDDAY, **changes):
    """A snapshot that measured *value* throughout."""
    services = changes.get("services", (FRONTEND, CHECKOUT))
    table = np.full((steps, len(services), len(FEATURES)), value, dtype=np.float32)
    return snapshot(**({"values": table, "end_time": end_time} | changes))


def extend(window, new, *, steps):
    """As if all calls of the window had just been seen."""
    known = None if window is None else snapshots.Window.of(window)
    return snapshots.extend(known, new, steps=steps).snapshot


def column(result, service):
    return result.values[:, result.services.index(service), 0].tolist()


def rates(result):
    pairs = zip(result.calls.T.tolist(), result.rates.tolist(), strict=True)
    return {(result.services[caller], result.services[callee]): rate for (caller, callee), rate in pairs}


def test_without_a_window_the_new_snapshot_is_all():
    result = extend(None, part(1.0, steps=3), steps=5)
    assert (result.steps, column(result, CHECKOUT), rates(result)) == (3, [1, 1, 1], {(FRONTEND, CHECKOUT): 2.0})


def test_only_the_last_steps_are_kept():
    result = extend(part(1.0, steps=3), part(2.0, end_time=MIDDAY + 60), steps=3)
    assert (result.end_time, column(result, CHECKOUT)) == (MIDDAY + 60, [1, 1, 2])


def test_a_first_fill_longer_than_the_window_is_cut():
    assert extend(None, part(1.0, steps=9), steps=4).steps == 4


def test_steps_nobody_measured_are_missing():
    result = extend(part(1.0), part(2.0, end_time=MIDDAY + 180), steps=9)
    assert np.array_equal(column(result, CHECKOUT), [1, NAN, NAN, 2], equal_nan=True)


def test_a_step_measured_again_counts_as_measured_last_but_a_gap_takes_nothing_away():
    again = part(2.0, steps=2)
    again.values[0] = NAN
    assert column(extend(part(1.0, steps=3), again, steps=9), CHECKOUT) == [1, 1, 2]


def test_a_service_that_appeared_was_not_measured_before():
    new = part(2.0, end_time=MIDDAY + 60, services=(FRONTEND, CHECKOUT, CART))
    assert np.array_equal(column(extend(part(1.0, steps=2), new, steps=9), CART), [NAN, NAN, 2], equal_nan=True)


def test_services_may_stand_in_another_order():
    new = part(2.0, end_time=MIDDAY + 60, services=(CHECKOUT, FRONTEND), calls=np.array([[1], [0]]))
    new.values[:, 0] = 5.0
    result = extend(part(1.0, steps=2), new, steps=9)
    assert (column(result, CHECKOUT), rates(result)) == ([1, 1, 5], {(FRONTEND, CHECKOUT): 2.0})


@pytest.mark.parametrize(("old_steps", "expected"), [(3, 3.0), (9, 2.4)])
def test_rates_are_means_weighted_by_their_steps(old_steps, expected):
    new = part(2.0, end_time=MIDDAY + 60, rates=np.array([6.0], dtype=np.float32))
    assert rates(extend(part(1.0, steps=old_steps), new, steps=99)) == {(FRONTEND, CHECKOUT): pytest.approx(expected)}


def test_steps_measured_twice_weigh_once():
    new = part(2.0, steps=2, rates=np.array([6.0], dtype=np.float32))
    assert rates(extend(part(1.0, steps=3), new, steps=9))[FRONTEND, CHECKOUT] == pytest.approx((1 * 2 + 2 * 6) / 3)


def test_a_call_that_was_not_seen_again_fades():
    quiet = {"calls": np.zeros((2, 0), dtype=np.int64), "rates": np.zeros(0, dtype=np.float32)}
    result = extend(part(1.0, steps=3), part(1.0, end_time=MIDDAY + 60, **quiet), steps=9)
    assert rates(result) == {(FRONTEND, CHECKOUT): 1.5}


@pytest.mark.parametrize(("later", "is_known"), [(8, True), (9, False)])
def test_a_call_that_was_not_seen_for_a_window_is_forgotten(later, is_known):
    quiet = {"calls": np.zeros((2, 0), dtype=np.int64), "rates": np.zeros(0, dtype=np.float32)}
    window = snapshots.Window.of(part(1.0, steps=3))
    for step in range(1, later + 1):
        window = snapshots.extend(window, part(1.0, end_time=MIDDAY + 60 * step, **quiet), steps=9)
    assert ((FRONTEND, CHECKOUT) in rates(window.snapshot)) == is_known


def test_a_call_that_is_seen_now_and_then_is_not_forgotten():
    quiet = {"calls": np.zeros((2, 0), dtype=np.int64), "rates": np.zeros(0, dtype=np.float32)}
    window = snapshots.Window.of(part(1.0, steps=3))
    for step in range(1, 15):
        window = snapshots.extend(
            window, part(1.0, end_time=MIDDAY + 60 * step, **(quiet if step != 7 else {})), steps=9
        )
    assert (FRONTEND, CHECKOUT) in rates(window.snapshot)


def test_a_workload_without_calls_and_measurements_is_forgotten():
    window = part(1.0, services=(FRONTEND, CHECKOUT, CART), calls=np.array([[0, 0], [1, 2]]), rates=np.float32([2, 2]))
    result = extend(window, part(2.0, end_time=MIDDAY + 180), steps=3)
    assert (result.services, rates(result)) == ((FRONTEND, CHECKOUT), {(FRONTEND, CHECKOUT): 2.0})


def test_a_call_to_a_workload_without_a_measurement_left_is_forgotten_at_once():
    quiet = {"calls": np.zeros((2, 0), dtype=np.int64), "rates": np.zeros(0, dtype=np.float32)}
    window = part(1.0, steps=3)
    window.values[:, 1] = NAN
    result = extend(window, part(1.0, end_time=MIDDAY + 60, services=(FRONTEND,), **quiet), steps=9)
    assert (result.services, rates(result)) == ((FRONTEND,), {})


def test_a_callee_outside_is_kept_while_its_calls_last():
    services = (FRONTEND, OUTSIDE)
    window = part(NAN, services=services, steps=2)
    result = extend(window, part(NAN, end_time=MIDDAY + 60, services=(FRONTEND, CHECKOUT)), steps=3)
    assert (FRONTEND, OUTSIDE) in rates(result)


def test_a_window_of_another_step_counts_as_nothing():
    result = extend(part(1.0, steps=3, step_seconds=30), part(2.0, steps=2), steps=9)
    assert column(result, CHECKOUT) == [2, 2]


def test_an_empty_snapshot_extends_an_empty_window():
    empty = part(1.0, services=(), calls=np.zeros((2, 0), dtype=np.int64), rates=np.zeros(0, dtype=np.float32))
    assert extend(empty, empty, steps=3).services == ()
