import numpy as np
import pytest

from builders.snapshots import CHECKOUT, MIDDAY, forecast
from tidecast_contract.features import FORECAST_FEATURES, MEMORY, READY_REPLICAS
from tidecast_contract.forecast import ModelInfo, ModelKind


def test_the_first_step_speaks_of_one_step_after_the_issue():
    assert forecast().times.tolist() == [MIDDAY + 60, MIDDAY + 120, MIDDAY + 180, MIDDAY + 240]


def test_quantiles_that_cross_are_refused():
    values = forecast().values.copy()
    values[0, 0, 0] = [0.5, 0.4, 0.6]

    with pytest.raises(ValueError, match="cross"):
        forecast(values=values)


def test_a_median_whose_spread_is_not_known_is_valid():
    values = forecast().values.copy()
    values[..., 0] = values[..., 2] = np.nan

    assert np.isnan(forecast(values=values).values[..., 2]).all()


def test_every_service_needs_a_kind():
    with pytest.raises(ValueError, match="1 kinds for 2 services"):
        forecast(kinds=(ModelKind.GCN_GRU,))


def test_quantiles_of_one_service_and_feature_are_found():
    values = forecast().values.copy()
    values[1, FORECAST_FEATURES.index(MEMORY)] = 7

    assert (forecast(values=values).of(CHECKOUT, MEMORY) == 7).all()


def test_replicas_are_not_forecast():
    assert READY_REPLICAS not in FORECAST_FEATURES


def test_skill_is_the_share_of_the_naive_error_that_was_saved():
    assert ModelInfo(ModelKind.GCN_GRU, error=3, naive_error=4).skill == pytest.approx(0.25)


@pytest.mark.parametrize("naive_error", [None, 0.0])
def test_skill_without_a_naive_error_is_unknown(naive_error):
    assert ModelInfo(ModelKind.GCN_GRU, error=3, naive_error=naive_error).skill is None
