"""Answers become arrays on a grid."""

import numpy as np
import pytest

from tidecast_operator.telemetry.series import Grid, Table, align, parse, stack

GRID = Grid(120, 300, 60)


def matrix(points, **labels):
    return {"metric": labels, "values": points}


def values(*results, grid=GRID):
    return align(parse(results), grid).values


def test_points_fall_on_their_steps_and_the_rest_is_missing():
    found = values(matrix([[120, "1.5"], [240.0, "3"]]))
    assert np.array_equal(found[:, 0], [1.5, np.nan, 3, np.nan], equal_nan=True)


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_missing(text):
    assert np.isnan(values(matrix([[120, text]]))).all()


@pytest.mark.parametrize("text", ["0", "1e-05", "1.7976931348623157e+308", "-2.5"])
def test_numbers_are_read_exactly(text):
    assert values(matrix([[120, text]]))[0, 0] == float(text)


@pytest.mark.parametrize("moment", [60, 360, 150])
def test_points_off_the_grid_are_left_out(moment):
    assert np.isnan(values(matrix([[moment, "1"]]))).all()


def test_a_vector_is_one_step():
    found = align(parse([{"metric": {"a": "b"}, "value": [300, "7"]}]), Grid(300, 300, 60))
    assert (found.values.tolist(), found.labels) == ([[7.0]], ({"a": "b"},))


def test_a_native_histogram_is_left_out_and_its_series_stays():
    found = values({"metric": {"a": "b"}, "histograms": [[120, {"count": "1"}]]}, matrix([[120, "1"]], a="c"))
    assert np.array_equal(found[0], [np.nan, 1], equal_nan=True)


def test_an_empty_answer_has_no_series():
    assert values().shape == (4, 0)


def test_parts_are_stacked_over_the_series_of_all():
    first = Table(({"a": "1"}, {"a": "2"}), np.array([[1.0, 2.0]]))
    second = Table(({"a": "3"}, {"a": "1"}), np.array([[5.0, 4.0], [7.0, 6.0]]))
    found = stack([first, second])
    assert found.labels == ({"a": "1"}, {"a": "2"}, {"a": "3"})
    expected = [[1, 2, np.nan], [4, np.nan, 5], [6, np.nan, 7]]
    assert np.array_equal(found.values, expected, equal_nan=True)


def test_a_grid_is_cut_into_parts_that_follow_each_other():
    first = GRID.first(3)
    assert (first, GRID.after(first)) == (Grid(120, 240, 60), Grid(300, 300, 60))
    assert (GRID.first(99), GRID.after(GRID)) == (GRID, None)


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        pytest.param((120, 300, 0), "step_seconds must be positive", id="no step"),
        pytest.param((121, 300, 60), "start_time 121", id="start beside the grid"),
        pytest.param((120, 301, 60), "end_time 301", id="end beside the grid"),
        pytest.param((300, 120, 60), "lies before start_time 300", id="end before start"),
    ],
)
def test_times_that_make_no_grid_are_refused(times, problem):
    with pytest.raises(ValueError, match=problem):
        Grid(*times)
