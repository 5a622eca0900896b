"""
Checkpoints: what was saved is what is served, and what does not fit is refused by name.
"""

import json
from dataclasses import asdict, replace

import pytest
import torch

from builders.recordings import untrained
from tidecast_predictor import checkpoint as checkpoints
from tidecast_predictor.checkpoint import CheckpointRefused


def edited(folder, **changes):
    file = folder / "checkpoint.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path):
    saved = untrained()
    loaded = checkpoints.load(checkpoints.save(saved, tmp_path))
    assert loaded.model.architecture == saved.model.architecture
    for name, tensor in saved.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)
    assert (loaded.scores, loaded.version, loaded.info) == (saved.scores, saved.version, saved.info)
    assert (loaded.pool.change == saved.pool.change).all()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"contractVersion": 99}, "contractVersion 99; this predictor needs", id="contract"),
        pytest.param({"format": 0}, "format 0; this predictor needs 6", id="format"),
        pytest.param({"features": []}, "features", id="features"),
        pytest.param({"quantiles": [0.5]}, "quantiles", id="quantiles"),
        pytest.param({"pool": {"spread": [1.0], "change": [1.0]}}, "pool does not hold 7 features", id="pool"),
        pytest.param({"scores": {}}, "does not fit together", id="scores"),
    ],
)
def test_a_checkpoint_made_for_something_else_is_refused(tmp_path, changes, complaint):
    folder = edited(checkpoints.save(untrained(), tmp_path), **changes)
    with pytest.raises(CheckpointRefused, match=complaint):
        checkpoints.load(folder)


def test_weights_of_another_shape_are_refused(tmp_path):
    saved = untrained()
    folder = checkpoints.save(saved, tmp_path)
    wider = asdict(replace(saved.model.architecture, hidden=16))
    with pytest.raises(CheckpointRefused, match="size mismatch"):
        checkpoints.load(edited(folder, architecture=wider))


def test_weights_of_another_checkpoint_are_refused(tmp_path):
    other = untrained()
    folder, elsewhere = checkpoints.save(untrained(), tmp_path), tmp_path / "elsewhere"
    other.model.gates_by_step.data[0] = 1
    weights = checkpoints.save(other, elsewhere) / "model.safetensors"
    (folder / "model.safetensors").write_bytes(weights.read_bytes())
    with pytest.raises(CheckpointRefused, match="weights are not those of version"):
        checkpoints.load(folder)


def test_quantiles_by_another_name_are_refused(tmp_path):
    folder = checkpoints.save(untrained(quantiles=(0.05, 0.5, 0.95)), tmp_path)
    with pytest.raises(CheckpointRefused, match=r"quantiles are \(0.05, 0.5, 0.95\)"):
        checkpoints.load(folder)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    broken = untrained()
    broken.model.gates_by_step.data[0] = torch.nan
    with pytest.raises(CheckpointRefused, match="gates_by_step is not finite"):
        checkpoints.load(checkpoints.save(broken, tmp_path))


def test_a_truncated_file_is_passed_over_for_an_older_one(tmp_path, caplog):
    older, newer = untrained(), replace(untrained(hidden=4), version="99990101T000000Z-0000")
    checkpoints.save(older, tmp_path)
    weights = checkpoints.save(newer, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert checkpoints.newest(tmp_path).version == older.version
    assert "cannot be read" in caplog.text


def test_an_unfinished_checkpoint_is_never_seen(tmp_path):
    checkpoints.save(untrained(), tmp_path).rename(tmp_path / ".new-abc")
    assert checkpoints.newest(tmp_path) is None


def test_the_newest_three_are_kept(tmp_path):
    for day in range(1, 6):
        checkpoints.save(replace(untrained(), version=f"2026010{day}T000000Z-0000"), tmp_path)
    checkpoints.prune(tmp_path)
    assert sorted(path.name[7] for path in tmp_path.iterdir()) == ["3", "4", "5"]
