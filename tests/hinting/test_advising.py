import numpy as np

from builders.hints import CHECKOUT, NOW
from builders.operating import forecast_body
from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.advising import Adviser
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.resources import ForecastResource


class Knows:
    """Knows one capacity."""

    def of(self, *_):
        return Capacity(100.0, 500, evidence="seen")


async def test_what_was_learned_stands_while_nothing_is_measured(monkeypatch):
    adviser = Adviser(lambda: None, valid_steps=10)

    async def learned(*_):
        return Knows()

    monkeypatch.setattr(adviser, "_learn", learned)
    values = np.full((1, len(FORECAST_FEATURES), 30, len(QUANTILES)), 550.0, np.float32)
    kinds, info = (ModelKind.GCN_GRU,), ModelInfo(ModelKind.GCN_GRU)
    forecast = Forecast(NOW, 60, (CHECKOUT,), QUANTILES, values, kinds, info)
    measured = np.full((10, 1, len(FEATURES)), 5.0, np.float32)
    window = Snapshot(NOW, 60, (CHECKOUT,), measured, np.zeros((2, 0), np.int64), np.zeros(0, np.float32))
    one = ForecastResource.parse(forecast_body(scaling={}))

    with_window = await adviser.advise([one], now=NOW, window=window, forecast=forecast, collector=None)
    without = await adviser.advise([one], now=NOW + 60, window=None, forecast=None, collector=None)

    assert with_window[one.key].hint.replicas == without[one.key].hint.replicas == 6
