"""
Forecasts that are made wrong lose trust within the steps that docs/trust.md promises, and have it back; on a calm load
and on noisy ones.
"""

import copy

import numpy as np
import pytest

from builders.forecasts_past import HORIZON, SERVICES, Past, banded, knows, load
from tidecast_operator.trust.verdict import judge

FAR_STEPS, WRONG_STEPS = 25, 60
"""How soon trust ends where errors are three times those of last value, and where they are half as much again."""

RIGHT_AFTER_FAR_STEPS, RIGHT_STEPS = 90, 150
"""How soon it is back, when forecasts were far off, and when they were not."""

AHEAD, GOOD_STEPS, QUARTER = 5, 400, 15
NOISES = (0.02, 0.1, 0.3)


def shuffled(step):
    return np.random.default_rng(step).permutation(knows(step).ravel()).reshape(3, HORIZON)


MEDIANS = {
    "shuffled": shuffled,
    "four hours late": lambda step: knows(step - 240),
    "an hour late": lambda step: knows(step - 60),
    "ten times too much": lambda step: knows(step) * 10,
    "a tenth": lambda step: knows(step) * 0.1,
    "frozen": lambda _: knows(GOOD_STEPS),
}


class Watched:
    """A past, and who is trusted at present."""

    def __init__(self, noise):
        self.past = Past(noise)
        self.trusted = np.zeros(3, bool)

    def go(self, steps, says=knows):
        for _ in range(steps):
            self.past.go(1, says)
            skills = [self.past.skill(service, AHEAD * 60) for service in SERVICES]
            self.trusted = np.array(
                [
                    judge(skill, was_trusted=bool(before), is_expired=False, is_stale=False).is_trusted
                    for skill, before in zip(skills, self.trusted, strict=True)
                ]
            )
        return self


@pytest.fixture(scope="module")
def known():
    """Forecasts that were right so far, by the noise of the load."""
    return {noise: Watched(noise).go(GOOD_STEPS) for noise in NOISES}


@pytest.fixture(params=NOISES)
def good(known, request):
    return copy.deepcopy(known[request.param])


class Wrongness:
    """For how many steps what came true was of forecasts that erred so much more than last value, quarter by quarter."""

    def __init__(self, noise):
        self.noise, self.own, self.last = noise, [], []
        self.since = {1.5: np.zeros(3, int), 3.0: np.zeros(3, int)}

    def came(self, step, says):
        said, truth, newest = says(step - AHEAD)[:, AHEAD - 1], load(step), load(step - AHEAD)
        self.own.append(np.hypot(said - truth, self.noise * truth))
        self.last.append(np.hypot(newest - truth, self.noise * np.hypot(newest, truth)))
        ratio = np.mean(self.own[-QUARTER:], axis=0) / np.mean(self.last[-QUARTER:], axis=0)
        for least, since in self.since.items():
            self.since[least] = np.where(ratio >= least, since + 1, 0)


@pytest.mark.parametrize("says", MEDIANS.values(), ids=MEDIANS.keys())
def test_a_forecast_made_wrong_is_not_trusted_for_long_and_has_trust_back_when_it_is_right_again(good, says):
    assert good.trusted.all()
    wrongness, lost = Wrongness(good.past.noise), np.zeros(3, bool)
    good.go(AHEAD, says)
    for _ in range(400):
        good.go(1, says)
        wrongness.came(good.past.step, says)
        lost |= ~good.trusted
        assert not (good.trusted & (wrongness.since[1.5] >= WRONG_STEPS)).any()
        assert not (good.trusted & (wrongness.since[3.0] >= FAR_STEPS)).any()
        if lost.all():
            break
    # On a noisy load a forecast that is an hour late still errs less than last value, and rightly keeps trust.
    assert lost.all() or all((since < WRONG_STEPS).any() for since in wrongness.since.values())

    good.go(AHEAD + RIGHT_STEPS)
    assert good.trusted.all()


@pytest.mark.parametrize("factor", [10, 3])
def test_a_p90_far_too_high_costs_trust_though_all_that_comes_is_below_it(good, factor):
    def says(step):
        return banded(knows(step), good.past.noise) * [1, 1, factor]

    lost = np.zeros(3, bool)
    for _ in range(AHEAD + WRONG_STEPS):
        lost |= ~good.go(1, says).trusted
    assert lost.all()

    good.go(AHEAD + RIGHT_STEPS)
    assert good.trusted.all()


def test_a_p90_that_was_too_high_from_the_beginning_is_never_trusted():
    past, ever = Watched(0.1), np.zeros(3, bool)
    for _ in range(200):
        ever |= past.go(1, lambda step: banded(knows(step), 0.1) * [1, 1, 10]).trusted
    assert not ever.any()


def test_a_p10_that_is_too_low_costs_nothing_for_nobody_leans_on_it(good):
    good.go(200, lambda step: banded(knows(step), good.past.noise) * [0, 1, 1])
    assert good.trusted.all()


@pytest.mark.parametrize("factors", [(10, 10, 10), (1, 1, 10)], ids=["forecast", "p90"])
def test_hours_of_nonsense_cost_no_more_than_minutes_of_it(known, factors):
    good = copy.deepcopy(known[0.1])
    good.go(300, lambda step: banded(knows(step), 0.1) * factors)
    assert not good.trusted.any()

    good.go(AHEAD + RIGHT_AFTER_FAR_STEPS)

    assert good.trusted.all()
