"""
Recordings: read window by window, from a file as from memory, of some services as of all.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import QUICK, delayed, seasonal, train, untrained
from tidecast_contract.features import FEATURES
from tidecast_predictor.fitting import fit
from tidecast_predictor.recording import Recording

ARCHITECTURE = untrained().model.architecture


def in_a_file(snapshot, folder):
    """The same snapshot, its values in a file, the steps of each service together."""
    np.save(folder / "values.npy", np.ascontiguousarray(snapshot.values.swapaxes(0, 1)))
    return replace(snapshot, values=np.load(folder / "values.npy", mmap_mode="r").swapaxes(0, 1))


def material(recording, start=100, steps=8):
    reference = recording.reference(400, ARCHITECTURE.horizon_steps)
    return recording.material(
        torch.tensor([start, start + 50]),
        torch.tensor([[2, 7], [5, 3]]),
        reference=reference,
        steps=steps,
        architecture=ARCHITECTURE,
    )


NAMES = ("z_BTNA", "before_BNA", "times_BT", "days_BPWJNF", "calls_2E", "rates_E")


def same(one, other):
    return all(torch.equal(getattr(one, name).nan_to_num(7), getattr(other, name).nan_to_num(7)) for name in NAMES)


def test_a_file_gives_what_memory_gives(tmp_path):
    snapshot = seasonal(12)
    assert same(material(Recording.of(snapshot)), material(Recording.of(in_a_file(snapshot, tmp_path))))


def test_what_was_let_go_can_be_read_again(tmp_path):
    recording = Recording.of(in_a_file(seasonal(12), tmp_path))
    before = material(recording)
    recording.let_go()
    assert same(before, material(recording))


def test_some_services_are_seen_as_they_are_seen_among_all():
    whole = Recording.of(seasonal(12, count=6))
    chosen = np.array([1, 4])
    part = material(whole.among(chosen))
    assert torch.equal(part.z_BTNA.nan_to_num(7), material(whole).z_BTNA[:, :, chosen].nan_to_num(7))
    assert torch.equal(part.days_BPWJNF.nan_to_num(7), material(whole).days_BPWJNF[..., chosen, :].nan_to_num(7))


def test_a_part_of_a_part_has_its_own_calls():
    recording = Recording.of(delayed(100)).among(np.array([0, 1, 3])).among(np.array([1, 2]))
    assert recording.services_N.tolist() == [1, 3]
    assert recording.calls_2E.tolist() == [[0], [1]]


def test_windows_are_views_into_the_recording_and_no_copy_of_it(tmp_path):
    snapshot = in_a_file(seasonal(12), tmp_path)
    recording = Recording.of(snapshot)
    for one in (recording, recording.among(np.array([0, 2]))):
        assert np.shares_memory(one.values_XTA, snapshot.values)


def test_before_and_after_the_recording_nothing_is_known():
    recording = Recording.of(seasonal(1))
    read = recording.read(-2, 52, len(FEATURES))[:, :, 0]
    assert torch.isfinite(read[0]).tolist() == [False] * 2 + [True] * 48 + [False] * 2


def test_the_last_value_before_a_window_is_remembered_through_a_pause():
    snapshot = seasonal(12)
    values = snapshot.values.copy()
    values[100:300] = np.nan
    recording = Recording.of(replace(snapshot, values=values))
    before = material(recording, start=200).before_BNA[0, :, 0]
    assert before.numpy() == pytest.approx(np.log1p(values[99, :, 0] / 0.1), rel=1e-5)


def test_targets_are_what_came_after_the_origins():
    snapshot = seasonal(12)
    recording = Recording.of(snapshot)
    truth = recording.targets(torch.tensor([[100, 107], [90, 80]]), ARCHITECTURE)
    z = np.log1p(snapshot.values[..., 0] / 0.1)
    assert truth.shape == (3, 2, 2, ARCHITECTURE.forecast_features, ARCHITECTURE.horizon_steps)
    assert truth[:, 0, 1, 0].numpy() == pytest.approx(z[108:112].T, rel=1e-5)
    assert truth[:, 1, 0, 0].numpy() == pytest.approx(z[91:95].T, rel=1e-5)


def test_a_file_and_memory_give_the_same_model(tmp_path):
    snapshot = delayed(300)
    few = {"updates": 3, "services": 2}
    models = [train(one, **few).model.state_dict() for one in (snapshot, in_a_file(snapshot, tmp_path))]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_what_is_learnt_from_parts_is_a_model_of_the_whole():
    told = []
    trained = fit(
        delayed(600),
        replace(QUICK, updates=100, horizon_steps=1, window_steps=6, services=2),
        progress=lambda _: None,
        deadline=np.inf,
        watch=lambda updates, error: told.append((updates, error)),
    )
    assert told[-1][0] == trained.updates == 100
    # Half of the services cannot be known better, of the others nearly everything can.
    assert trained.scores.error < 0.8 * told[0][1]
