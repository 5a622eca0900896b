"""
Learning: what it finds where there is something to find, and that it admits where there is nothing.
"""

import copy
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import QUICK, averaged, delayed, episodes, part, random_walk, seasonal, train
from tidecast_contract.forecast import ModelKind
from tidecast_predictor import fitting
from tidecast_predictor.fitting import fit
from tidecast_predictor.predicting import predict
from tidecast_predictor.windows import RecordingTooShort, Split, past_at


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained():
    return train(seasonal(40))


def test_a_season_is_learnt_and_beats_both_naive_methods(trained):
    scores = trained.scores
    assert scores.is_better
    assert scores.best_naive is ModelKind.SEASONAL_NAIVE
    assert scores.error < 0.95 * scores.naive_error


def test_on_a_random_walk_the_model_does_not_claim_to_be_better():
    scores = train(random_walk(960)).scores
    assert not scores.is_better
    assert scores.best_naive is ModelKind.LAST_VALUE


def test_a_served_model_stays_where_a_new_one_is_no_better(trained):
    again = train(seasonal(40), updates=1, served=trained)

    assert torch.equal(again.model.recent.weight, trained.model.recent.weight)
    assert again.updates == trained.updates
    assert again.scores.error <= train(seasonal(40), updates=1).scores.error


def test_a_served_model_goes_where_a_new_one_is_better(trained):
    poor = train(seasonal(40), updates=1)

    again = train(seasonal(40), served=poor)

    assert torch.equal(again.model.recent.weight, trained.model.recent.weight)


def test_a_served_model_of_another_horizon_goes(trained):
    again = train(seasonal(40), updates=1, horizon_steps=3, served=trained)

    assert again.model.architecture.horizon_steps == 3


def test_a_served_model_that_has_learnt_what_is_held_out_goes():
    recording = seasonal(40)
    shorter = part(recording, 0, recording.steps // 2)

    again = train(shorter, updates=1, served=train(recording, updates=30))

    assert again.updates == 1


def test_a_served_model_that_stays_is_calibrated_on_the_newest_history(trained):
    served = replace(trained, model=copy.deepcopy(trained.model))
    with torch.no_grad():
        served.model.calibration.mul_(9.0)

    again = train(seasonal(40), updates=1, served=served)

    assert torch.allclose(again.model.calibration, trained.model.calibration)


def test_who_follows_whom_is_learnt_from_the_graph_alone():
    recording = delayed(600)
    unlinked = replace(recording, calls=np.zeros((2, 0), np.int64), rates=np.zeros(0, np.float32))
    quick = {"updates": 100, "horizon_steps": 1, "window_steps": 6}
    linked, alone = (train(one, **quick).scores.error for one in (recording, unlinked))
    # Half of the services cannot be known better, of the others nearly everything can.
    assert linked < 0.9 * alone


def test_what_a_straight_line_sees_in_the_newest_steps_is_learnt():
    recording = averaged(2000)
    trained = train(recording, updates=150, horizon_steps=12, window_steps=16)
    origins = range(1900, 1987)
    pasts = [past_at(recording, origin, 16) for origin in origins]
    reference, architecture = pasts[0].reference(12, trained.pool), trained.model.architecture
    median = np.stack(
        [predict(trained.model, past.material(reference, architecture))[:, 0, 0, 0, 0, 1] for past in pasts]
    )
    requests = recording.values[..., 0]
    error, of_last = (np.abs(said - requests[1901:1988]).mean() for said in (median, requests[1900:1987]))
    # With twelve steps 0.734 is the best there is, and the mean of all that was measured has 1.0.
    assert error < 0.85 * of_last


def test_where_nothing_comes_and_mostly_nothing_follows_the_median_is_exactly_zero():
    recording = episodes(800)
    trained = train(recording, updates=100, horizon_steps=2)
    past = past_at(recording, 799, 8)
    silent = (past.snapshot.values[-6:, :, 0] == 0).all(axis=0)
    reference = past.reference(2, trained.pool)
    forecast = predict(trained.model, past.material(reference, trained.model.architecture))[:, 0, 0, 0, 0]
    assert silent.any()
    assert not silent.all()
    assert (forecast[silent, 1] == 0).all()
    assert (forecast[~silent, 1] > 5).all()


def test_bands_hold_what_they_promise_on_the_data_they_are_calibrated_on(trained):
    assert trained.scores.coverage == pytest.approx(0.8, abs=0.03)


def test_the_same_seed_gives_the_same_model():
    once, again, other = (train(seasonal(5), updates=5, seed=seed).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not all(torch.equal(once[name], other[name]) for name in once)


def test_a_training_is_the_longer_the_more_there_is_to_learn_from(monkeypatch):
    monkeypatch.setattr(fitting, "_UPDATES", 1)
    small, longer, wider = (train(of, updates=None) for of in (seasonal(5), seasonal(40), seasonal(5, count=24)))
    assert 0 < small.updates < longer.updates == wider.updates


def test_what_was_measured_for_a_part_of_the_time_is_learnt_from_for_as_long_as_that_is_worth():
    values = seasonal(40).values.copy()
    values[100:1500] = np.nan
    paused = train(replace(seasonal(40), values=values), updates=None)
    assert paused.updates == fitting.updates_worth(3, 100 + Split.of(1920, 4).training_steps - 1500)
    assert paused.scores.error < 0.9 * paused.scores.naive_error


def test_a_training_ends_with_its_time():
    began = time.monotonic()
    told = []
    result = fit(seasonal(5), replace(QUICK, updates=10**6), progress=told.append, deadline=time.monotonic() + 2)
    assert 0 < result.updates < 10**6
    assert time.monotonic() - began < 30
    assert told == sorted(told)


def test_a_recording_too_short_for_the_horizon_is_refused():
    with pytest.raises(RecordingTooShort, match="9 steps are too few to train for 4 steps ahead"):
        train(part(seasonal(1), 0, 9))


def test_features_that_are_never_measured_do_not_matter():
    model = train(seasonal(5), updates=5)
    assert list(model.scores.errors_by_feature) == ["RequestsPerSecond"]
    assert all(torch.isfinite(tensor).all() for tensor in model.model.state_dict().values())
