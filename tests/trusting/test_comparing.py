"""
What comes of past forecasts: compared at exactly their moments, beside what is naive.
"""

import numpy as np
import pytest

from builders.forecasts_past import BEGIN, HORIZON, NOISE, SERVICES, STEP, Past, banded, forecast, knows, load
from tidecast_contract.forecast import ModelKind
from tidecast_operator.trust.comparing import WINDOW_SECONDS, advance


def test_a_good_forecast_errs_by_the_noise_and_leaves_last_value_behind():
    skill = Past().go(400).skill()
    assert skill.error == pytest.approx(100 * NOISE * np.sqrt(2 / np.pi), rel=0.3)
    assert skill.skill > 0.2
    assert abs(skill.bias) < 0.5 * skill.error
    assert skill.coverage == pytest.approx(0.8, abs=0.06)


def test_a_forecast_is_compared_with_its_own_moment_and_no_other():
    def at_one_step(step, came):
        return came * 3 if step == 120 else load(step)

    past = Past().go(119, measure=at_one_step)
    before = past.skill(seconds=60)
    assert before.error < 1e-3
    assert past.go(1, measure=at_one_step).skill(seconds=60).error > before.error + 0.02
    # Five steps ahead it was said at step 115; at 121 last value is what came at 116.
    later = past.record
    past.go(1, measure=at_one_step)
    at = 0, 0, later.offsets.index(5)
    added = past.record.long.last[at] - later.long.last[at] * np.exp(-2 * STEP / WINDOW_SECONDS)
    assert added == pytest.approx(abs(load(116) - load(121))[0], rel=0.01)


def test_what_was_not_measured_counts_for_nothing():
    def only_web(step, came):
        return np.where([True, step < 100, step < 100], came, np.nan)

    past = Past().go(200, measure=only_web)
    assert past.skill(SERVICES[0]).samples > 165
    assert past.skill(SERVICES[1]).samples < 100
    assert np.isfinite(past.skill(SERVICES[1]).error)


def test_yesterday_counts_where_it_is_better_than_last_value():
    def yesterday(window):
        return knows((window.end_time - BEGIN) // STEP)

    past = Past().go(300, seasonal=yesterday)
    assert past.skill().skill == pytest.approx(0, abs=0.01)
    assert Past().go(300).skill().skill > 0.2


def test_who_says_too_much_has_a_bias_above_zero():
    skill = Past().go(200, says=lambda step: knows(step) + 10).skill()
    assert skill.bias == pytest.approx(10, rel=0.1)


def test_a_band_that_is_missed_shows_in_the_coverage():
    assert Past().go(200, says=lambda step: knows(step) + 10).skill().coverage < 0.1


def test_a_band_without_width_holds_what_stands_still_though_the_last_digits_differ():
    past = Past().go(
        100,
        says=lambda _: np.full((3, HORIZON, 3), np.nextafter(np.float32(7.3), np.float32(8))),
        measure=lambda _, came: np.full_like(came, 7.3),
    )
    assert past.skill().coverage == pytest.approx(1)


def test_a_moment_of_a_day_ago_counts_for_less_than_one_of_now():
    past = Past().go(100)
    early = past.skill().samples
    past.go(1440, says=lambda _: np.full((3, HORIZON), np.nan))
    assert past.skill().samples == pytest.approx(early * np.exp(-2), rel=0.15)


def test_a_single_moment_far_off_is_remembered_as_few_usual_ones():
    past = Past().go(300)
    before = past.skill().error
    past.go(1, measure=lambda _, came: came * 1000)
    assert past.skill().error < before * 1.2


def test_services_keep_what_is_known_of_them_when_others_come_and_go():
    past = Past().go(100)
    web, pay = past.skill(SERVICES[0]).error, past.skill(SERVICES[2]).error
    past.go(1, services=(SERVICES[2], SERVICES[0]))
    assert past.skill(SERVICES[0]).error == pytest.approx(web, rel=0.05)
    assert past.skill(SERVICES[2]).error == pytest.approx(pay, rel=0.05)
    assert past.skill(SERVICES[1]).samples > 85


def test_moments_that_no_window_held_are_left_out():
    past = Past().go(100)
    missed = past.step
    for _ in range(90):
        past.step += 1
        past.measured.append(load(past.step))
    past.go(1)
    assert past.record.time == BEGIN + (missed + 91) * STEP
    assert past.skill(seconds=1800).samples < 100


def test_of_two_forecasts_made_at_the_same_step_one_waits():
    past = Past().go(10)
    again = advance(past.record, past.window(), forecast(past.window(), banded(knows(past.step))))
    assert [one.time for one in again.issued] == [one.time for one in past.record.issued]


def test_nothing_is_known_before_the_first_moment_has_come():
    past = Past().go(5)
    assert past.skill(seconds=300) is None
    assert past.go(1).skill(seconds=300).samples == pytest.approx(1)


def test_the_offset_that_reaches_the_lead_time_is_told_of():
    past = Past().go(40)
    assert [past.skill(seconds=seconds).offset_seconds for seconds in (1, 61, 300, 301, 1800, 9999)] == [
        60, 300, 300, 900, 1800, 1800,
    ]  # fmt: skip


def test_who_speaks_now_is_not_judged_by_what_another_method_said_before():
    past = Past().go(60, kind=ModelKind.LAST_VALUE)
    before = past.skill().samples

    past.go(1, kind=ModelKind.GCN_GRU)
    unknown = past.skill()
    past.go(10, kind=ModelKind.GCN_GRU)

    assert before > 40
    assert unknown is None
    assert past.skill().samples == pytest.approx(
        6, rel=0.05
    )  # five steps ahead: what was said before does not come due


def test_drift_of_another_method_does_not_count_against_who_speaks_now():
    past = Past().go(60).go(30, lambda step: 10 * knows(step))
    assert past.skill().drifts

    past.go(20, kind=ModelKind.SEASONAL_NAIVE)

    assert not past.skill().drifts


def test_a_moment_in_which_nobody_can_speak_costs_no_service_its_past():
    past = Past().go(60)
    before = past.skill().samples

    past.go(1, lambda step: np.full_like(knows(step), np.nan), kind=ModelKind.NONE).go(1)

    assert past.skill().samples > before


@pytest.mark.parametrize(("slope", "raised"), [(-1.0, 0.0), (1.0, 2.0)], ids=["falling", "rising"])
def test_p90_is_measured_by_the_better_of_last_value_and_last_value_raised_by_twice_its_error(slope, raised):
    def measure(step, _):
        return np.full(3, 1000 + slope * step)

    def says(step):
        return np.repeat(
            np.stack([measure(step, None) + raised * abs(5 * slope)] * 3, axis=-1)[:, None], HORIZON, axis=1
        )

    assert Past().go(80, says, measure=measure).skill().cap == pytest.approx(1, rel=0.1)
