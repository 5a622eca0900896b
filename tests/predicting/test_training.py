"""
Training in the background: started once, followed, ended, and served only when it pays.
"""

import time
from dataclasses import replace

import numpy as np
import pytest

from builders.recordings import QUICK, random_walk, seasonal, train
from builders.trainings import finished, trainer
from tidecast_contract.forecast import ModelKind
from tidecast_contract.status import TrainingState
from tidecast_predictor.checkpoint import newest
from tidecast_predictor.training import Trainer, learn


def test_a_better_model_is_served_and_kept(tmp_path):
    training, forecaster = trainer(seasonal(40), tmp_path)
    assert training.start()
    assert not training.start()
    status = finished(training)
    assert (status.state, status.progress) == (TrainingState.IDLE, 0)
    assert forecaster.model_info().kind is ModelKind.GCN_GRU
    assert [path.name for path in tmp_path.iterdir()] == [forecaster.model_info().version]
    assert "smaller than LastValue's and" in status.message


@pytest.fixture
def no_process(monkeypatch):
    """Learns within this process, as starting another one takes seconds."""
    monkeypatch.setattr(Trainer, "_follow", lambda _, folder, __: learn(folder))


@pytest.mark.usefixtures("no_process")
def test_a_model_that_is_not_better_does_not_speak(tmp_path):
    training, forecaster = trainer(random_walk(480), tmp_path, updates=5)
    training.start()
    status = finished(training)
    assert forecaster.model_info().kind is ModelKind.LAST_VALUE
    assert status.message.startswith("not served: GCN-GRU's error is ")
    assert forecaster.model_info().reason == status.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_process")
def test_a_served_model_stays_where_a_new_one_is_no_better(tmp_path):
    training, forecaster = trainer(seasonal(40), tmp_path)
    training.start()
    finished(training)
    before = forecaster.served

    training.start(replace(QUICK, updates=1, seed=1))
    status = finished(training)

    assert status.message.endswith("; it stays, as a newly trained one is no better there")
    assert forecaster.served.updates == before.updates
    assert newest(tmp_path).version == forecaster.served.version


@pytest.mark.usefixtures("no_process")
def test_a_served_model_stays_also_where_neither_is_better_than_naive_methods():
    recording = random_walk(480)
    training, forecaster = trainer(recording, updates=1)
    forecaster.serve(train(recording, updates=5))

    training.start()

    assert finished(training).message.startswith(f"serving {forecaster.served.version}: ")
    assert forecaster.served.updates == 5
    assert not forecaster.served.scores.is_better


def test_too_little_history_starts_no_training():
    training, _ = trainer(seasonal(1), minimum_history_seconds=100_000)
    assert not training.start()
    assert training.status().message == "requests were measured for 86400 s, a training takes 100000 s"


def test_steps_in_which_nothing_was_measured_do_not_count():
    snapshot = seasonal(2)
    values = snapshot.values.copy()
    values[1:80] = np.nan
    training, _ = trainer(replace(snapshot, values=values), minimum_history_seconds=86_400)
    assert not training.start()
    assert training.status().message == "requests were measured for 30600 s, a training takes 86400 s"


def test_a_training_that_was_cut_short_with_the_predictor_counts_as_failed(tmp_path):
    (tmp_path / ".training-x").mkdir()
    began = int(time.time())
    training, _ = trainer(seasonal(1), tmp_path)
    status = training.status()
    assert status.state is TrainingState.FAILED
    assert "cut short" in status.message
    assert abs(status.finished_time - began) < 60
    assert not (tmp_path / ".training-x").exists()


def test_a_stopped_training_leaves_nothing(tmp_path):
    training, forecaster = trainer(seasonal(20), tmp_path, updates=10**6)
    training.start()
    training.stop()
    assert training.status().message == "the training was stopped"
    assert forecaster.model_info().kind is ModelKind.LAST_VALUE
    assert list(tmp_path.iterdir()) == []
