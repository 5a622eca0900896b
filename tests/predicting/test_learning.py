"""
What is drawn to learn from: windows as a cluster may have them, and pasts as they may have been.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import HALF_HOUR, averaged, seasonal
from tidecast_predictor import sampling
from tidecast_predictor.config import Architecture
from tidecast_predictor.recording import Recording
from tidecast_predictor.sampling import Lesson, Sampler
from tidecast_predictor.scaling import SCALES

ARCHITECTURE = Architecture(step_seconds=HALF_HOUR, window_steps=8, horizon_steps=4)


def drawn(monkeypatch, shifted, snapshot=None):
    """The first draw when the days before are shifted with that chance."""
    monkeypatch.setattr(sampling, "_SHIFTED", shifted)
    recording = Recording.of(snapshot or seasonal(20))
    reference = recording.reference(recording.steps, ARCHITECTURE.horizon_steps)
    lesson = Lesson(recording, reference, recording.steps, SCALES, np.ones((recording.services, 6), np.float32))
    return Sampler([lesson], ARCHITECTURE, rows=32, seed=5).draw()


@pytest.fixture
def usual(monkeypatch):
    return drawn(monkeypatch, 0.0)


@pytest.fixture
def shifted(monkeypatch, usual):  # noqa: ARG001 - drawn after it
    return drawn(monkeypatch, 1.0)


def test_of_a_recording_that_mostly_pauses_windows_are_drawn_where_something_was_recorded():
    values = seasonal(100).values.copy()
    values[100:4700] = np.nan
    recording = Recording.of(replace(seasonal(100), values=values))
    moments = np.concatenate([np.arange(100), np.arange(4700, recording.steps)])
    reference = recording.reference(recording.steps, ARCHITECTURE.horizon_steps, moments=moments)
    spreads = np.ones((recording.services, 6), np.float32)
    lesson = Lesson(recording, reference, recording.steps, SCALES, spreads, moments)
    draw = Sampler([lesson], ARCHITECTURE, rows=300, seed=5).draw_whole()

    assert torch.isfinite(draw.material.z_BTNA[..., 0]).any(dim=1).all()
    assert np.isfinite(reference.median[:, 0]).all()


def test_days_before_on_another_level_change_neither_the_window_nor_what_came_true(usual, shifted):
    assert torch.allclose(usual.truth, shifted.truth, equal_nan=True)
    assert torch.allclose(usual.material.z_BTNA, shifted.material.z_BTNA, equal_nan=True)


def test_days_before_on_another_level_keep_their_course(usual, shifted):
    courses = [draw.material.days_BPWJNF.diff(dim=3) for draw in (usual, shifted)]
    assert torch.allclose(*courses, atol=1e-4, equal_nan=True)


def test_days_before_and_what_is_usual_are_moved_by_the_same(usual, shifted):
    moved = (shifted.material.days_BPWJNF - usual.material.days_BPWJNF)[..., 0].numpy()
    expected = (shifted.material.reference.median - usual.material.reference.median)[:, 0]
    known = np.isfinite(moved) & np.isfinite(expected)
    assert known.any()
    assert np.abs(expected[np.isfinite(expected)]).min() > 0.01
    assert np.allclose(np.where(known, moved - expected, 0), 0, atol=1e-4)


def test_days_before_of_mere_noise_hardly_leave_their_level(monkeypatch):
    noise = averaged(960, 3)
    usual, shifted = (drawn(monkeypatch, chance, noise).material.reference for chance in (0.0, 1.0))
    moved = np.abs(shifted.median - usual.median)[:, 0]
    known = np.isfinite(moved)
    assert known.any()
    assert (moved < 0.5 * usual.spread[:, 0])[known].all()
