"""
The placebo graph: as many calls of as many services, and not those that are.
"""

import numpy as np

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


def test_a_graph_that_allows_no_swap_stays_as_it_is():
    star = np.array([[0, 0, 0], [1, 2, 3]])

    assert np.array_equal(rewired(star, 0), star)
    assert rewired(star[:, :0], 0).shape == (2, 0)
