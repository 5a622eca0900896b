"""
What lies beyond a band, and what only rounding makes seem so.
"""

import numpy as np
import pytest

from tidecast_contract.bands import falls_below, rises_above


@pytest.mark.parametrize("size", [1e-6, 0.1, 37.3, 5e8])
def test_the_same_number_in_the_last_digits_lies_within(size):
    truth = np.float32(size)
    for said in (np.nextafter(truth, np.float32(0)), truth, np.nextafter(truth, np.float32(np.inf)), truth * 1.000005):
        assert not falls_below(np.float32(said), truth)
        assert not rises_above(np.float32(said), truth)


def test_a_hair_is_nothing():
    assert not falls_below(np.float32(1e-8), np.float32(0))
    assert not rises_above(np.float32(0), np.float32(1e-8))
    assert falls_below(np.float32(1e-4), np.float32(0))


def test_what_is_less_or_more_by_a_thousandth_lies_beyond():
    truth = np.array([0.999, 1.001], np.float32)
    assert falls_below(np.float32(1), truth).tolist() == [True, False]
    assert rises_above(np.float32(1), truth).tolist() == [False, True]


def test_below_zero_the_sides_are_the_same():
    truth = np.array([-1.001, -0.999], np.float32)
    assert falls_below(np.float32(-1), truth).tolist() == [True, False]
    assert rises_above(np.float32(-1), truth).tolist() == [False, True]


def test_what_is_not_known_lies_nowhere():
    nothing, one = np.array([np.nan, 1.0], np.float32), np.array([1.0, np.nan], np.float32)
    assert not falls_below(nothing, one).any()
    assert not rises_above(nothing, one).any()
