"""
Whom to trust: not who is wrong, not who is unknown, and nobody back and forth.
"""

from dataclasses import replace

import numpy as np
import pytest

from builders.forecasts_past import BEGIN, HORIZON, SERVICES, Past, knows, load
from tidecast_contract.features import REQUESTS
from tidecast_operator.trust.skills import Skill
from tidecast_operator.trust.verdict import Reason, judge

GOOD = Skill(REQUESTS, 300, 200.0, error=0.7, naive_error=1.0, bias=0.0, coverage=0.8, drifts=False)
WRONG_STEPS, RIGHT_STEPS = 25, 90
"""What docs/trust.md promises: how soon trust ends after the first wrong moment has come, and how soon it is back."""


def verdict(skill, **given):
    return judge(skill, **({"was_trusted": False, "is_expired": False, "is_stale": False} | given))


def test_who_is_better_than_naive_is_trusted():
    assert verdict(GOOD).is_trusted
    assert verdict(GOOD).reason is Reason.SKILLED


@pytest.mark.parametrize(
    ("skill", "given", "reason"),
    [
        (GOOD, {"is_expired": True}, Reason.FORECAST_EXPIRED),
        (GOOD, {"is_stale": True}, Reason.INPUT_STALE),
        (None, {}, Reason.TOO_FEW_SAMPLES),
        (replace(GOOD, samples=29.0), {}, Reason.TOO_FEW_SAMPLES),
        (replace(GOOD, drifts=True), {}, Reason.DRIFT),
        (replace(GOOD, error=1.0), {}, Reason.NO_SKILL),
        (replace(GOOD, error=float("nan")), {}, Reason.NO_SKILL),
        (replace(GOOD, error=0.0, naive_error=0.0), {}, Reason.NO_SKILL),
        (replace(GOOD, coverage=0.5), {}, Reason.COVERAGE_OFF),
        (replace(GOOD, coverage=None), {}, Reason.COVERAGE_OFF),
    ],
)
@pytest.mark.parametrize("was_trusted", [True, False])
def test_in_doubt_nobody_is_trusted(skill, given, reason, was_trusted):
    assert verdict(skill, was_trusted=was_trusted, **given).reason is reason


@pytest.mark.parametrize("between", [replace(GOOD, error=0.98), replace(GOOD, coverage=0.67)])
def test_between_the_limits_it_stays_as_it_was(between):
    assert verdict(between, was_trusted=True).is_trusted
    assert not verdict(between, was_trusted=False).is_trusted


def shuffled(step):
    return np.random.default_rng(step).permutation(knows(step).ravel()).reshape(3, HORIZON)


WRONG = {
    "shuffled": shuffled,
    "shifted by hours": lambda step: knows(step - 240),
    "ten times too much": lambda step: knows(step) * 10,
    "frozen": lambda _: knows(400),
}


def trusted(past, *, before):
    return [verdict(past.skill(service), was_trusted=before).is_trusted for service in SERVICES]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_forecast_made_wrong_loses_trust_and_has_it_back_when_it_is_right_again(wrong):
    past = Past().go(400)
    assert all(trusted(past, before=False))
    lost = np.zeros(3, bool)
    for _ in range(5 + (WRONG_STEPS if wrong is not WRONG["frozen"] else 240)):
        past.go(1, says=wrong)
        lost |= ~np.array(trusted(past, before=True))
    assert lost.all()
    past.go(5 + RIGHT_STEPS)
    assert all(trusted(past, before=False))


def test_an_honest_forecaster_is_not_suspected_of_drift_by_noise():
    past, drifted = Past().go(200), 0
    for _ in range(1000):
        drifted += past.go(1).record.drifts[:, 0].any()
    assert drifted == 0


def test_last_value_has_no_skill_over_itself():
    past = Past()
    past.go(200, says=lambda _: np.repeat(past.measured[-1][:, None], HORIZON, axis=1))
    assert verdict(past.skill()).reason is Reason.NO_SKILL


def test_a_load_that_stands_still_needs_no_trust():
    past = Past().go(100, says=lambda step: load(np.zeros(HORIZON, int) + 1).T + 0 * step, measure=lambda *_: load(1))
    assert past.record.time > BEGIN
    assert verdict(past.skill()).reason is Reason.NO_SKILL
