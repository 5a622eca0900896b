"""
What was known of a service when it went is gone on with when it comes back.
"""

from dataclasses import replace

import numpy as np
import pytest

from builders.recordings import HALF_HOUR, recording, services
from tidecast_predictor.config import Architecture
from tidecast_predictor.corrections import Corrections, Said
from tidecast_predictor.scaling import to_model
from tidecast_predictor.windows import past_at

ARCHITECTURE = Architecture(step_seconds=HALF_HOUR, window_steps=8, horizon_steps=2)
LEVEL = to_model(np.full((1, 1), 50.0, np.float32))[0, 0]
ALL = range(5)


def at(step, among):
    """A moment when the services of these numbers were there; all of them always do the same."""
    names = services(1 + max(among))
    snapshot = recording(np.full((60, len(among)), 50.0), services=tuple(names[one] for one in among))
    return past_at(snapshot, step, 8)


def after(corrections, step, among, *, off):
    """The same a step on, and a forecast made that lies so far off; what stays as it is was right."""
    corrections = corrections.after(at(step, among))
    count = len(among)
    band = (LEVEL + off + np.array([-1, 0, 1], np.float32)).astype(np.float32)
    said = Said(np.broadcast_to(band, (count, 6, 2, 3)).copy(), np.full((count, 6, 3), LEVEL, np.float32))
    return corrections.remembering(said, corrections.corrected(said))


def taught(among=ALL, *, off=3.0):
    """By a network that was wrong for ten steps."""
    corrections = Corrections.begin(ARCHITECTURE, at(20, among))
    for step in range(20, 31):
        corrections = after(corrections, step, among, off=off)
    return corrections


def without_a_step(corrections, step, gone):
    """What is known when *gone* were missing at *step* and are back at the next."""
    left = [one for one in ALL if one not in gone]
    return after(corrections, step, left, off=0.0).after(at(step + 1, ALL))


@pytest.mark.parametrize("gone", [{4}, {0, 3}])
def test_a_service_that_one_snapshot_lacks_is_believed_as_before(gone):
    before = taught()
    back = without_a_step(before, 31, gone)
    for one in gone:
        for name in ("losses_NFHE", "counts_NFH", "weights_NFHE", "apart_NFH"):
            assert np.array_equal(getattr(back.record, name)[one], getattr(before.record, name)[one]), name
    assert back.record.weights_NFHE[min(gone), 0, 0, 0] < 0.1, "the network had been wrong"


def test_a_band_of_a_service_that_one_snapshot_lacks_is_stretched_as_before():
    before = taught()
    back = without_a_step(before, 31, {2})
    assert np.array_equal(back.stretches.of_one_NFHO[2], before.stretches.of_one_NFHO[2])
    assert before.stretches.of_one_NFHO[2].any()


def test_what_was_forecast_of_a_service_before_it_went_is_not_compared_when_it_is_back():
    back = without_a_step(taught(), 31, {2})
    assert np.isnan(back.issued[-1].median_NFH[2]).all()
    assert np.isfinite(back.issued[-1].median_NFH[3]).all()


def test_a_service_that_goes_twice_is_known_as_when_it_went_last():
    corrections = without_a_step(taught(), 31, {2})
    for step in range(33, 40):
        corrections = after(corrections, step, ALL, off=3.0)
    again = without_a_step(corrections, 40, {2})
    assert np.array_equal(again.record.counts_NFH[2], corrections.record.counts_NFH[2])


def test_services_that_go_one_after_the_other_all_come_back():
    before = taught()
    corrections = before.after(at(30, [0, 1, 2, 3])).after(at(30, [0, 1, 2])).after(at(30, [0, 1]))
    assert corrections.gone.services == tuple(services(5)[one] for one in (2, 3, 4))
    back = corrections.after(at(30, ALL))
    assert np.array_equal(back.record.weights_NFHE, before.record.weights_NFHE)
    assert back.gone.services == ()


def test_a_newcomer_begins_anew_where_others_are_gone():
    corrections = taught().after(at(31, [0, 1, 2])).after(at(31, [0, 1, 2, 7]))
    assert (corrections.record.counts_NFH[3] == 0).all()
    assert (corrections.stretches.of_one_NFHO[3] == 0).all()
    assert corrections.gone.services == services(5)[3:]


def test_of_a_thousand_services_that_are_gone_those_that_went_first_are_forgotten():
    many = range(1002)
    corrections = Corrections.begin(ARCHITECTURE, at(20, many)).after(at(20, range(1000)))
    assert corrections.gone.services == services(1002)[1000:]
    corrections = corrections.after(at(20, [0]))
    assert corrections.gone.services == (*services(1000)[1:], services(1001)[1000])
    assert len(corrections.gone.record.counts_NFH) == len(corrections.gone.stretches.of_one_NFHO) == 1000


def test_a_newly_trained_model_is_believed_as_the_one_before_where_a_service_comes_back_and_its_bands_are_its_own():
    before = taught()
    trained = before.after(at(31, [0, 1, 2, 3])).under(replace(ARCHITECTURE, window_steps=16))
    back = trained.after(at(31, ALL))
    assert np.array_equal(back.record.weights_NFHE[4], before.record.weights_NFHE[4])
    assert before.stretches.of_one_NFHO[4].any()
    assert (back.stretches.of_one_NFHO == 0).all()


def test_a_service_that_comes_back_changes_nothing_that_others_hold():
    away = taught().after(at(31, [0, 1, 2, 3]))
    kept = away.gone.record.copy()
    for step in range(31, 36):
        after(away, step, ALL, off=0.0).after(at(step + 1, ALL))
    assert np.array_equal(away.gone.record.weights_NFHE, kept.weights_NFHE)
    assert len(away.record.counts_NFH) == 4
