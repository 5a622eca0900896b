"""
What mostly stays exactly what it is has that for its median, and nothing else is held where it is.
"""

import numpy as np
import pytest

from tidecast_predictor.standing import Standing
from tidecast_predictor.track_record import TrackRecord, mix_online

SERVICES, FEATURES, HORIZON = 2, 1, 3
ORIGINS = 400
FAR = -1000.0
"""A usual level that the newest value never is at."""


def steps(seed=6):
    """At one of ten moments it moves."""
    rng = np.random.default_rng(seed)
    return np.cumsum((rng.random(ORIGINS + 1) < 0.1) * rng.normal(size=ORIGINS + 1)) + 10


def excursions(usual=10.0):
    """At its usual level two thirds of the time, else each time somewhere else."""
    rng = np.random.default_rng(9)
    return np.where(rng.random(ORIGINS + 1) < 0.67, usual, rng.normal(15, 1, ORIGINS + 1))


def near(course):
    """A network that comes near the newest value."""
    return course[:-1] + 0.1 * np.random.default_rng(7).normal(size=ORIGINS)


def forecasts(course, network, usual=FAR):
    """What is weighed at each origin, (S, N, F, H, E), and what came true one step later, at all steps ahead alike."""
    newest, came = (part.astype(np.float32) for part in (course[:-1], course[1:]))
    values = np.stack([network, newest, newest + 1, np.full_like(newest, usual)], axis=-1)
    shape = (ORIGINS, SERVICES, FEATURES, HORIZON)
    return (
        np.broadcast_to(values[:, None, None, None], (*shape, 4)).astype(np.float32),
        np.broadcast_to(came[:, None, None, None], shape).astype(np.float32),
    )


def told(said, came, *, squared=False):
    return mix_online(said, came, np.arange(len(came)), squared=squared)[100:, 0, 0, 0]


def is_newest(values, said):
    """Of the origins told of, whether the newest value is told; a rush that a network may foresee leaves a hair."""
    return np.isclose(values, said[100:, 0, 0, 0, 1], rtol=0, atol=1e-3)


def taught(said, came, moments=100, standing=None):
    standing = Standing.none(SERVICES, FEATURES, HORIZON) if standing is None else standing
    for origin in range(moments):
        standing.learn(0, said[origin, :, :, 0], came[origin, :, :, 0])
    return standing


class TestWhatMovesNowAndThen:
    SAID, CAME = forecasts(steps(), near(steps()))

    def test_has_the_newest_value_for_its_median(self):
        assert is_newest(told(self.SAID, self.CAME), self.SAID).mean() > 0.95

    def test_has_another_mean(self):
        assert is_newest(told(self.SAID, self.CAME, squared=True), self.SAID).mean() < 0.05
        assert TrackRecord.none(SERVICES, FEATURES, HORIZON, squared=True).standing is None

    def test_is_told_as_before_once_it_moves_all_the_time(self):
        course = steps()
        course[200:] += np.random.default_rng(8).normal(size=len(course) - 200)
        said, came = forecasts(course, near(course))
        held = is_newest(told(said, came), said)
        assert held[:100].mean() > 0.95
        assert held[150:].mean() < 0.05

    def test_does_not_hold_down_a_rush_that_the_network_alone_foresees(self):
        said = self.SAID.copy()
        said[-1, ..., 0] += 10_000
        assert told(said, self.CAME)[-1] > said[-1, 0, 0, 0, 1] + 9_000

    def test_is_told_exactly(self):
        record = TrackRecord.none(SERVICES, FEATURES, HORIZON)
        for origin in range(100):
            record.learn(0, self.SAID[origin, :, :, 0], self.CAME[origin, :, :, 0])
        said = self.SAID[100]
        assert np.array_equal(record.mixed(said)[..., 0], said[:, :, 0, 1])

    @pytest.mark.parametrize(("apart", "stays"), [(1e-7, True), (1e-4, False)])
    def test_is_the_same_but_for_rounding(self, apart, stays):
        said = self.SAID.copy()
        standing = taught(said, said[..., 1] * np.float32(1 + apart))
        assert standing.stays(said[100])[..., 0].all() == stays


