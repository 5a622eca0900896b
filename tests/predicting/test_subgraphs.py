"""
Parts of a graph that is too large to look at as a whole.
"""

import numpy as np
import pytest

from builders.recordings import recording
from tidecast_predictor.subgraphs import Neighbourhoods, among, sample

CHAINS = np.array([[0, 1, 2, 4, 5, 6], [1, 2, 3, 5, 6, 7]])


def chains(steps=1):
    return recording(
        np.arange(8 * steps, dtype=np.float32).reshape(steps, 8), calls=CHAINS, rates=np.arange(6, dtype=np.float32)
    )


def test_a_part_holds_services_that_call_each_other():
    parts = Neighbourhoods(CHAINS, 8, limit=4, seed=0)
    assert {tuple(parts.draw().tolist()) for _ in range(6)} == {(0, 1, 2, 3), (4, 5, 6, 7)}


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_every_service_has_its_turn(limit):
    calls = np.unique(np.random.default_rng(0).integers(0, 200, (2, 300)), axis=1)
    parts = Neighbourhoods(calls, 200, limit=limit, seed=1)
    drawn = [parts.draw() for _ in range(200)]
    assert all(len(part) == limit and (np.diff(part) > 0).all() for part in drawn)
    assert set(np.concatenate(drawn).tolist()) == set(range(200))


def test_a_hub_does_not_crowd_out_what_is_around_it():
    callers = np.arange(1, 1001)
    star = np.stack([callers, np.zeros_like(callers)])
    parts = Neighbourhoods(star, 1001, limit=10, seed=0)
    drawn = [parts.draw() for _ in range(50)]
    assert all(0 in part for part in drawn)
    assert len({service for part in drawn for service in part.tolist()}) > 300


def test_parts_are_the_same_with_the_same_seed_only():
    once, again, other = (Neighbourhoods(CHAINS, 8, limit=3, seed=seed) for seed in (1, 1, 2))
    drawn = [[parts.draw().tolist() for _ in range(9)] for parts in (once, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_graph_within_the_limit_is_one_part():
    assert Neighbourhoods(CHAINS, 8, limit=64, seed=0).draw().tolist() == list(range(8))


def test_calls_are_kept_between_those_who_are_there():
    part = among(chains(3), np.array([1, 2, 4]))
    assert [service.name for service in part.services] == ["s1", "s2", "s4"]
    assert part.calls.tolist() == [[0], [1]]
    assert part.rates.tolist() == [1]
    assert part.values[:, :, 0].tolist() == [[1, 2, 4], [9, 10, 12], [17, 18, 20]]


def test_of_many_services_patches_from_all_over_the_graph_are_sampled():
    count = 400
    calls = np.array([[s for s in range(count) if s % 20], [s - 1 for s in range(count) if s % 20]])
    snapshot = recording(np.ones((1, count)), calls=calls, rates=np.ones(calls.shape[1], np.float32))
    chosen = sample(snapshot, 60, patch=10, seed=0)
    assert len(chosen) == 60
    assert len(set((chosen // 20).tolist())) >= 4
    assert among(snapshot, chosen).calls.shape[1] >= 40
