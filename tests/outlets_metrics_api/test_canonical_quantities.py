import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidecast_operator.outlets.metrics_api.quantities import HIGHEST, canonical

UNITS = {"m": Fraction(1, 1000)} | {unit: Fraction(1000) ** power for power, unit in enumerate(["", *"kMGTPE"])}
numbers = st.floats(min_value=0, max_value=HIGHEST, exclude_max=True)


def parts(text):
    digits, unit = re.fullmatch(r"(0|[1-9][0-9]*)([mkMGTPE]?)", text).groups()
    return int(digits), unit


def read(text):
    digits, unit = parts(text)
    return digits * UNITS[unit]


@given(numbers)
def test_it_is_never_less_and_less_than_a_thousandth_more(value):
    noise = Fraction(value) / 10**11

    assert -noise <= read(canonical(value)) - Fraction(value) < Fraction(1, 1000) + noise


@given(numbers)
def test_it_has_the_largest_unit_that_needs_no_fraction(value):
    digits, unit = parts(canonical(value))

    assert digits % 1000 or digits == 0 or unit == "E"
    assert digits or not unit


@given(st.integers(min_value=0, max_value=10**11))
def test_whole_thousandths_stay_what_they_are(thousandths):
    assert read(canonical(thousandths / 1000)) * 1000 == thousandths


@given(st.integers(1, 1000), st.integers(1, 100_000))
def test_what_some_replicas_carry_asks_for_no_more_of_them(replicas, thousandths):
    load = replicas * (thousandths / 1000)

    assert -(-read(canonical(load)) // Fraction(thousandths, 1000)) == replicas


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0001, "1m"),
        (0.3, "300m"),
        (3 * 0.1, "300m"),
        (12.5, "12500m"),
        (412, "412"),
        (412.0001, "412001m"),
        (1000, "1k"),
        (1500, "1500"),
        (2e6, "2M"),
        (1080.0, "1080"),
    ],
)
def test_it_is_written_as_the_api_server_writes_it(value, text):
    assert canonical(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, HIGHEST])
def test_what_cannot_be_told_is_refused(value):
    with pytest.raises(ValueError, match="is not a number from 0"):
        canonical(value)
