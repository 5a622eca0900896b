import numpy as np
import pytest

from tidecast_simulator.demo.forecasts import DAY_SECONDS, STEP_SECONDS, Measured, RequestForecast
from tidecast_simulator.demo.scores import as_table, coverage, score

NOW = DAY_SECONDS
STEPS = DAY_SECONDS // STEP_SECONDS + 31


def measured(**changes):
    """A day and half an hour of one service: 8/s but for *changes*, which are minutes ahead of now and their values."""
    values = np.full(STEPS, 8.0)
    for minutes, value in changes.get("ahead", {}).items():
        values[DAY_SECONDS // STEP_SECONDS + minutes] = value
    return Measured(0, {"checkout": values} | changes.get("more", {}))


def forecast(median=10.0, low=9.0, high=11.0, name="checkout"):
    times = NOW + np.array([900.0, 1800.0])
    full = np.ones(2)
    return RequestForecast(name, "GCN-GRU", NOW, times, low * full, median * full, high * full)


def test_each_error_is_a_part_of_what_was_measured():
    row = score([forecast(median=9)], measured(ahead={15: 10.0}), minutes=15)
    assert (row.model, row.last_value, row.seasonal_naive) == pytest.approx((0.1, 0.2, 0.2))
    assert row.services == 1


def test_a_service_without_a_truth_does_not_count():
    row = score([forecast(), forecast(name="gone")], measured(ahead={15: 10.0}), minutes=15)
    assert row.services == 1


def test_nothing_to_compare_is_unknown_and_not_perfect():
    row = score([], measured(), minutes=15)
    assert np.isnan(row.model)


def test_coverage_counts_what_lies_within_the_band():
    assert coverage([forecast()], measured(ahead={15: 10.0, 30: 20.0})) == 0.5


def test_the_table_has_a_line_for_each_time_ahead():
    table = as_table([score([forecast(median=9)], measured(ahead={15: 10.0}), minutes=15)])
    assert "15 min" in table
    assert "10.0%" in table
