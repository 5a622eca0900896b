"""
Forecasts are remembered until they came true, and correct those that follow.
"""

from dataclasses import replace

import numpy as np

from builders.recordings import HALF_HOUR, recording, services
from tidecast_predictor.config import Architecture
from tidecast_predictor.corrections import Corrections, Said
from tidecast_predictor.scaling import to_model
from tidecast_predictor.windows import past_at

ARCHITECTURE = Architecture(step_seconds=HALF_HOUR, window_steps=8, horizon_steps=12)
SNAPSHOT = recording(np.full((100, 3), 50.0))
LEVEL = to_model(np.full((1, 1), 50.0, np.float32))[0, 0]


def band(half_width, count=3):
    """The same around what all services do, (N, F, H, Q)."""
    quantiles = LEVEL + np.array([-half_width, 0, half_width], np.float32)
    return Said(np.broadcast_to(quantiles, (count, 6, 12, 3)).astype(np.float32), simple(LEVEL, count))


def simple(level, count=3):
    """All three the same, (N, F, X)."""
    return np.full((count, 6, 3), level, np.float32)


def at(step, snapshot=SNAPSHOT):
    return past_at(snapshot, step, 8)


def begun(step=20):
    return Corrections.begin(ARCHITECTURE, at(step))


def told(corrections, said):
    """The same, once a forecast was made and told."""
    return corrections.remembering(said, corrections.corrected(said))


def width(bands):
    """Of the corrected band of a band of width 2, (N, F, H)."""
    corrected = bands.corrected(band(1.0, len(bands.services)))
    return corrected[..., 2] - corrected[..., 0]


def test_nothing_is_corrected_before_anything_came_true():
    np.testing.assert_allclose(told(begun(), band(1.0)).corrected(band(1.0)), band(1.0).quantiles_NFHQ, rtol=1e-6)


def test_a_band_that_held_is_narrowed_for_the_step_ahead_that_came_true_and_no_other():
    bands = told(begun(), band(1.0)).after(at(21))
    assert (width(bands)[:, 0, 0] < 2).all()
    assert (width(bands)[:, 0, 1:] == 2).all()


def test_a_feature_that_was_not_measured_is_not_corrected():
    assert (width(told(begun(), band(1.0)).after(at(21)))[:, 1:] == 2).all()


def test_steps_that_come_together_count_like_steps_that_come_one_by_one():
    together = told(begun(), band(1.0)).after(at(23))
    one_by_one = told(begun(), band(1.0)).after(at(21)).after(at(22)).after(at(23))
    assert np.array_equal(width(together), width(one_by_one))
    assert (width(together)[:, 0, :3] < 2).all()


def test_the_same_moment_again_teaches_nothing():
    bands = told(begun(), band(1.0)).after(at(21))
    assert np.array_equal(width(bands.after(at(21))), width(bands))


def test_no_more_than_some_forecasts_are_remembered_and_none_beyond_its_horizon():
    bands, ages = begun(), []
    for step in range(21, 60):
        bands = told(bands.after(at(step)), band(1.0))
        ages.append([(bands.time - one.time) // HALF_HOUR for one in bands.issued])
    assert max(map(len, ages)) == 6  # every other step
    assert max(map(max, ages)) < 12


def test_a_service_keeps_what_is_known_of_it_when_others_come_and_go():
    bands = told(begun(), band(1.0)).after(at(21))
    bands.stretches.of_one_NFHO[2] = 1.0
    other = recording(np.full((100, 3), 50.0), services=(services(3)[2], services(5)[4], services(3)[0]))
    before, after = bands.stretches.of_one_NFHO, bands.after(at(21, other)).stretches.of_one_NFHO
    assert np.array_equal(after[0], before[2])
    assert (after[1] == 0).all()
    assert np.array_equal(after[2], before[0])


def test_a_newcomer_is_not_held_to_forecasts_that_were_made_before_it():
    bands = told(begun(), band(1.0))
    other = recording(np.full((100, 2), 5.0), services=(services(1)[0], services(5)[4]))
    assert (bands.after(at(21, other)).stretches.of_one_NFHO[1] == 0).all()


def test_going_on_changes_nothing_that_others_hold():
    bands = told(begun(), band(1.0))
    bands.after(at(22))
    assert np.array_equal(width(bands), np.full((3, 6, 12), 2.0, np.float32))


def test_where_the_newest_value_was_right_and_the_network_was_not_the_newest_value_comes_to_be_told():
    corrections = begun()
    wrong = replace(band(1.0), quantiles_NFHQ=band(1.0).quantiles_NFHQ + 3)
    for step in range(21, 80):
        corrections = told(corrections.after(at(step)), wrong)
    corrected = corrections.corrected(wrong)
    assert abs(corrected[:, 0, :, 1] - LEVEL).max() < 0.05
    assert (np.diff(corrected[:, 0], axis=-1) >= 0).all()


def test_a_newcomer_is_weighed_by_its_own_record():
    corrections = told(begun(), replace(band(1.0), quantiles_NFHQ=band(1.0).quantiles_NFHQ + 3))
    other = recording(np.full((100, 2), 50.0), services=(services(1)[0], services(5)[4]))
    weights = corrections.after(at(21, other)).record.weights_NFHE[:, 0, 0]
    assert weights[0, 0] < weights[1, 0]
