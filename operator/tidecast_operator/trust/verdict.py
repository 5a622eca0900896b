"""
Whether the forecasts of a service are to be trusted, from what came of them. Pure.

In doubt not: an autoscaler without a hint is as good as it was before there were hints. What is trusted stays so until
something speaks against it, and what is not has to show more than that to become it, so that it does not flap.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tidecast_operator.trust.skills import Skill

FEWEST_SAMPLES = 30.0
LEAST_SKILL = 0.05
"""What it takes to become trusted; to stay so any skill above 0 is enough."""

NARROWEST, NARROW = 0.65, 0.70
"""Shares of what came true between p10 and p90: below the first it is no longer trusted, above the second again."""

WORSE, LIKE_NAIVE = 1.2, 1.0
"""Errors of the last hour in those of the better naive method: above the first trust ends, at the second it returns."""

WIDEST, WIDE = 2.0, 1.5
"""Pinball losses of p90 in those of a naive one: above the first trust ends, at the second it returns."""


class Reason(StrEnum):
    """Why forecasts are trusted, or why not."""

    SKILLED = "Skilled"
    FORECAST_EXPIRED = "ForecastExpired"
    INPUT_STALE = "InputStale"
    TOO_FEW_SAMPLES = "TooFewSamples"
    DRIFT = "Drift"
    NO_SKILL = "NoSkill"
    COVERAGE_OFF = "CoverageOff"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the forecasts of a service are trusted, and why."""

    is_trusted: bool
    reason: Reason


def judge(skill: Skill | None, *, was_trusted: bool, is_expired: bool, is_stale: bool) -> Verdict:
    """
    The verdict on a service.

    Args:
        skill: Of its forecasts.
        was_trusted: What the verdict was before.
        is_expired: Whether its newest forecast has expired, or there is none.
        is_stale: Whether it was not measured lately.
    """
    reason = _against(skill, was_trusted=was_trusted, is_expired=is_expired, is_stale=is_stale)
    return Verdict(reason is None, Reason.SKILLED if reason is None else reason)


def _against(skill: Skill | None, *, was_trusted: bool, is_expired: bool, is_stale: bool) -> Reason | None:
    if is_expired:
        return Reason.FORECAST_EXPIRED
    if is_stale:
        return Reason.INPUT_STALE
    if skill is None or skill.samples < FEWEST_SAMPLES:
        return Reason.TOO_FEW_SAMPLES
    return _against_skill(skill, was_trusted=was_trusted)


def _against_skill(skill: Skill, *, was_trusted: bool) -> Reason | None:
    if skill.drifts:
        return Reason.DRIFT
    gained = skill.skill
    if gained is None or not np.isfinite(gained) or gained <= 0 or (not was_trusted and gained < LEAST_SKILL):
        return Reason.NO_SKILL
    if skill.lately is not None and skill.lately > (WORSE if was_trusted else LIKE_NAIVE):
        return Reason.DRIFT
    if skill.coverage is None or skill.coverage < (NARROWEST if was_trusted else NARROW):
        return Reason.COVERAGE_OFF
    if skill.cap is not None and skill.cap > (WIDEST if was_trusted else WIDE):
        return Reason.COVERAGE_OFF
    return None