class TestWhatComesBackToItsUsualLevel:
    def test_stays_there_and_is_not_held_elsewhere(self):
        course = excursions()
        said, came = forecasts(course, near(course), usual=10)
        held, is_away = is_newest(told(said, came), said), course[100:-1] != 10
        assert held[~is_away].mean() > 0.95
        assert held[is_away].mean() < 0.05

    def test_is_left_to_a_network_that_knows_better_what_is_usual(self):
        course = excursions()
        said, came = forecasts(course, np.full(ORIGINS, 10.0))
        assert np.abs(told(said, came)[course[100:-1] != 10] - 10).mean() < 0.1

    @pytest.mark.parametrize("idle", [0.0, 20.0])
    def test_is_not_held_idle_before_a_job_that_the_network_foresees(self, idle):
        rng = np.random.default_rng(11)
        runs = np.arange(ORIGINS + 1) % 20 >= 15
        course = np.where(runs, idle + 50 + rng.normal(size=ORIGINS + 1), idle)
        network = np.where(runs[1:], idle + 50 + 3 * rng.normal(size=ORIGINS), idle + 0.01)
        said, came = forecasts(course, network, usual=idle)
        begins = (course[100:-1] == idle) & runs[101:]
        assert np.abs(told(said, came)[begins] - network[100:][begins]).max() < 5


class TestWhatIsKnown:
    SAID, CAME = forecasts(steps(), near(steps()))

    def test_is_nothing_of_a_newcomer(self):
        standing = taught(self.SAID, self.CAME)
        other = standing.of(np.array([1, -1]))
        assert np.array_equal(other.shares_2NFH[:, 0], standing.shares_2NFH[:, 1])
        assert np.array_equal(other.worse_2NFH[:, 0], standing.worse_2NFH[:, 1])
        assert other.stays(self.SAID[100])[:, 0, 0].tolist() == [True, False]
        assert (other.worse_2NFH[:, 1] == 0).all()

    def test_is_of_each_step_ahead_by_itself(self):
        assert taught(self.SAID, self.CAME).stays(self.SAID[100])[0, 0].tolist() == [True, False, False]

    def test_takes_the_place_of_what_was_held(self):
        held = Standing.none(SERVICES, FEATURES, HORIZON)
        held.put(np.array([1]), taught(self.SAID, self.CAME).of(np.array([0])))
        assert held.stays(self.SAID[100])[:, 0, 0].tolist() == [False, True]
        assert held.worse_2NFH[0, 1, 0, 0] < 0
        assert (held.worse_2NFH[0, 0] == 0).all()

    def test_is_not_changed_by_what_a_copy_learns(self):
        standing = Standing.none(SERVICES, FEATURES, HORIZON)
        taught(self.SAID, self.CAME, standing=standing.copy())
        assert (standing.shares_2NFH == 0).all()
        assert (standing.worse_2NFH == 0).all()

    def test_is_not_changed_where_nothing_was_measured(self):
        standing = taught(self.SAID, self.CAME)
        before = standing.copy()
        taught(self.SAID, np.full_like(self.CAME, np.nan), standing=standing)
        np.testing.assert_array_equal(standing.shares_2NFH, before.shares_2NFH)
        np.testing.assert_array_equal(standing.worse_2NFH, before.worse_2NFH)

    def test_is_not_changed_where_the_newest_value_was_not_known(self):
        standing = taught(self.SAID, self.CAME)
        before, unknown = standing.copy(), self.SAID.copy()
        unknown[..., 1] = unknown[..., 0]  # the network's word in its place
        taught(unknown, self.CAME, standing=standing)
        np.testing.assert_array_equal(standing.shares_2NFH, before.shares_2NFH)
        np.testing.assert_array_equal(standing.worse_2NFH, before.worse_2NFH)
