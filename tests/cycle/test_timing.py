import pytest

from tidecast_operator.timing import last_step, seconds_until_next


def test_a_step_is_asked_for_once_it_has_settled():
    assert last_step(120.0 + 4.9, 60) == 60
    assert last_step(120.0 + 5.0, 60) == 120


def test_the_next_cycle_begins_when_the_next_step_has_settled():
    assert seconds_until_next(120.0 + 7, 60) == pytest.approx(58)


def test_a_cycle_that_took_too_long_leaves_steps_out():
    assert seconds_until_next(120.0 + 200, 60) == pytest.approx(45)


def test_short_steps_settle_sooner():
    assert last_step(101.0, 5) == 100
