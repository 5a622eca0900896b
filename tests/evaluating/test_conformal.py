"""
Quantiles that are corrected while they are used.
"""

import numpy as np
import pytest

from tidecast_predictor.conformal import Stretches, moved, stretch_online

LEVELS = (0.1, 0.5, 0.9)


def bands(origins: int, half_width: float, services: int = 20, horizon: int = 3) -> np.ndarray:
    """The same band around 0 at every origin, (S, N, 1, H, Q)."""
    band = np.array([-half_width, 0, half_width], np.float32)
    return np.broadcast_to(band, (origins, services, 1, horizon, 3)).copy()


def noise(origins: int, services: int = 20, horizon: int = 3) -> np.ndarray:
    """Truth of standard deviation 1, whose true band reaches to 1.28."""
    return np.random.default_rng(0).normal(size=(origins, services, 1, horizon)).astype(np.float32)


def covered(quantiles: np.ndarray, truth: np.ndarray) -> float:
    return float(((truth >= quantiles[..., 0]) & (truth <= quantiles[..., 2])).mean())


@pytest.mark.parametrize("half_width", [0.4, 4.0])
def test_a_band_that_is_too_narrow_or_too_wide_comes_to_hold_four_of_five(half_width):
    truth = noise(400)
    corrected = stretch_online(bands(400, half_width), truth, LEVELS, np.arange(400))
    assert covered(corrected[200:], truth[200:]) == pytest.approx(0.8, abs=0.03)


def test_a_band_that_is_right_stays_nearly_as_it_is():
    corrected = stretch_online(bands(300, 1.2816), noise(300), LEVELS, np.arange(300))
    assert corrected[100:, ..., 2].mean() == pytest.approx(1.28, abs=0.1)


def test_the_median_is_not_touched():
    quantiles = bands(50, 0.1)
    assert np.array_equal(stretch_online(quantiles, noise(50), LEVELS, np.arange(50))[..., 1], quantiles[..., 1])


def test_a_truth_counts_only_once_its_moment_has_come():
    truth = noise(30)
    changed = truth.copy()
    changed[20, :, :, 2] = 99  # three steps after origin 20: known at 23
    before, after = (stretch_online(bands(30, 1), came, LEVELS, np.arange(30)) for came in (truth, changed))
    assert np.array_equal(before[:23], after[:23])
    assert not np.array_equal(before[23], after[23])


def test_a_service_that_is_wilder_than_the_others_gets_a_wider_band():
    truth = noise(600)
    truth[:, 0] *= 3
    corrected = stretch_online(bands(600, 1.28), truth, LEVELS, np.arange(600))
    assert corrected[-1, 0, 0, 0, 2] > 1.5 * corrected[-1, 1:, 0, 0, 2].mean()


def test_a_band_beside_what_is_always_zero_comes_to_reach_it():
    quantiles = bands(200, 0.0) + np.array([0.0099, 0.01, 0.0101], np.float32)
    corrected = stretch_online(quantiles, np.zeros((200, 20, 1, 3), np.float32), LEVELS, np.arange(200))
    assert (corrected[100:, ..., 0] <= 0).mean() > 0.8


def test_what_was_not_measured_changes_nothing():
    quantiles = bands(40, 1)
    missing = np.full(quantiles.shape[:-1], np.nan, np.float32)
    assert np.array_equal(stretch_online(quantiles, missing, LEVELS, np.arange(40)), quantiles)


def test_bands_hold_four_of_five_however_late_the_truth_comes():
    rng, horizon, origins = np.random.default_rng(1), 30, 1200
    shocks = rng.normal(size=(origins + horizon, 20)).astype(np.float32)
    course = np.zeros_like(shocks)
    for step in range(1, len(course)):
        course[step] = 0.95 * course[step - 1] + shocks[step]
    truth = np.stack([course[step + 1 : step + 1 + horizon].T[:, None] for step in range(origins)])
    corrected = stretch_online(bands(origins, 2.0, horizon=horizon), truth, LEVELS, np.arange(origins))
    assert covered(corrected[400:, ..., -1:, :], truth[400:, ..., -1:]) == pytest.approx(0.8, abs=0.03)


