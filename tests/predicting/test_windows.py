"""
Windows: cut for training as they are cut for serving, and blind to what comes after.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import HALF_HOUR, part, seasonal, untrained
from tidecast_predictor.batch import COURSES, _middle, assemble
from tidecast_predictor.naive import SeasonalNaive
from tidecast_predictor.recording import Recording
from tidecast_predictor.windows import Past, past_at, recorded

ARCHITECTURE = untrained().model.architecture


def both_ways(snapshot, origin, window_steps=8):
    """The batch of one origin, cut from the recording and from the past at that origin."""
    recording = Recording.of(snapshot)
    reference = recording.reference(origin, ARCHITECTURE.horizon_steps)
    starts, origins = torch.tensor([origin - window_steps + 1]), torch.tensor([[window_steps - 1]])
    trained = recording.material(starts, origins, reference=reference, steps=window_steps, architecture=ARCHITECTURE)
    served = past_at(snapshot, origin, window_steps).material(reference, ARCHITECTURE)
    return assemble(trained, ARCHITECTURE), assemble(served, ARCHITECTURE)


@pytest.mark.parametrize("origin", [5, 60, 400])
def test_training_and_serving_see_the_same(origin):
    trained, served = both_ways(seasonal(12), origin)
    for name in ("steps_NBTC", "clock_BTK", "origin_NBPO", "courses_NBPFHW", "courses_known_NBPFW", "ahead_BPK"):
        assert torch.allclose(getattr(trained, name), getattr(served, name), atol=1e-5), name


@pytest.mark.parametrize("horizon", [4, 60])
def test_nothing_after_the_origin_is_seen(horizon):
    architecture = replace(ARCHITECTURE, horizon_steps=horizon)  # 60 half hours reach beyond a season
    recording = Recording.of(seasonal(12))
    reference = recording.reference(400, horizon)

    def batch():
        material = recording.material(
            torch.tensor([393]), torch.tensor([[7]]), reference=reference, steps=8, architecture=architecture
        )
        return assemble(material, architecture)

    before = batch()
    recording.values_XTA[:, 401:] = 99
    assert torch.equal(before.courses_NBPFHW, batch().courses_NBPFHW)
    assert torch.equal(before.steps_NBTC, batch().steps_NBTC)


def test_a_season_shorter_than_the_horizon_is_repeated():
    past = past_at(seasonal(3), 100, 8)
    forecast = SeasonalNaive().forecast(past, 60)
    assert np.isfinite(forecast[:, 0]).all()
    assert np.array_equal(forecast[:, 0, 48:], forecast[:, 0, :12])


def test_the_season_is_the_course_of_yesterday():
    snapshot = seasonal(12)
    trained, _ = both_ways(snapshot, 400)
    z = np.log1p(snapshot.values[:, :, 0] / 0.1)
    yesterday = z[400 - 48 + 4] - z[400 - 48]
    # The course is smoothed, which flattens it a little.
    assert trained.courses_NBPFHW[:, 0, 0, 0, 3, 0] * trained.scale_NF[:, 0] == pytest.approx(yesterday, abs=0.25)


def test_the_usual_day_is_the_middle_course_of_the_days_that_are_known():
    snapshot = seasonal(4)
    trained, _ = both_ways(snapshot, 150)
    z = np.log1p(snapshot.values[:, :, 0] / 0.1)
    courses = [z[150 - 48 * day + 4] - z[150 - 48 * day] for day in (1, 2, 3)]
    usual = trained.courses_NBPFHW[:, 0, 0, 0, 3, COURSES.index("usual day")] * trained.scale_NF[:, 0]
    assert usual == pytest.approx(np.median(courses, axis=0), abs=0.25)


def test_what_one_day_alone_did_is_no_part_of_the_usual_day():
    snapshot = seasonal(6)
    values = snapshot.values.copy()
    values[250 - 2 * 48 + 3 : 250 - 2 * 48 + 12, :, 0] *= 50
    calm, wild = (both_ways(each, 250)[0] for each in (snapshot, replace(snapshot, values=values)))
    usual = COURSES.index("usual day")
    gaps = (calm.courses_NBPFHW - wild.courses_NBPFHW)[:, 0, 0, 0, :, usual] * calm.scale_NF[:, :1]
    assert gaps.abs().max() < 0.5


@pytest.mark.parametrize("known", range(1, 8))
def test_the_usual_day_lies_no_lower_for_an_even_number_of_days(known):
    days = torch.arange(7.0).view(1, 1, 7, 1, 1, 1).clone()
    days[:, :, known:] = torch.nan
    assert _middle(days).item() == (known - 1) / 2


def test_a_past_hides_what_comes_after_its_moment():
    snapshot = seasonal(2)
    past = past_at(snapshot, 50, 8)
    times = past.snapshot.end_time + np.array([-HALF_HOUR, 0, HALF_HOUR])
    assert np.isfinite(past.values(times)[:, 0, 0]).tolist() == [True, True, False]


def test_a_window_completes_what_history_does_not_hold_yet():
    snapshot = seasonal(2)
    past = Past(part(snapshot, 40, 48), recorded(part(snapshot, 0, 40)))
    times = snapshot.times[38:42]
    assert np.array_equal(past.values(times), snapshot.values[38:42], equal_nan=True)


def test_an_infinite_value_is_no_last_value():
    snapshot = part(seasonal(1), 0, 8)
    values = snapshot.values.copy()
    values[-1, 0, 0] = np.inf
    past = Past(replace(snapshot, values=values), recorded(replace(snapshot, values=values)))
    assert past.latest()[0, 0] == snapshot.values[-2, 0, 0]
    assert np.isnan(past.values(snapshot.times)[-1, 0, 0])


def test_the_beginning_of_the_longest_window_is_remembered():
    snapshot = seasonal(30)
    values = snapshot.values.copy()
    values[10:] = np.nan
    past = past_at(replace(snapshot, values=values), 1439, 1440)
    architecture = replace(ARCHITECTURE, window_steps=1440)
    batch = assemble(past.material(past.reference(4), architecture), architecture)
    assert batch.centre_NBPF[:, 0, 0, 0] == pytest.approx(
        np.log1p(snapshot.values[:10, :, 0].mean(axis=0) / 0.1), abs=1
    )
