"""
Whom to trust: not who is wrong, not who is unknown, and nobody back and forth.
"""

from dataclasses import replace

import numpy as np
import pytest

from builders.forecasts_past import BEGIN, HORIZON, Past, load
from tidecast_contract.features import REQUESTS
from tidecast_operator.trust.skills import Skill
from tidecast_operator.trust.verdict import Reason, judge

GOOD = Skill(REQUESTS, 300, 200.0, error=0.7, naive_error=1.0, bias=0.0, coverage=0.8, drifts=False)


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
        (replace(GOOD, lately=1.3), {}, Reason.DRIFT),
        (replace(GOOD, lately=1.3, error=1.1), {}, Reason.NO_SKILL),
        (replace(GOOD, error=1.0), {}, Reason.NO_SKILL),
        (replace(GOOD, error=float("nan")), {}, Reason.NO_SKILL),
        (replace(GOOD, error=0.0, naive_error=0.0), {}, Reason.NO_SKILL),
        (replace(GOOD, coverage=0.5), {}, Reason.COVERAGE_OFF),
        (replace(GOOD, coverage=None), {}, Reason.COVERAGE_OFF),
        (replace(GOOD, cap=2.1), {}, Reason.COVERAGE_OFF),
    ],
)
@pytest.mark.parametrize("was_trusted", [True, False])
def test_in_doubt_nobody_is_trusted(skill, given, reason, was_trusted):
    assert verdict(skill, was_trusted=was_trusted, **given).reason is reason


@pytest.mark.parametrize(
    "between",
    [replace(GOOD, error=0.98), replace(GOOD, coverage=0.67), replace(GOOD, lately=1.1), replace(GOOD, cap=1.8)],
)
def test_between_the_limits_it_stays_as_it_was(between):
    assert verdict(between, was_trusted=True).is_trusted
    assert not verdict(between, was_trusted=False).is_trusted


def test_last_value_has_no_skill_over_itself():
    past = Past()
    past.go(200, says=lambda _: np.repeat(past.measured[-1][:, None], HORIZON, axis=1))
    assert verdict(past.skill()).reason is Reason.NO_SKILL


def test_a_load_that_stands_still_needs_no_trust():
    past = Past().go(100, says=lambda step: load(np.zeros(HORIZON, int) + 1).T + 0 * step, measure=lambda *_: load(1))
    assert past.record.time > BEGIN
    assert verdict(past.skill()).reason is Reason.NO_SKILL
