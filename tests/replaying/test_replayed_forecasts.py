"""
Forecasts of the past know nothing of what came later, but those that are called perfect.
"""

import asyncio

import numpy as np
import pytest

from builders.replays import DAY, STEP, WEB, recording, subject, waves
from tidecast_contract.features import FEATURES, FORECAST_FEATURES, REQUESTS, index_of
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.replaying.bands import Bands
from tidecast_operator.replaying.candidates import Asked, Subject, choose
from tidecast_operator.replaying.forecasting import METHODS, MethodForecasts, horizon_needed
from tidecast_operator.replaying.predictor_forecasts import PredictorForecasts


async def said(loads, method, steps):
    """The requests of the web that are forecast at each of so many steps, (steps, H, Q)."""
    forecasts = MethodForecasts(method, subject(loads))
    return np.array([(await forecasts.at(step)).of(WEB, REQUESTS) for step in range(steps)])


@pytest.mark.parametrize("method", ["last-value", "seasonal-naive"])
async def test_another_future_makes_no_other_forecast(method):
    loads, known = waves(2 * DAY), DAY + 200
    other = loads.copy()
    other[known:] = 7.0

    told, told_again = await said(loads, method, known), await said(other, method, known)

    assert np.isfinite(told[-1]).all()
    np.testing.assert_array_equal(told, told_again)


async def test_perfect_forecasts_are_what_came_true():
    loads = waves(300)
    told = await said(loads, "perfect", 200)

    np.testing.assert_array_equal(told[100, :, 0], loads[101 : 101 + told.shape[1], 0].astype(np.float32))
    assert (told[..., 0] == told[..., 2]).all()


async def test_last_value_is_the_newest_measurement_and_of_silence_nothing():
    loads = waves(100)
    loads[50:53] = np.nan
    loads[60:70] = np.nan
    told = await said(loads, "last-value", 100)

    assert (told[52, :, 1] == np.float32(loads[49, 0])).all()
    assert np.isnan(told[69]).all()


async def test_seasonal_naive_is_the_day_before_and_of_a_first_day_nothing():
    loads = waves(2 * DAY)
    told = await said(loads, "seasonal-naive", DAY + 100)

    assert np.isnan(told[DAY - 10, :5]).all()
    np.testing.assert_array_equal(told[DAY + 50, :, 1], loads[51 : 51 + told.shape[1], 0].astype(np.float32))


async def test_only_the_signal_of_a_workload_is_forecast():
    forecast = await MethodForecasts("last-value", subject(waves(100))).at(50)
    others = [place for place, feature in enumerate(FORECAST_FEATURES) if feature is not REQUESTS]

    assert np.isnan(forecast.values[:, others]).all()
    assert np.isfinite(forecast.values[:, FORECAST_FEATURES.index(REQUESTS), :, 1]).all()


def test_a_band_holds_about_as_often_as_it_says():
    chance = np.random.default_rng(3)
    level = 100 * np.exp(np.cumsum(0.02 * chance.standard_normal((3000, 1)), axis=0))
    bands, inside = Bands(1, 3), []
    expected = []
    for truth in level:
        if len(expected) >= 3 and np.isfinite(expected[-3][0][0, 2]):
            low, high = expected[-3]
            inside.append(low[0, 2] <= truth[0] <= high[0, 2])
        expected.append(bands.around(np.repeat(truth[:, None], 3, axis=1), truth))

    assert len(inside) > 2900
    assert 0.74 < np.mean(inside) < 0.86


def test_a_band_follows_errors_that_grow():
    chance = np.random.default_rng(0)
    bands = Bands(1, 1)
    widths = []
    for step in range(1500):
        truth = 100 + (1 if step < 700 else 10) * chance.standard_normal(1)
        low, high = bands.around(np.full((1, 1), 100.0), truth)
        widths.append(float((high - low)[0, 0]))

    assert np.mean(widths[-200:]) > 5 * np.mean(widths[500:700])


def test_there_is_no_band_before_enough_has_come_true():
    bands = Bands(1, 2)
    found = [bands.around(np.full((1, 2), 100.0), np.array([101.0]))[1][0, 0] for _ in range(30)]

    assert np.isnan(found[:19]).all()
    assert np.isfinite(found[21:]).all()


