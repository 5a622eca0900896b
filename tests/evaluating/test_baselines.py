"""
What every method that is measured against must do: look at nothing after the origin, bear gaps, segments, constants.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.tasks import (
    autoregressive,
    changed_from,
    later_origins,
    origins_of,
    series,
    sines,
    task,
    with_missing,
    with_segments,
)
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.baselines.astgcn import astgcn
from tidecast_predictor.baselines.dcrnn import dcrnn
from tidecast_predictor.baselines.dlinear import dlinear
from tidecast_predictor.baselines.graph_wavenet import graph_wavenet, graph_wavenet_fixed
from tidecast_predictor.baselines.gru import gru
from tidecast_predictor.baselines.history_mean import HistoryMean
from tidecast_predictor.baselines.last_value import LastValue
from tidecast_predictor.baselines.neural import Budget
from tidecast_predictor.baselines.ridge import Ridge
from tidecast_predictor.baselines.seasonal_naive import SeasonalNaive
from tidecast_predictor.baselines.standardising import Standard
from tidecast_predictor.baselines.stid import stid
from tidecast_predictor.baselines.t_gcn import t_gcn
from tidecast_predictor.baselines.window_mean import WindowMean

QUICK = Budget(updates=6, seconds=60.0, batch=4, evaluations=2)
METHODS = [
    LastValue(),
    WindowMean(),
    HistoryMean(),
    SeasonalNaive(),
    Ridge(),
    Ridge(neighbours=True),
    dlinear(QUICK),
    gru(QUICK),
    astgcn(QUICK),
    graph_wavenet(QUICK),
    graph_wavenet_fixed(QUICK),
    stid(QUICK),
    t_gcn(QUICK),
    dcrnn(QUICK),
]
LEARNING = [method for method in METHODS if method.name.startswith("ridge") or hasattr(method, "inductive")]

FAR_BACK = ("seasonal-naive", "history-mean")  # look at what may lie in another segment, not only at the newest values

each = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
each_learning = pytest.mark.parametrize("method", LEARNING, ids=lambda method: method.name)
each_but_far_back = pytest.mark.parametrize(
    "method", [method for method in METHODS if method.name not in FAR_BACK], ids=lambda method: method.name
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def linked(**changes):
    made = sines(4, services=3, features=2, **changes)
    return replace(made, calls=np.array([[0, 1], [1, 2]]), weights=np.array([1.0, 2.0], np.float32))


def learn(method, of):
    return method.fit([of], seed=3, progress=lambda _: None)


def ask(fitted, of, origins):
    return fitted.forecast(of.series, origins, window=of.window, horizon=of.horizon)


def same(one, other):
    bands = (one.quantiles is None and other.quantiles is None) or np.array_equal(
        one.quantiles, other.quantiles, equal_nan=True
    )
    return bands and np.array_equal(one.mean, other.mean, equal_nan=True)


@each
def test_forecasts_do_not_depend_on_what_comes_after_the_origin(method):
    given = task(with_missing(linked(), 0.1))
    fitted = learn(method, given)
    origin = later_origins(given)[5:6]
    changed = replace(given, series=changed_from(given.series, int(origin[0]) + 1))
    assert same(ask(fitted, given, origin), ask(fitted, changed, origin))


@each
def test_learning_does_not_depend_on_what_comes_after_the_known_steps(method):
    given = task(linked())
    changed = replace(given, series=changed_from(given.series, given.known_steps))
    origins = np.arange(given.known_steps - 9, given.known_steps)
    assert same(ask(learn(method, given), given, origins), ask(learn(method, changed), given, origins))


@each_learning
def test_weights_and_scales_do_not_depend_on_what_comes_after_the_training_part(method):
    # Without validation nothing but the last state can be chosen, so that what is left is learning.
    given = replace(task(linked()), validation=np.zeros(0, np.int64))
    given = replace(given, known_steps=given.training_steps)
    changed = replace(given, series=changed_from(given.series, given.training_steps))
    origins = np.arange(given.training_steps - 9, given.training_steps)
    assert same(ask(learn(method, given), given, origins), ask(learn(method, changed), given, origins))


@each_but_far_back
def test_forecasts_depend_on_the_newest_value(method):
    given = task(linked())
    fitted, origin = learn(method, given), later_origins(given)[:1]
    changed = replace(given, series=changed_from(given.series, int(origin[0])))
    changed.series.values[origin[0]] = 50
    assert not np.allclose(ask(fitted, given, origin).mean, ask(fitted, changed, origin).mean)


@each
def test_missing_values_are_borne_in_learning_and_in_forecasting(method):
    given = task(with_missing(linked(), 0.5))
    answer = ask(learn(method, given), given, later_origins(given))
    assert np.isfinite(answer.mean).all()
    assert (np.diff(answer.quantiles, axis=-1) >= 0).all()


@each
def test_a_feature_that_validation_never_measured_is_forecast_without_a_band(method):
    made = linked()
    given = task(made)
    made.values[given.training_steps : given.known_steps, :, 1] = np.nan
    answer = ask(learn(method, given), given, later_origins(given)[20:])
    assert np.isfinite(answer.mean).all()
    assert np.isfinite(answer.quantiles[:, :, 0]).all()
    assert np.isnan(answer.quantiles[:, :, 1]).all()


@each
def test_a_series_that_was_never_measured_harms_no_other(method):
    made = linked()
    made.values[:, 1] = np.nan
    given = task(made)
    answer = ask(learn(method, given), given, later_origins(given))
    assert np.isfinite(answer.mean[:, [0, 2]]).all()


@each
def test_a_constant_series_is_forecast_as_it_is(method):
    made = linked()
    made.values[:, 2] = 7.0
    given = task(made)
    answer = ask(learn(method, given), given, later_origins(given))
    assert np.allclose(answer.mean[:, 2], 7.0, atol=1.5)  # a few updates leave a network without a naive start off


def test_a_series_that_moves_little_for_its_level_is_scaled_by_how_it_moves():
    little = np.float32(4e9) + 2e4 * np.random.default_rng(0).standard_normal((500, 1, 1)).astype(np.float32)
    tiny = np.float32(1e-9) * np.random.default_rng(0).standard_normal((500, 1, 1)).astype(np.float32)

    for values in (little, tiny):
        assert np.abs(Standard.of(values).scaled(values)).max() < 5


@each_but_far_back
def test_what_lies_before_the_segment_of_the_origin_does_not_matter(method):
    given = task(with_segments(linked(), 24))
    fitted = learn(method, given)
    origin = np.array([24 * 7 + 2])
    values = given.series.values.copy()
    values[: 24 * 7] += 5
    changed = replace(given, series=replace(given.series, values=values))
    assert same(ask(fitted, given, origin), ask(fitted, changed, origin))


@each
def test_an_origin_at_the_first_step_is_forecast(method):
    given = task(linked())
    assert np.isfinite(ask(learn(method, given), given, np.array([0])).mean).all()


@each
def test_no_origin_gives_no_forecast(method):
    given = task(linked())
    assert ask(learn(method, given), given, np.zeros(0, np.int64)).mean.shape == (0, 3, 2, given.horizon)


@each
def test_units_do_not_matter(method):
    given = task(linked())
    thousandfold = replace(given, series=replace(given.series, values=given.series.values * 1024))
    origins = later_origins(given)[:5]
    one, other = (ask(learn(method, of), of, origins) for of in (given, thousandfold))
    assert np.allclose(1024 * one.mean, other.mean, rtol=1e-3)


@each
def test_progress_ends_at_one(method):
    told = []
    method.fit([task(linked())], seed=0, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


@each
def test_the_same_seed_gives_the_same_forecasts(method):
    given = task(linked())
    origins = later_origins(given)[:5]
    assert same(ask(learn(method, given), given, origins), ask(learn(method, given), given, origins))


@each
def test_bands_hold_about_eighty_percent_of_what_comes(method):
    given = task(autoregressive(1500))
    origins = later_origins(given)
    quantiles = ask(learn(method, given), given, origins).quantiles
    came = given.series.values[origins[:, None] + np.arange(1, 4)].transpose(0, 2, 3, 1)
    assert np.mean((came >= quantiles[..., 0]) & (came <= quantiles[..., 2])) == pytest.approx(0.8, abs=0.06)


@each
def test_forecasts_of_services_it_has_not_seen_are_made_or_refused(method):
    given = task(linked())
    other = series(np.random.default_rng(0).normal(30, 3, (100, 5, 2)), calls=((0, 4),))
    origins = origins_of(other, 50, 100, horizon=3)
    fitted = learn(method, given)
    if not getattr(method, "inductive", True):
        with pytest.raises(CannotForecast):
            fitted.forecast(other, origins, window=8, horizon=3)
    else:
        mean = fitted.forecast(other, origins, window=8, horizon=3).mean
        assert mean.shape == (len(origins), 5, 2, 3)
        assert np.abs(mean - 30).max() < 30


@each
def test_several_recordings_are_learnt_from_or_refused(method):
    tasks = [task(linked()), task(linked(seed=5))]
    tasks[1] = replace(tasks[1], series=replace(tasks[1].series, services=("a", "b", "c")))
    if not getattr(method, "inductive", True):
        with pytest.raises(CannotForecast):
            method.fit(tasks, seed=0, progress=lambda _: None)
    else:
        fitted = method.fit(tasks, seed=0, progress=lambda _: None)
        assert all(np.isfinite(ask(fitted, of, later_origins(of)).mean).all() for of in tasks)
