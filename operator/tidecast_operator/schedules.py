"""
Schedules in cron's five fields, in UTC. Pure.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = ("minute", "hour", "day of the month", "month", "day of the week")
_LONGEST_SEARCH_MINUTES = 2 * 24 * 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    When something is due.

    Attributes:
        text: As it was written.
        fields: The allowed minutes, hours, days, months and weekdays (0 is Sunday).
    """

    text: str
    fields: tuple[frozenset[int], ...]

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """
        From five fields of numbers, `*`, `a-b`, `*/n`, `a-b/n` and lists of them.

        Raises:
            ValueError: If it is none; the text names the field.
        """
        parts = text.split()
        if len(parts) != len(_BOUNDS):
            raise ValueError(f"{text!r} has {len(parts)} fields, not 5")
        allowed = [_field(part, bounds, name) for part, bounds, name in zip(parts, _BOUNDS, _NAMES, strict=True)]
        allowed[4] = frozenset(day % 7 for day in allowed[4])
        return cls(text, tuple(allowed))

    def matches(self, time: datetime) -> bool:
        """Whether the minute of *time* (UTC) is due; of day and weekday one is enough when both are restricted."""
        minutes, hours, days, months, weekdays = self.fields
        if time.minute not in minutes or time.hour not in hours or time.month not in months:
            return False
        by_day, by_weekday = time.day in days, time.isoweekday() % 7 in weekdays
        if len(days) < 31 and len(weekdays) < 7:
            return by_day or by_weekday
        return by_day and by_weekday

    def is_due_between(self, after: int, until: int) -> bool:
        """Whether a minute in (after, until], unix seconds, is due; of a long time the last two days count."""
        first = max(after // 60, until // 60 - _LONGEST_SEARCH_MINUTES) + 1
        return any(
            self.matches(datetime.fromtimestamp(minute * 60, UTC)) for minute in range(int(first), until // 60 + 1)
        )


def _field(part: str, bounds: tuple[int, int], name: str) -> frozenset[int]:
    allowed: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        low, _, high = span.partition("-")
        try:
            first = bounds[0] if span == "*" else int(low)
            last = bounds[1] if span == "*" or (step and not high) else int(high or low)
            values = range(first, last + 1, int(step or 1))
        except ValueError as error:
            raise ValueError(f"{item!r} is no {name}") from error
        if not values or not bounds[0] <= first <= last <= bounds[1]:
            raise ValueError(f"{item!r} is no {name} from {bounds[0]} to {bounds[1]}")
        allowed.update(values)
    return frozenset(allowed)
