"""
Who speaks for a service: from its first minute without history to a trained model.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import part, random_walk, recording, seasonal, services, untrained
from tidecast_contract.features import REQUESTS
from tidecast_contract.forecast import ModelKind
from tidecast_predictor import checkpoint as checkpoints
from tidecast_predictor.history import History
from tidecast_predictor.inference import Forecaster
from tidecast_predictor.naive import answering

WEEKS = 21 * 86_400


def forecaster(snapshot=None, *, served=None):
    history = History(None, limit_seconds=WEEKS)
    if snapshot is not None:
        history.append(snapshot)
    made = Forecaster(history, None, device="cpu")
    if served is not None:
        made.serve(served)
    return made


def window(snapshot, steps=8):
    return part(snapshot, snapshot.steps - steps, snapshot.steps)


def per_minute(snapshot, since=0):
    """The same in steps of a minute, all services but the first measured from that step on."""
    values = snapshot.values.copy()
    values[:since, 1:] = np.nan
    return replace(snapshot, step_seconds=60, values=values)


def test_the_first_step_is_forecast_by_last_value_without_a_band():
    forecast = forecaster().forecast(window(seasonal(1), 1), 4)
    assert forecast.kinds == (ModelKind.LAST_VALUE,) * 3
    assert np.array_equal(forecast.values[:, 0, 3, 1], window(seasonal(1)).values[-1, :, 0])
    assert np.isnan(forecast.values[:, 0, :, [0, 2]]).all()


def test_a_few_errors_make_no_band():
    forecast = forecaster().forecast(window(random_walk(48), 6), 4)
    assert np.isnan(forecast.values[:, 0, :, [0, 2]]).all()


def test_last_value_has_a_band_as_wide_as_it_was_off_before():
    forecast = forecaster(random_walk(48)).forecast(window(random_walk(48)), 4)
    low, middle, high = np.moveaxis(forecast.values[:, 0], -1, 0)
    assert (low < middle).all()
    assert (middle < high).all()
    assert (np.log(high / low)[:, 3] > 1.3 * np.log(high / low)[:, 0]).all()


@pytest.mark.parametrize("measured", [10, 24])
def test_what_is_measured_for_minutes_only_has_a_band_once_some_errors_are_known(measured):
    snapshot = per_minute(random_walk(1440), since=1440 - measured)
    band = forecaster(snapshot).forecast(window(snapshot), 4).values[1:, 0, 3, [0, 2]]
    assert (band[:, 0] < band[:, 1]).all() == np.isfinite(band).all() == (measured == 24)


def test_a_band_is_looked_for_again_soon_while_something_has_none():
    snapshot = per_minute(random_walk(1440), since=1440 - 24)
    history = History(None, limit_seconds=WEEKS)
    history.append(part(snapshot, 0, 1425))
    made = Forecaster(history, None, device="cpu")
    before = made.forecast(window(part(snapshot, 0, 1425)), 4).values[1:, 0, 3]
    history.append(part(snapshot, 1425, 1440))
    after = made.forecast(window(snapshot), 4).values[1:, 0, 3]

    assert np.isnan(before[:, [0, 2]]).all()
    assert np.isfinite(after).all()


def test_for_what_is_measured_now_and_then_only_no_band_is_looked_for_again_and_again(monkeypatch):
    looks = []
    look = answering._experience
    monkeypatch.setattr(answering, "_experience", lambda *asked: looks.append(asked) or look(*asked))
    snapshot = per_minute(random_walk(1440), since=1440)
    values = snapshot.values.copy()
    values[[1000, 1419, 1439], 1:, 0] = 7
    seldom = replace(snapshot, values=values)
    made = forecaster(seldom)
    for end in (1420, 1440):
        made.forecast(window(part(seldom, 0, end)), 4)

    assert len(looks) == 1


def test_a_service_that_is_a_day_old_keeps_its_band():
    values = seasonal(4).values.copy()
    values[:-50, 2] = np.nan  # a day and an hour
    snapshot = replace(seasonal(4), values=values)
    forecast = forecaster(snapshot).forecast(window(snapshot), 4)
    assert forecast.kinds[:2] == (ModelKind.SEASONAL_NAIVE,) * 2
    assert np.isfinite(forecast.values[:, 0]).all()


def test_the_band_of_what_is_old_is_that_of_a_day_and_not_of_its_last_minutes():
    # It stood still all day, and no more since half an hour.
    walk = per_minute(random_walk(1440))
    values = walk.values.copy()
    values[:-30] = values[-30]
    still = replace(walk, values=values)
    low, middle, high = np.moveaxis(forecaster(still).forecast(window(still), 4).values[:, 0, 3], -1, 0)
    assert (low > 0.95 * middle).all()
    assert (high < 1.05 * middle).all()


def test_a_band_reaches_to_the_end_of_a_horizon_of_nearly_a_day():
    forecast = forecaster(random_walk(240)).forecast(window(random_walk(240)), 46)
    assert np.isfinite(forecast.values[:, 0]).all()


def test_a_band_of_other_steps_does_not_serve():
    fine, coarse = per_minute(random_walk(300)), random_walk(300)
    history = History(None, limit_seconds=WEEKS)
    made = Forecaster(history, None, device="cpu")
    history.append(fine)
    made.forecast(window(fine), 4)
    history.append(coarse)
    expected = forecaster(coarse).forecast(window(coarse), 4).values
    assert np.array_equal(made.forecast(window(coarse), 4).values, expected, equal_nan=True)


def test_a_day_and_a_moment_do_not_tell_that_yesterday_speaks_better():
    little = part(seasonal(3), 94, 144)
    assert forecaster(little).forecast(window(little), 4).model.kind is ModelKind.LAST_VALUE


def test_where_nothing_moves_the_reason_says_so():
    still = recording(np.full((240, 3), 7.0))
    reason = forecaster(still).forecast(window(still), 4).model.reason
    assert reason.endswith("too little in it moved to compare SeasonalNaive with LastValue")


def test_the_last_value_is_the_last_one_that_was_measured():
    snapshot = window(seasonal(1))
    values = snapshot.values.copy()
    values[-2:, 0] = np.nan
    forecast = forecaster().forecast(replace(snapshot, values=values), 4)
    assert forecast.of(snapshot.services[0], REQUESTS)[0, 1] == snapshot.values[-3, 0, 0]


def test_what_was_never_measured_is_not_forecast():
    snapshot = window(seasonal(1))
    values = snapshot.values.copy()
    values[:, 1] = np.nan
    forecast = forecaster().forecast(replace(snapshot, values=values), 4)
    assert forecast.kinds[1] is ModelKind.NONE
    assert np.isnan(forecast.values[1]).all()


def test_yesterday_speaks_once_it_does_better_than_last_value():
    forecast = forecaster(seasonal(3)).forecast(window(seasonal(3)), 4)
    assert forecast.kinds == (ModelKind.SEASONAL_NAIVE,) * 3
    assert np.array_equal(forecast.values[:, 0, :, 1], seasonal(3).values[-48:-44, :, 0].T)
    assert "smaller than LastValue's" in forecast.model.reason


def test_less_than_a_day_of_history_leaves_last_value():
    half_a_day = part(seasonal(1), 24, 48)
    forecast = forecaster(half_a_day).forecast(window(half_a_day), 4)
    assert forecast.model.kind is ModelKind.LAST_VALUE
    assert "11.5 hours of history are held" in forecast.model.reason


def test_yesterday_speaks_as_soon_as_the_past_has_been_filled_in():
    whole = seasonal(3)
    history = History(None, limit_seconds=WEEKS)
    history.append(part(whole, 120, 144))
    made = Forecaster(history, None, device="cpu")
    before = made.forecast(window(whole), 4).model.kind
    history.append(part(whole, 0, 120))

    assert (before, made.forecast(window(whole), 4).model.kind) == (ModelKind.LAST_VALUE, ModelKind.SEASONAL_NAIVE)


def test_last_value_stays_where_yesterday_says_little():
    assert forecaster(random_walk(240)).forecast(window(random_walk(240)), 4).model.kind is ModelKind.LAST_VALUE


def test_a_service_without_a_yesterday_gets_last_value_beside_the_others():
    old, new = seasonal(3), window(seasonal(3, count=4))
    forecast = forecaster(old).forecast(replace(new, services=services(4)), 4)
    assert forecast.kinds == (*[ModelKind.SEASONAL_NAIVE] * 3, ModelKind.LAST_VALUE)


def test_a_served_model_speaks_for_a_service_that_appeared_with_the_last_step():
    snapshot = window(seasonal(3, count=4))
    values = snapshot.values.copy()
    values[:-1, 3] = np.nan
    forecast = forecaster(seasonal(3), served=untrained()).forecast(replace(snapshot, values=values), 4)
    assert forecast.kinds == (ModelKind.GCN_GRU,) * 4
    assert np.isfinite(forecast.values[:, 0]).all()


def test_a_feature_missing_in_the_window_starts_from_where_it_was_last():
    snapshot = seasonal(1)
    recent = window(snapshot)
    hidden = replace(recent, values=np.full_like(recent.values, np.nan))
    made = forecaster(part(snapshot, 0, 40), served=untrained())
    assert made.forecast(hidden, 4).kinds == (ModelKind.GCN_GRU,) * 3


def test_a_shorter_horizon_is_the_beginning_of_the_longer_one():
    made = forecaster(seasonal(3), served=untrained())
    short, full = (made.forecast(window(seasonal(3)), horizon).values for horizon in (2, 4))
    assert np.array_equal(short, full[:, :, :2], equal_nan=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({}, "trained for 4 steps ahead, not for 5", id="horizon"),
        pytest.param({"step_seconds": 60}, "trained for steps of 1800 s, not of 60 s", id="step"),
    ],
)
def test_what_a_model_was_not_trained_for_is_answered_by_a_naive_method_that_says_so(changes, reason):
    forecast = forecaster(served=untrained()).forecast(replace(window(seasonal(1)), **changes), 5)
    assert forecast.kinds == (ModelKind.LAST_VALUE,) * 3
    assert reason in forecast.model.reason


def test_history_after_the_window_is_not_seen():
    past = part(seasonal(3), 0, 100)
    for served in (None, untrained()):
        knowing = forecaster(seasonal(3), served=served).forecast(window(past), 4).values
        honest = forecaster(past, served=served).forecast(window(past), 4).values
        middle = 1  # the band's origins depend on how much is held
        assert np.array_equal(knowing[..., middle], honest[..., middle], equal_nan=True)


def test_a_graph_without_services_is_answered():
    nobody = replace(window(seasonal(1, count=1)), services=(), values=np.zeros((8, 0, 7), np.float32))
    for served in (None, untrained()):
        assert forecaster(served=served).forecast(nobody, 4).values.shape == (0, 6, 4, 3)


def test_no_step_ahead_is_refused():
    with pytest.raises(ValueError, match="horizon_steps must be positive, not 0"):
        forecaster().forecast(window(seasonal(1)), 0)


def test_the_newest_checkpoint_is_served_from_the_start(tmp_path):
    saved = untrained()
    checkpoints.save(saved, tmp_path)
    made = Forecaster(History(None, limit_seconds=WEEKS), tmp_path, device="cpu")
    assert made.model_info() == saved.info
    expected = forecaster(served=saved).forecast(window(seasonal(1)), 4).values
    assert np.array_equal(made.forecast(window(seasonal(1)), 4).values, expected, equal_nan=True)


def test_what_the_model_that_is_served_was_trained_for_and_on_is_told():
    made = forecaster()
    assert (made.window_steps, made.horizon_steps, made.history_seconds) == (0, 0, 0)
    recording = random_walk(100)
    served = untrained(window_steps=16, horizon_steps=6)
    made.serve(replace(served, start_time=recording.start_time, end_time=recording.end_time))
    assert (made.window_steps, made.horizon_steps, made.history_seconds) == (16, 6, 100 * recording.step_seconds)


def test_why_a_trained_model_does_not_speak_is_told():
    made = forecaster()
    made.decline("not served: 3% larger than LastValue's")
    assert made.forecast(window(seasonal(1)), 4).model.reason.startswith("not served: 3% larger than LastValue's; ")


def test_a_model_that_passes_on_one_request_is_served_all_the_same():
    served = untrained()
    made = forecaster(seasonal(3), served=served)
    assert made.forecast(window(seasonal(3)), 5).kinds[0] is not ModelKind.GCN_GRU
    made.decline("not served: 3% larger than LastValue's")
    assert made.model_info() == served.info


def test_a_new_model_does_not_go_on_with_the_state_of_the_one_before():
    history, second = seasonal(3), replace(untrained(), version="another")
    with torch.no_grad():
        second.model.gru.weight_ih_l0.mul_(2)
    windows = [part(history, end - 8, end) for end in (history.steps - 1, history.steps)]
    once, alone = forecaster(history, served=untrained()), forecaster(history, served=second)
    once.forecast(windows[0], 4)
    once.serve(second)
    assert np.array_equal(once.forecast(windows[1], 4).values, alone.forecast(windows[1], 4).values, equal_nan=True)
