"""
Which step can be asked for, and when the next one can be. Pure.
"""

_LONGEST_SETTLE_SECONDS = 5.0  # the last scrape of a step has then been stored


def settle_seconds(step_seconds: int) -> float:
    """How long after a step has ended its measurements are asked for."""
    return min(_LONGEST_SETTLE_SECONDS, step_seconds / 5)


def last_step(now: float, step_seconds: int) -> int:
    """The last step that can be asked for."""
    return int((now - settle_seconds(step_seconds)) // step_seconds) * step_seconds


def seconds_until_next(now: float, step_seconds: int) -> float:
    """Until the next step has ended and settled; steps that have passed meanwhile are left out."""
    due = last_step(now, step_seconds) + step_seconds + settle_seconds(step_seconds)
    return max(due - now, 0.01)
