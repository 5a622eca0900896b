"""
Scores and scales: within a series, over what was measured.
"""

import numpy as np
import pytest
import torch

from tidecast_contract.features import ERRORS, FEATURES, MEMORY
from tidecast_contract.forecast import ModelKind
from tidecast_predictor.scaling import LAGGING_SAMPLES, refer, to_model, to_units
from tidecast_predictor.scores import Scores, coverage, lead, pinball, scaled_error, series_scale, stretch
from tidecast_predictor.time_encoding import encode, width
from tidecast_predictor.windows import Split

F32 = np.float32


def test_an_error_counts_in_units_of_its_own_series():
    truth = np.zeros((2, 2, 1, 1), F32)
    forecast = np.array([1, 100], F32).reshape(1, 2, 1, 1).repeat(2, axis=0)
    assert scaled_error(forecast, truth, np.array([[1], [100]], F32)).ravel().tolist() == [1, 1]


def test_what_was_not_measured_is_not_scored():
    truth = np.array([0, np.nan], F32).reshape(2, 1, 1, 1)
    forecast = np.array([1, 50], F32).reshape(2, 1, 1, 1)
    assert scaled_error(forecast, truth, np.ones((1, 1), F32)).item() == 1


def test_a_constant_series_is_left_out():
    values = np.full((10, 1, 1), 7, F32)
    scale = series_scale(values, 2)
    assert np.isnan(scaled_error(values[:, :, :, None], values[:, :, :, None], scale)).all()


def test_the_scale_of_a_series_is_its_mean_change():
    ramp = np.arange(10, dtype=F32).reshape(10, 1, 1)
    assert series_scale(ramp, 3).item() == 3


def test_the_quantile_loss_is_least_at_the_quantile():
    truth = torch.arange(101.0)
    losses = [pinball(torch.full((101, 1), float(guess)), truth, (0.9,)).item() for guess in range(101)]
    assert int(np.argmin(losses)) == 90


def test_coverage_counts_both_ends():
    low, high = np.zeros(4, F32), np.ones(4, F32)
    assert coverage(low, high, np.array([0, 1, 2, np.nan], F32)) == pytest.approx(2 / 3)


def test_a_stretched_distance_covers_its_share():
    error = np.random.default_rng(0).normal(size=5000).astype(F32)
    factor = stretch(np.full(5000, 0.5, F32), error, 0.9)
    assert (error <= factor * 0.5).mean() == pytest.approx(0.9, abs=0.001)


def test_few_errors_stretch_nothing():
    assert stretch(np.ones(10, F32), np.full(10, 9, F32), 0.9) == 1


def test_a_comparison_is_told_in_words():
    naive = {ModelKind.LAST_VALUE: 1.0, ModelKind.SEASONAL_NAIVE: 0.5}
    scores = Scores(0.75, naive, {}, {}, 0.8, 129_600, 48, 3.0)
    assert "25% smaller than LastValue's and 50% larger than SeasonalNaive's on the last 1.5 days" in scores.describe()
    assert not scores.is_better


@pytest.mark.parametrize(("error", "confidence", "better"), [(0.9, 3.0, True), (0.9, 1.0, False), (0.995, 3.0, False)])
def test_a_model_is_better_when_it_is_ahead_by_more_than_chance(error, confidence, better):
    scores = Scores(error, {ModelKind.LAST_VALUE: 1.0}, {}, {}, 0.8, 7200, 48, confidence)
    assert scores.is_better is better
    assert ("may be chance" in scores.describe()) is not better


def test_a_lead_in_every_stretch_of_time_is_surer_than_one_in_a_single_stretch():
    truth, scale = np.zeros((80, 1, 1, 1), F32), np.ones((1, 1), F32)
    other = 1 + 0.1 * np.random.default_rng(0).random(truth.shape).astype(F32)
    steady, lucky = other - F32(0.2), other.copy()
    lucky[:10] = 0
    assert lead(steady, other, truth, scale, horizons=20) > 5
    assert lead(lucky, other, truth, scale, horizons=20) < 2


def test_a_lead_by_the_same_share_is_sure_although_a_rush_makes_it_larger_than_a_night():
    truth, scale = np.zeros((80, 1, 1, 1), F32), np.ones((1, 1), F32)
    other = 1 + 0.1 * np.random.default_rng(0).random(truth.shape).astype(F32)
    other[40:50] *= 20
    assert lead(F32(0.8) * other, other, truth, scale, horizons=20) > 5


def test_a_stretch_in_which_the_other_is_right_by_luck_does_not_outweigh_all_others():
    truth, scale = np.zeros((80, 1, 1, 1), F32), np.ones((1, 1), F32)
    other = 1 + 0.1 * np.random.default_rng(0).random(truth.shape).astype(F32)
    forecast = F32(0.5) * other
    other[:10] *= 0.05
    assert lead(forecast, other, truth, scale, horizons=20) > 1
    assert lead(other, forecast, truth, scale, horizons=20) == -lead(forecast, other, truth, scale, horizons=20)


