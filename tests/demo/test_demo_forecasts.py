import numpy as np
import pytest

from tidecast_simulator.demo.forecasts import DiscoveredCall, Measured, quantity, read_calls, read_forecasts


def resource(name="checkout", **status):
    """A resource as the API server returns it, with a forecast of three steps."""
    series = {
        "metric": "RequestsPerSecond",
        "startTime": "2026-11-22T10:05:00Z",
        "stepSeconds": 300,
        "quantiles": [
            {"quantile": "0.1", "values": ["900m", "1", "1.1"]},
            {"quantile": "0.5", "values": ["1", "2", "1.5k"]},
            {"quantile": "0.9", "values": ["2", "3", "2k"]},
        ],
    }
    known = {"issuedTime": "2026-11-22T10:00:00Z", "model": {"kind": "GCN-GRU"}, "forecasts": [series]}
    return {"spec": {"targetRef": {"name": name}}, "status": known | status}


@pytest.mark.parametrize(
    ("text", "value"), [("83m", 0.083), ("1230Mi", 1230 * 2**20), ("4.1", 4.1), ("300n", 3e-7), ("1k", 1000)]
)
def test_a_quantity_means_what_kubernetes_means(text, value):
    assert quantity(text) == pytest.approx(value)


def test_what_is_no_quantity_is_refused():
    with pytest.raises(ValueError, match="'83 ms' is no quantity"):
        quantity("83 ms")


def test_a_forecast_speaks_of_the_times_that_the_resource_names():
    (forecast,) = read_forecasts([resource()])
    assert list(forecast.times - forecast.issued_time) == [300, 600, 900]
    assert forecast.median_at(forecast.issued_time + 900) == 1500
    assert np.isnan(forecast.median_at(forecast.issued_time + 450))
    assert forecast.low[0] == pytest.approx(0.9)


def test_a_resource_without_a_forecast_is_left_out():
    assert read_forecasts([resource(forecasts=[]), {"spec": {"targetRef": {"name": "new"}}}]) == ()


def test_a_forecast_without_a_spread_has_no_band():
    series = resource()["status"]["forecasts"][0]
    series["quantiles"] = series["quantiles"][1:2]
    (forecast,) = read_forecasts([resource(forecasts=[series])])
    assert np.isnan(forecast.low).all()
    assert np.isfinite(forecast.median).all()


def test_a_call_that_both_ends_tell_of_is_one_call():
    caller = resource("frontend", callees=[{"name": "checkout", "requestsPerSecond": "4"}])
    callee = resource("checkout", callers=[{"name": "frontend", "requestsPerSecond": "4"}])
    assert read_calls([caller, callee]) == (DiscoveredCall("frontend", "checkout", 4.0),)


def test_what_was_not_measured_is_unknown():
    measured = Measured(0, {"checkout": np.array([1.0, 2.0])})
    assert measured.at("checkout", 60) == 2
    assert np.isnan(measured.at("checkout", 120))
    assert np.isnan(measured.at("other", 0))
