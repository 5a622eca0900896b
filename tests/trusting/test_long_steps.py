"""
Steps of a quarter of an hour, or of an hour, have as many moments to be judged by as short ones, only over a longer time.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from builders.forecasts_past import BEGIN, HORIZON, SERVICES, Past
from tidecast_operator.trust.comparing import aged, window_seconds
from tidecast_operator.trust.record import Record
from tidecast_operator.trust.verdict import Reason, judge

MINUTES, QUARTERS, HOURS = 60, 900, 3600
DAY = 86_400


@dataclass
class Paced(Past):
    """A past of steps of another length."""

    step_seconds: int = 60

    def __post_init__(self):
        super().__post_init__()
        self.record = Record.begin(step_seconds=self.step_seconds, horizon_steps=HORIZON, time=BEGIN)

    def window(self, services=SERVICES):
        made = super().window(services)
        end_time = BEGIN + self.step * self.step_seconds
        return replace(made, end_time=end_time, step_seconds=self.step_seconds)

    def verdict(self):
        return judge(self.skill(seconds=self.step_seconds), was_trusted=False, is_expired=False, is_stale=False)


def by_day(hours, step_seconds):
    """Measures so many hours of each day alone."""

    def measure(step, came):
        return came if step * step_seconds % DAY < hours * 3600 else came * np.nan

    return measure


@pytest.mark.parametrize("step_seconds", [MINUTES, QUARTERS, HOURS])
def test_some_thirty_moments_are_enough_however_long_a_step_is(step_seconds):
    past = Paced(step_seconds=step_seconds)
    assert past.go(29).verdict().reason is Reason.TOO_FEW_SAMPLES
    assert past.go(11).verdict().reason is not Reason.TOO_FEW_SAMPLES
    assert past.go(60).verdict().is_trusted


@pytest.mark.parametrize("step_seconds", [QUARTERS, HOURS])
def test_a_service_that_is_measured_eight_hours_a_day_is_trusted_within_a_week(step_seconds):
    past = Paced(step_seconds=step_seconds)
    past.go((6 * DAY + 8 * 3600) // step_seconds, measure=by_day(8, step_seconds))
    assert past.verdict().is_trusted


@pytest.mark.parametrize("step_seconds", [QUARTERS, HOURS])
def test_last_value_of_long_steps_is_not_trusted(step_seconds):
    def says(_):
        return np.repeat(past.measured[-1][:, None], HORIZON, axis=1)

    past = Paced(step_seconds=step_seconds)
    assert past.go(100, says).verdict().reason is Reason.NO_SKILL


@pytest.mark.parametrize(("step_seconds", "days"), [(15, 1), (60, 1), (300, 1), (900, 3), (3600, 12)])
def test_the_figures_tell_of_a_day_or_longer_where_a_day_has_few_steps(step_seconds, days):
    past = Paced(step_seconds=step_seconds).go(30)
    assert past.skill().window_seconds == window_seconds(step_seconds) == days * DAY


@pytest.mark.parametrize("step_seconds", [MINUTES, HOURS])
def test_a_time_that_was_not_measured_counts_the_same_whether_it_was_stepped_through_or_slept_through(step_seconds):
    past = Paced(step_seconds=step_seconds).go(40)
    slept = aged(past.record, until=past.record.time + 100 * step_seconds)
    past.go(100, measure=lambda _, came: came * np.nan)
    np.testing.assert_allclose(past.record.long.moments, slept.long.moments, rtol=1e-4)
    assert slept.time == past.record.time