def test_a_band_is_not_below_nothing_and_holds_what_is_said():
    bands = Bands(1, 1)
    for step in range(100):
        said_now = np.full((1, 1), float(step % 2))
        low, high = bands.around(said_now, np.array([5.0 * ((step + 1) % 2)]))
    assert 0 <= low[0, 0] <= said_now[0, 0] <= high[0, 0]


def test_forecasts_reach_to_the_end_of_the_lead_time():
    what = subject(waves(10), leadTimeSeconds=600)

    assert horizon_needed(what) * STEP >= 600 + STEP + STEP
    assert set(METHODS) == {"seasonal-naive", "last-value", "perfect"}


class FakePredictor:
    """Answers with last value, and writes down what it was asked."""

    def __init__(self, fails=()):
        self.windows, self.at_once, self.most_at_once, self.fails = [], 0, 0, set(fails)

    async def forecast(self, snapshot, horizon_steps):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.windows.append(snapshot)
        if len(self.windows) in self.fails:
            raise PredictorUnavailable("it is away")
        shape = (len(snapshot.services), len(FORECAST_FEATURES), horizon_steps, len(QUANTILES))
        values = np.broadcast_to(snapshot.values[-1, :, : len(FORECAST_FEATURES), None, None], shape).copy()
        kinds = (ModelKind.GCN_GRU,) * len(snapshot.services)
        model = ModelInfo(ModelKind.GCN_GRU)
        return Forecast(snapshot.end_time, STEP, snapshot.services, QUANTILES, values, kinds, model)


def asking(predictor, loads, services=2):
    made = recording(loads)
    what = Subject.of(made, choose(made, Asked(scaling={"perReplica": "50"})).each[:services])
    return PredictorForecasts(predictor, what, last_step=len(loads) - 1, window_steps=10, horizon_steps=5)


async def test_the_predictor_is_sent_the_window_up_to_the_step_and_nothing_later():
    predictor, loads = FakePredictor(), waves(40)
    forecasts = asking(predictor, loads)
    for step in range(20, 30):
        await forecasts.at(step)
    await forecasts.close()

    window = predictor.windows[3]
    assert window.end_time == recording(loads).time_of(23)
    assert window.values.shape == (10, 2, len(FEATURES))
    np.testing.assert_array_equal(window.values[:, 0, index_of(REQUESTS)], loads[14:24, 0].astype(np.float32))


async def test_the_predictor_is_asked_one_thing_at_a_time_and_each_once():
    predictor = FakePredictor()
    forecasts = asking(predictor, waves(40))
    for step in range(20, 40):
        assert (await forecasts.at(step)).issued_time == recording(waves(40)).time_of(step)
    await forecasts.close()

    assert predictor.most_at_once == 1
    assert len(predictor.windows) == 20


async def test_of_a_step_that_nobody_measured_the_predictor_is_not_asked():
    predictor, loads = FakePredictor(), waves(40)
    loads[25:28] = np.nan
    forecasts = asking(predictor, loads)
    told = [await forecasts.at(step) for step in range(20, 40)]

    assert [place for place, forecast in enumerate(told) if forecast is None] == [5, 6, 7]
    assert len(predictor.windows) == 17


async def test_forecasts_of_others_are_left_out():
    forecasts = asking(FakePredictor(), waves(40), services=1)
    forecast = await forecasts.at(20)
    await forecasts.close()

    assert forecast.services == (WEB,)
    assert len(forecast.values) == len(forecast.kinds) == 1


async def test_a_predictor_that_is_away_for_a_moment_costs_a_forecast():
    forecasts = asking(FakePredictor(fails={2, 3}), waves(40))
    told = [await forecasts.at(step) for step in range(20, 30)]
    await forecasts.close()

    assert [forecast is None for forecast in told] == [False, True, True] + [False] * 7


async def test_a_predictor_that_stays_away_ends_the_replay():
    forecasts = asking(FakePredictor(fails=range(2, 50)), waves(40))
    await forecasts.at(20)
    for step in range(21, 25):
        assert await forecasts.at(step) is None
    with pytest.raises(PredictorUnavailable):
        await forecasts.at(25)
    await forecasts.close()
