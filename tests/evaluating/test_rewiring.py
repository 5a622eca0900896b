"""
The placebo graph: as many calls of as many services, and not those that are.
"""

import numpy as np
import pytest

from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.evaluation.rewiring import rewired


def graph(services=30, calls=90):
    pairs = [(a, b) for a in range(services) for b in range(services) if a != b]
    places = np.random.default_rng(0).choice(len(pairs), calls, replace=False)
    return np.array([pairs[place] for place in places], np.int64).T


def test_everyone_calls_as_many_and_is_called_by_as_many():
    before, after = graph(), rewired(graph(), seed=1)

    assert np.array_equal(before[0], after[0])
    assert np.array_equal(np.bincount(before[1]), np.bincount(after[1]))


def test_most_calls_are_others_and_none_is_double_or_of_oneself():
    before, after = (set(map(tuple, calls.T.tolist())) for calls in (graph(), rewired(graph(), seed=1)))

    assert len(after) == 90
    assert all(a != b for a, b in after)
    assert len(before & after) < 30


def test_a_seed_gives_one_graph_and_another_seed_another():
    assert np.array_equal(rewired(graph(), 1), rewired(graph(), 1))
    assert not np.array_equal(rewired(graph(), 1), rewired(graph(), 2))


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([[0, 0, 0], [1, 2, 3]], id="a star"),
        pytest.param([[0, 0, 0, 1, 1, 1, 2, 2, 2], [3, 4, 5, 3, 4, 5, 3, 4, 5]], id="everyone calls everyone below"),
    ],
)
def test_where_no_two_calls_can_be_swapped_others_are_drawn_among_the_same_services(calls):
    before = np.array(calls)

    after = rewired(before, 0)

    assert (after[0] != after[1]).all()
    assert set(after.ravel().tolist()) <= set(before.ravel().tolist())
    made, real = (set(map(tuple, calls.T.tolist())) for calls in (after, before))
    assert (len(made), made & real) == (before.shape[1], set())


def test_where_everyone_calls_everyone_there_is_no_placebo():
    everyone = np.array([(a, b) for a in range(4) for b in range(4) if a != b]).T

    with pytest.raises(CannotForecast, match="100% of the calls would be real"):
        rewired(everyone, 0)


def test_calls_that_are_listed_twice_are_rewired_alike():
    calls = np.concatenate([graph(), graph()[:, :40]], axis=1)

    after = rewired(calls, 0)

    assert np.array_equal(after[:, :40], after[:, 90:])
    assert len(set(map(tuple, calls.T.tolist())) & set(map(tuple, after.T.tolist()))) < 45


def test_without_calls_there_is_nothing_to_rewire():
    assert rewired(graph()[:, :0], 0).shape == (2, 0)
