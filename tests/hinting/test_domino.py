from dataclasses import replace

import numpy as np

from tidecast_contract.features import ERRORS, FEATURES, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.domino import Lee, in_the_lee, without

NAMES = ("web", "cart", "pay", "search")
CALLS = np.array([[0, 1, 0], [1, 2, 3]])


def window(errors=(), replicas=(), *, steps=30):
    """Web calls cart and search, cart calls pay; errors and replicas are given as (name, from step, value)."""
    values = np.full((steps, len(NAMES), len(FEATURES)), np.nan, np.float32)
    values[..., index_of(REQUESTS)] = 100
    values[..., index_of(ERRORS)] = 0.001
    values[..., index_of(READY_REPLICAS)] = 3
    for feature, changes in ((ERRORS, errors), (READY_REPLICAS, replicas)):
        for name, since, value in changes:
            values[since:, NAMES.index(name), index_of(feature)] = value
    services = tuple(ServiceId("shop", "Deployment", name) for name in NAMES)
    return Snapshot(60 * steps, 60, services, values, CALLS, np.ones(3, np.float32))


def lee(**changes):
    return {service.name for service in in_the_lee(window(**changes))}


def test_nobody_is_in_the_lee_while_all_is_well():
    assert lee() == set()


def test_all_that_a_failing_service_calls_is_in_its_lee_also_by_others():
    assert lee(errors=[("web", 27, 0.4)]) == {"cart", "pay", "search"}


def test_what_calls_a_failing_service_is_not():
    assert lee(errors=[("cart", 27, 0.4)]) == {"pay"}


def test_a_service_that_always_had_errors_does_not_fail():
    assert lee(errors=[("web", 0, 0.2)]) == set()


def test_a_few_errors_more_are_no_failure():
    assert lee(errors=[("web", 27, 0.03)]) == set()


def test_a_service_that_lost_all_its_replicas_fails():
    assert lee(replicas=[("cart", 27, 0)]) == {"pay"}


def test_a_service_that_has_no_replicas_by_design_does_not():
    assert lee(replicas=[("cart", 0, 0)]) == set()


def test_what_is_not_measured_is_no_failure():
    assert lee(errors=[("web", 0, np.nan)], replicas=[("web", 0, np.nan)]) == set()


def test_a_short_window_knows_no_usual_errors():
    assert lee(errors=[("web", 0, 0.2)], steps=5) == {"cart", "pay", "search"}


def test_who_is_in_the_lee_for_too_long_is_not_counted_any_more():
    lee, failing = Lee(), window(errors=[("web", 27, 0.4)])
    later = replace(failing, end_time=failing.end_time + 3660)

    assert lee.lately(failing, longest_seconds=3600)
    assert lee.lately(later, longest_seconds=3600) == frozenset()


def test_a_failure_that_ended_and_comes_again_begins_anew():
    lee, failing = Lee(), window(errors=[("web", 27, 0.4)])
    lee.lately(failing, longest_seconds=60)
    lee.lately(replace(window(), end_time=failing.end_time + 60), longest_seconds=60)

    assert lee.lately(replace(failing, end_time=failing.end_time + 120), longest_seconds=60)


def test_what_is_left_out_is_not_measured_and_the_rest_is():
    whole = window()

    left = without(whole, frozenset({whole.services[1]}))

    assert np.isnan(left.values[:, 1]).all()
    np.testing.assert_array_equal(left.values[:, 0], whole.values[:, 0])
    assert np.isfinite(whole.values[:, 1, 0]).all()
