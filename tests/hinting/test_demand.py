import numpy as np
import pytest

from tidecast_operator.hints.demand import highest

QUANTILES = (0.1, 0.5, 0.9)
TIMES = np.arange(60, 360, 60)
RISING = np.array([[h - 1, h, h + 2] for h in (10, 20, 30, 40, 50)], np.float32)


def demand(values=RISING, quantile=0.9, within=(60, 180)):
    return highest(np.asarray(values, np.float32), QUANTILES, TIMES, quantile=quantile, within=within)


def test_the_highest_value_within_the_lead_time_counts_and_none_after_it():
    found = demand(within=(60, 180))

    assert (found.load, found.time, found.is_whole) == (32.0, 180, True)


def test_a_peak_before_the_end_of_the_lead_time_is_not_missed():
    found = demand(RISING[::-1], within=(60, 300))

    assert (found.load, found.time) == (52.0, 60)


def test_a_lead_time_beyond_the_horizon_is_told():
    assert not demand(within=(60, 3600)).is_whole


def test_a_quantile_between_two_lies_between_their_values():
    assert 30 < demand(quantile=0.75).load < 32


def test_a_quantile_beyond_the_outermost_goes_on_as_a_normal_distribution_does():
    # z(0.975) is 1.53 times z(0.9).
    assert demand(quantile=0.975).load == pytest.approx(30 + 1.529 * 2, abs=0.01)


def test_without_a_band_the_median_is_no_quantile():
    alone = RISING.copy()
    alone[:, [0, 2]] = np.nan

    assert demand(alone) is None
    assert demand(alone, quantile=0.99) is None
    assert demand(alone, quantile=0.5).load == 30


@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_band_that_is_known_for_a_part_of_the_lead_time_tells_no_demand(missing, value):
    holes = RISING.copy()
    holes[missing, 2] = value

    assert demand(holes) is None


def test_of_steps_after_the_lead_time_nothing_has_to_be_known():
    near = RISING.copy()
    near[3:] = np.nan

    assert demand(near).load == 32


@pytest.mark.parametrize("within", [(400, 500), (0, 59)])
def test_a_time_that_the_forecast_does_not_speak_of_has_no_demand(within):
    assert demand(within=within) is None