def test_a_lead_over_moments_that_share_what_came_true_is_less_sure():
    chance = np.random.default_rng(0)
    truth, scale = np.zeros((80, 1, 1, 1), F32), np.ones((1, 1), F32)
    forecast, other = (level + chance.random(truth.shape).astype(F32) for level in (F32(1), F32(1.2)))
    apart, together = (lead(forecast, other, truth, scale, horizons=horizons) for horizons in (20, 0.5))
    assert together == pytest.approx(apart / np.sqrt(8))


def test_the_models_scale_and_units_are_inverse():
    values = np.array([[3.2, 0.05, 0.4, 0.02, 1.5, 3e9, 4]], F32)
    assert np.allclose(to_units(to_model(values)), values, rtol=1e-5)
    assert np.isnan(to_model(np.full((1, len(FEATURES)), np.nan, F32))).all()


def test_the_models_scale_keeps_the_order():
    rising = np.linspace(0, 1, 50, dtype=F32)[:, None] * np.array([1e4, 10, 10, 1, 64, 1e12, 100], F32)
    assert (np.diff(to_model(rising), axis=0) > 0).all()


def test_beyond_the_range_of_a_feature_is_its_end():
    values = to_units(np.array([[-1, -1, -1, 9, -1, 1e9, 0]], F32))
    assert values[0, [0, FEATURES.index(ERRORS)]].tolist() == [0, 1]
    assert np.isfinite(values[0, FEATURES.index(MEMORY)])


def test_a_service_without_a_past_is_scaled_like_the_others():
    earlier = np.random.default_rng(0).normal(size=(200, 3, len(FEATURES))).astype(F32)
    earlier[:, 2] = np.nan
    known = refer(earlier, np.roll(earlier, 1, axis=0))
    assert (known.change[2] == known.pool.change).all()
    assert known.pool.change == pytest.approx(known.change[:2].mean(), rel=0.2)


def test_a_short_past_of_its_own_counts_half():
    earlier = np.zeros((100, 2, len(FEATURES)), F32)
    later = earlier + np.array([1, 3], F32)[:, None]
    later[LAGGING_SAMPLES:, 1] = np.nan
    assert refer(earlier, later).change[1] == pytest.approx(2)


def test_noise_does_not_wander_and_what_is_slow_does_nothing_else():
    earlier, later = np.random.default_rng(0).normal(size=(2, 500, 2, len(FEATURES))).astype(F32)
    later[:, 1] = earlier[:, 1] + 0.01
    known = refer(earlier, later)
    assert (known.wandering[0] < 0.4 * known.spread[0]).all()
    assert known.wandering[1] == pytest.approx(known.spread[1], rel=1e-3)


def test_skew_leads_from_the_median_to_the_mean_in_units():
    units = np.random.default_rng(0).lognormal(0, 1, (4000, 1, 1)).repeat(len(FEATURES), axis=2).astype(F32)
    units[..., FEATURES.index(ERRORS)] /= 100
    earlier = to_model(units)
    known = refer(earlier, earlier)
    mean = to_units(known.median + known.skew)
    assert mean == pytest.approx(np.clip(units, 0, 1e9).mean(axis=0), rel=0.02)
    assert (to_units(known.median) < 0.8 * mean).all()


def test_of_what_was_never_measured_no_skew_is_known():
    nothing = np.full((50, 1, len(FEATURES)), np.nan, F32)
    assert (refer(nothing, nothing).skew == 0).all()


def test_the_clock_is_the_same_a_day_later_but_not_the_same_in_the_week():
    times = torch.tensor([1_000_000, 1_000_000 + 86_400])
    day, week = encode(times, (86_400,)), encode(times, (604_800,))
    assert torch.allclose(day[0], day[1], atol=1e-6)
    assert not torch.allclose(week[0], week[1], atol=0.1)
    assert day.shape == (2, width((86_400,)))


def test_no_target_of_training_is_a_target_of_validation():
    split = Split.of(1000, 30)
    assert split.training_steps < split.first_origin
    assert split.last_origin + 30 == 999


@pytest.mark.parametrize("error", [0.0, float("nan")])
def test_where_nothing_moves_there_is_nothing_to_compare(error):
    scores = Scores(error or 0.1, {ModelKind.LAST_VALUE: error}, {}, {}, 0.8, 7200, 48, 0.0)
    assert not scores.is_better
    assert scores.describe().endswith("nothing moved in the last 2.0 hours of history")


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_missing_on_the_models_scale(value):
    assert np.isnan(to_model(np.full((1, len(FEATURES)), value, F32))).all()
