from datetime import UTC, datetime

import pytest

from tidecast_operator.schedules import Schedule

SUNDAY = datetime(2026, 11, 22, 3, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("17 3 * * *", True),
        ("18 3 * * *", False),
        ("*/17 * * * *", True),
        ("1-20/8 * * * *", True),
        ("0,17 1-4 22 11 *", True),
        ("17 3 * * 0", True),
        ("17 3 * * 7", True),
        ("17 3 * * 1-5", False),
        ("17 3 1 * 0", True),
        ("17 3 1 * 1", False),
    ],
)
def test_a_minute_is_due_as_cron_has_it(text, matches):
    assert Schedule.parse(text).matches(SUNDAY) is matches


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("17 3 * *", "4 fields"),
        ("60 3 * * *", "minute"),
        ("a 3 * * *", "minute"),
        ("17 3 0 * *", "day of the month"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("17 3 * * 8", "day of the week"),
    ],
)
def test_what_is_no_schedule_is_refused(text, field):
    with pytest.raises(ValueError, match=field):
        Schedule.parse(text)


def test_a_minute_between_two_looks_is_due_once():
    schedule, due = Schedule.parse("17 3 * * *"), int(SUNDAY.timestamp())

    assert schedule.is_due_between(due - 30, due + 20)
    assert not schedule.is_due_between(due + 20, due + 50)
    assert not schedule.is_due_between(due - 300, due - 1)
