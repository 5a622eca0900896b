import math

import pytest

from tidecast_operator.publishing.quantities import binary, milli, quantity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (412.4, "412"),
        (1234.0, "1230"),
        (999.6, "1000"),
        (12.34, "12.3"),
        (9.996, "10"),
        (3.0, "3"),
        (1.8, "1.8"),
        (0.0834, "83.4m"),
        (0.083, "83m"),
        (0.00002, "20u"),
        (0.0009999, "1m"),
        (1_234_567.0, "1230000"),
        (0.0, "0"),
        (1e-9, "0"),
    ],
)
def test_a_quantity_has_three_significant_digits(value, text):
    assert quantity(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.34, "1340m"), (12.0, "12"), (0.0, "0"), (0.0364, "36m"), (3.256, "3260m")]
)
def test_cores_are_written_as_kubernetes_does(value, text):
    assert milli(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1230 * 1024**2, "1230Mi"), (12.34 * 1024**2, "12.3Mi"), (512 * 1024, "512Ki"), (0, "0")]
)
def test_bytes_are_written_as_kubernetes_does(value, text):
    assert binary(value) == text


@pytest.mark.parametrize("write", [quantity, milli, binary])
def test_what_is_not_known_has_no_quantity(write):
    assert write(math.nan) is None
    assert write(math.inf) is None
