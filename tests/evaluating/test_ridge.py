"""
What ridge regression is for, and what it may take.
"""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from builders.tasks import (
    autoregressive,
    delayed_pair,
    later_error,
    learn,
    series,
    task,
    with_missing,
)
from tidecast_predictor.baselines import CannotForecast, ridge
from tidecast_predictor.baselines.ridge import Ridge


def test_ridge_finds_the_coefficient_of_an_autoregression():
    weights = learn(Ridge(), task(autoregressive(4000, coefficient=0.8))).weights[0]
    newest = weights[2 + 8 - 1]
    assert newest == pytest.approx([0.8, 0.64, 0.512], abs=0.05)


def test_ridge_errs_by_no_more_than_the_noise_makes_inevitable():
    inevitable = np.sqrt(np.mean([1, 1 + 0.8**2, 1 + 0.8**2 + 0.8**4]))
    assert later_error(Ridge(), task(autoregressive(4000))) == pytest.approx(inevitable, rel=0.06)


def test_ridge_finds_it_where_much_is_missing():
    inevitable = np.sqrt(np.mean([1, 1 + 0.8**2, 1 + 0.8**2 + 0.8**4]))
    assert later_error(Ridge(), task(with_missing(autoregressive(4000), 0.3))) < 1.15 * inevitable


def test_on_noise_ridge_says_the_mean():
    noise = series(np.random.default_rng(0).normal(10, 1, (1500, 3, 1)), step_seconds=60.0)
    assert later_error(Ridge(), task(noise)) < 1.02


def test_neighbours_tell_ridge_what_a_service_itself_cannot():
    given = task(delayed_pair(), horizon=1)
    # Two of the four services are noise, the other two repeat what their callers had: half of the variance is left.
    assert later_error(Ridge(neighbours=True), given) < 0.8 * later_error(Ridge(), given)


def test_neighbours_that_are_mixed_up_tell_nothing():
    mixed = task(replace(delayed_pair(), calls=np.array([[0, 2], [3, 1]])), horizon=1)
    assert later_error(Ridge(neighbours=True), mixed) > 0.97 * later_error(Ridge(), mixed)


def test_callers_count_by_their_weight():
    chance = np.random.default_rng(0)
    callers = chance.normal(0, 1, (801, 2))
    callee = 0.9 * callers[:-1, 0] + 0.1 * callers[:-1, 1]
    values = np.stack([callers[1:, 0], callers[1:, 1], callee], axis=1)[..., None]
    right, wrong = (
        task(series(values, step_seconds=60.0, calls=((0, 2), (1, 2)), weights=weights), horizon=1)
        for weights in ((9.0, 1.0), (1.0, 9.0))
    )
    assert later_error(Ridge(neighbours=True), right) < 0.9 * later_error(Ridge(neighbours=True), wrong)


def test_ridge_learns_the_same_however_many_steps_ahead_it_solves_at_a_time(monkeypatch):
    given = task(with_missing(autoregressive(600), 0.2), horizon=5)
    at_once = learn(Ridge(neighbours=True), given)
    monkeypatch.setattr(ridge, "_SQUARES", 2 * (2 + 3 * 8) ** 2)
    in_parts = learn(Ridge(neighbours=True), given)

    assert at_once.weights.shape[2] == 5
    np.testing.assert_allclose(in_parts.weights, at_once.weights, rtol=1e-6, atol=1e-9)


def test_the_memory_that_ridge_takes_does_not_grow_with_the_horizon(monkeypatch):
    monkeypatch.setattr(ridge, "_SQUARES", 1)
    given, horizon, regressors = task(autoregressive(600), window=100, horizon=48), 48, 2 + 3 * 100
    tracemalloc.start()
    learn(Ridge(neighbours=True), given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 8 * horizon * regressors**2


def test_ridge_refuses_another_window_than_it_learnt():
    given = task(autoregressive(200))
    with pytest.raises(CannotForecast):
        learn(Ridge(), given).forecast(given.series, np.array([50]), window=9, horizon=3)
