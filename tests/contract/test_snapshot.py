import numpy as np
import pytest

from builders.snapshots import CHECKOUT, FRONTEND, MIDDAY, snapshot
from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId


def test_the_times_of_a_snapshot_end_at_its_end():
    times = snapshot().times

    assert times.tolist() == [MIDDAY - 120, MIDDAY - 60, MIDDAY]


def test_a_call_to_an_unknown_service_is_refused():
    with pytest.raises(ValueError, match="names service 7, and there are 2"):
        snapshot(calls=np.array([[0], [7]]))


def test_a_call_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="stands twice"):
        snapshot(calls=np.array([[0, 0], [1, 1]]), rates=np.ones(2, dtype=np.float32))


def test_a_service_that_stands_twice_is_named():
    with pytest.raises(ValueError, match="shop/Deployment/frontend stands twice"):
        snapshot(services=(FRONTEND, FRONTEND))


@pytest.mark.timeout(20)  # comparing each with each would take minutes
def test_a_service_that_stands_twice_is_found_among_many():
    many = tuple(ServiceId("shop", "Deployment", f"s{index}") for index in range(30_000))
    with pytest.raises(ValueError, match="shop/Deployment/s29999 stands twice"):
        snapshot(services=(*many, many[-1]))


@pytest.mark.parametrize(
    "rate",
    [pytest.param(np.nan, id="nan"), pytest.param(-1, id="negative"), pytest.param(np.inf, id="infinite")],
)
def test_a_call_without_a_real_rate_is_refused(rate):
    with pytest.raises(ValueError, match="rates must be finite"):
        snapshot(rates=np.array([rate], dtype=np.float32))


def test_values_that_miss_a_feature_are_refused():
    with pytest.raises(ValueError, match=f"do not fit 2 services and {len(FEATURES)} features"):
        snapshot(values=np.zeros((3, 2, len(FEATURES) - 1), dtype=np.float32))


def test_an_end_off_the_step_grid_is_refused():
    with pytest.raises(ValueError, match="not a multiple"):
        snapshot(end_time=MIDDAY + 1)


def test_a_snapshot_without_calls_is_valid():
    lonely = snapshot(services=(CHECKOUT,), calls=np.empty((2, 0), dtype=np.int64), rates=np.empty(0, dtype=np.float32))

    assert lonely.calls.shape == (2, 0)
