"""
What the condition `Trusted` says. Pure.
"""

from tidecast_operator.published import Condition
from tidecast_operator.trust.skills import Skill
from tidecast_operator.trust.verdict import Reason, judge

_MESSAGES = {
    Reason.SKILLED: "Its forecasts erred less than last value and the day before would have; see status.skill.",
    Reason.FORECAST_EXPIRED: "There is no forecast that has not expired; see ForecastFresh.",
    Reason.INPUT_STALE: "Its requests were not measured in the last steps; see MetricsAvailable.",
    Reason.TOO_FEW_SAMPLES: "Too few of its forecasts have come true yet; wait, or see status.skill.samples.",
    Reason.DRIFT: "Its latest forecasts err more than naive ones; trust returns when they are as good again.",
    Reason.NO_SKILL: "Its forecasts do not err less than last value or the day before would have; see status.skill.",
    Reason.COVERAGE_OFF: "Too much of what came true lay outside of p10 to p90, or, if status.skill.coverage is fine, p90 is far off.",
}


def trusted(
    skill: Skill | None, old: Condition | None, *, is_judged: bool, is_fresh: bool, is_measured: bool
) -> Condition:
    """
    The condition; its time and generation are not settled yet.

    Args:
        skill: How good past forecasts were; None where nothing came true yet.
        old: What it said before; None if it was never set.
        is_judged: Whether past forecasts were compared with what came true this time; if not, the old word stands.
        is_fresh: Whether there is a forecast that has not expired.
        is_measured: Whether the service was measured lately.
    """
    if is_fresh and not is_judged:
        return old or Condition("Trusted", "Unknown", "NotAssessed", "Known once forecasts have come true.")
    was_trusted = old is not None and old.status == "True"
    verdict = judge(skill, was_trusted=was_trusted, is_expired=not is_fresh, is_stale=not is_measured)
    return Condition("Trusted", str(verdict.is_trusted), verdict.reason.value, _MESSAGES[verdict.reason])
