"""
Trainings that fail are counted until one does not, whatever they take down with them; and what cannot succeed is not begun.
"""

import json
import os
from dataclasses import replace

import pytest

from builders.recordings import QUICK, random_walk, seasonal, train
from builders.trainings import finished, trainer
from tidecast_contract.status import TrainingState
from tidecast_predictor.failures import Failures
from tidecast_predictor.training import Trainer, learn


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """The process of a training tells its environment and ends before it learns; returns where it is told."""
    told, folder = tmp_path / "environment.json", tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import json, os, sys\n"
        f"json.dump(dict(os.environ), open({str(told)!r}, 'w'))\n"
        "sys.stderr.write('something\\nno room\\n')\n"
        "sys.stderr.flush()\n"
        "os._exit(1)\n"
    )
    monkeypatch.syspath_prepend(folder)
    return told


@pytest.fixture
def no_process(monkeypatch):
    """Learns within this process, as starting another one takes seconds."""
    monkeypatch.setattr(Trainer, "_follow", lambda _, folder, __: learn(folder))


@pytest.mark.usefixtures("failing")
def test_a_training_that_fails_says_why():
    training, _ = trainer(seasonal(1))
    training.start()
    status = finished(training)
    assert (status.state, status.message) == (TrainingState.FAILED, "no room")


@pytest.mark.usefixtures("failing")
def test_trainings_that_fail_in_a_row_are_counted_by_the_next_process_too(tmp_path):
    directory = tmp_path / "checkpoints"
    training, _ = trainer(seasonal(1), directory)
    for count in (1, 2):
        training.start()
        finished(training)
        assert training.failures == count
    assert trainer(seasonal(1), directory)[0].failures == 2


def test_each_training_that_was_cut_short_with_the_predictor_is_counted(tmp_path):
    for count in (1, 2, 3):
        (tmp_path / ".training-x").mkdir()
        assert trainer(seasonal(1), tmp_path)[0].failures == count
    assert trainer(seasonal(1), tmp_path)[0].failures == 3


@pytest.mark.usefixtures("no_process")
@pytest.mark.parametrize("recording", [seasonal(20), random_walk(480)], ids=["served", "no better than naive methods"])
def test_a_training_that_does_not_fail_ends_the_count(tmp_path, recording):
    (tmp_path / ".training-x").mkdir()
    training, _ = trainer(recording, tmp_path, updates=5)
    training.start()
    assert finished(training).state is TrainingState.IDLE
    assert training.failures == 0
    assert trainer(recording, tmp_path)[0].failures == 0


@pytest.mark.parametrize("content", [b"", b"two", b"-2", b"\xff"])
def test_a_count_that_cannot_be_read_counts_as_none(tmp_path, content):
    Failures(tmp_path).add()
    [kept] = tmp_path.iterdir()
    kept.write_bytes(content)
    assert Failures(tmp_path).count == 0


def test_failures_are_counted_where_nothing_can_be_written(tmp_path):
    (tmp_path / "a file").touch()
    failures = Failures(tmp_path / "a file")
    failures.add()
    assert failures.count == 1
    failures.clear()
    assert failures.count == 0


@pytest.mark.parametrize(("steps", "starts"), [(126, False), (127, True)])
@pytest.mark.usefixtures("failing")
def test_history_that_is_too_short_for_the_horizon_starts_no_training(tmp_path, steps, starts):
    directory = tmp_path / "checkpoints"
    training, _ = trainer(random_walk(steps), directory, horizon_steps=40)
    assert training.start() is starts
    if starts:
        assert finished(training).message == "no room"
    else:
        assert training.status().state is TrainingState.IDLE
        assert training.status().message.startswith("126 steps are too few to train for 40 steps ahead")
        assert not directory.exists()
        assert training.failures == 0


@pytest.mark.parametrize(("device", "visible"), [("cpu", ""), ("cuda", "0,1")])
def test_the_training_of_a_predictor_on_the_cpu_sees_no_gpu(failing, monkeypatch, device, visible):
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "0,1")
    training, _ = trainer(seasonal(1), device=device)
    training.start()
    finished(training)
    assert json.loads(failing.read_text())["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.usefixtures("no_process")
@pytest.mark.parametrize("change", [{"horizon_steps": 3}, {"window_steps": 10}])
def test_a_model_of_another_shape_is_not_taken_for_the_one_that_stays(change):
    recording = random_walk(480)
    training, forecaster = trainer(recording)
    served = train(recording, updates=5)
    forecaster.serve(served)

    training.start(replace(QUICK, updates=5, **change))

    assert finished(training).message.startswith("not served: GCN-GRU's error is ")
    assert forecaster.served is served