def test_what_stays_at_one_value_keeps_a_band():
    quantiles = bands(400, 0.01) + np.float32(0.001)
    corrected = stretch_online(quantiles, np.zeros((400, 20, 1, 3), np.float32), LEVELS, np.arange(400))
    assert covered(corrected, np.zeros((400, 20, 1, 3), np.float32)) == 1


def test_the_two_stretches_together_have_an_end():
    stretches = Stretches.none(LEVELS, 1, 1, 1)
    stretches.of_all_FHO[:], stretches.of_one_NFHO[:] = 5.0, 5.0
    told = stretches.applied(np.array([[[[-1.0, 0, 1]]]], np.float32))
    assert told[..., 2] == pytest.approx(np.exp(5.0))


def test_quantiles_move_as_far_as_the_median_did():
    quantiles = np.array([[1.0, 2.0, 4.0]], np.float32)
    assert moved(quantiles, np.array([0.5], np.float32), LEVELS).tolist() == [[1.5, 2.5, 4.5]]
    assert moved(quantiles, np.array([-1.5], np.float32), LEVELS).tolist() == [[-0.5, 0.5, 2.5]]


def test_a_lower_quantile_that_is_nothing_stays_as_zero_is_then_that_likely():
    for nothing in (0.0, 5e-7, -5e-7):  # as it comes back from the scale of one series
        quantiles = np.array([[nothing, 0.0, 2.0]], np.float32)
        assert moved(quantiles, np.array([0.5], np.float32), LEVELS)[0] == pytest.approx([0.0, 0.5, 2.5], abs=1e-6)
        assert moved(quantiles, np.array([-0.5], np.float32), LEVELS)[0] == pytest.approx([-0.5, -0.5, 1.5], abs=1e-6)


def test_below_zero_nothing_is_special():
    quantiles = np.array([[-5.0, -3.0, -1.0]], np.float32)
    assert moved(quantiles, np.array([2.5], np.float32), LEVELS).tolist() == [[-2.5, -0.5, 1.5]]


def test_what_was_not_told_stretches_nothing():
    stretches = Stretches.none(LEVELS, 20, 1, 3)
    stretches.learn(0, np.full((20, 1, 2), np.nan, np.float32), np.zeros((20, 1), np.float32))
    assert not stretches.of_all_FHO.any()
    assert not stretches.of_one_NFHO.any()


def test_a_truth_that_differs_from_a_band_without_width_by_rounding_does_not_stretch_it():
    quantiles, truth = bands(100, 0.0) + np.float32(5), np.full((100, 20, 1, 3), 5, np.float32)
    truth[::2] += np.float32(2e-6)
    stretches = Stretches.none(LEVELS, 20, 1, 3)
    for origin in range(100):
        stretches.learn(0, stretches.outer(quantiles[origin, :, :, 0]), truth[origin, :, :, 0])
    assert (stretches.of_all_FHO[:, 0] < 0).all()
    assert (stretches.of_one_NFHO[:, :, 0] < 0).all()


def test_a_quantile_on_the_median_comes_to_be_stretched_to_where_it_belongs():
    truth = noise(1500)
    quantiles = bands(1500, 1.28)
    quantiles[..., 0] = 0.0
    corrected = stretch_online(quantiles, truth, LEVELS, np.arange(1500))
    assert (truth[700:] < corrected[700:, ..., 0]).mean() == pytest.approx(0.1, abs=0.02)


def test_a_band_without_width_has_none_to_stretch():
    corrected = stretch_online(bands(50, 0.0), noise(50), LEVELS, np.arange(50))
    assert (corrected == 0).all()
