"""
The command with a predictor whose model was trained on the days before those that are replayed.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from builders.engines import engine, serving
from builders.recordings import QUICK, part, seasonal
from tidecast_contract.features import FORECAST_FEATURES, REQUESTS, index_of
from tidecast_contract.forecast import Forecast, ModelKind
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import TrainingState
from tidecast_operator.replaying import command
from tidecast_predictor.history import History
from tidecast_predictor.inference import Forecaster
from tidecast_predictor.training import Trainer, learn

DAY = 48  # steps of half an hour
SIMULATED = seasonal(29)
TRAINED = SIMULATED.steps - DAY
"""Up to this step the model has learned; what is replayed comes after it."""

COUNTED = TRAINED + 12
"""After this step it counts; the warm-up begins with the end of what was learned."""

CHANGES = TRAINED + 24
"""From this step on the other future is another one."""

_REQUESTS = FORECAST_FEATURES.index(REQUESTS)


@dataclass
class Overheard:
    """A forecaster, and what it said, by the time it spoke of first."""

    forecaster: Forecaster
    said: dict[int, Forecast] = field(default_factory=dict)

    def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """What the forecaster says."""
        made = self.forecaster.forecast(snapshot, horizon_steps)
        self.said[made.issued_time] = made
        return made

    def model_info(self):
        """That of the forecaster."""
        return self.forecaster.model_info()


def time_of(step: int) -> int:
    """When a step of the recording ends."""
    return SIMULATED.start_time + step * SIMULATED.step_seconds


def past() -> History:
    """What the predictor has seen when the replay begins."""
    history = History(None, limit_seconds=60 * 86_400)
    history.append(part(SIMULATED, 0, TRAINED))
    return history


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the checkpoint that a training left, because it was better than naive methods."""
    folder = tmp_path_factory.mktemp("checkpoints")
    history = past()
    forecaster = Forecaster(history, folder, device="cpu")
    training = Trainer(history, forecaster, folder, replace(QUICK, seconds=600, updates=40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_follow", lambda _, job, __: learn(job))  # within this process, which starts sooner
        assert training.start()
        for _ in range(3000):
            if training.status().state is not TrainingState.RUNNING:
                break
            time.sleep(0.1)
    assert forecaster.model_info().kind is ModelKind.GCN_GRU, training.status()
    return folder


async def replayed(folder, checkpoints, values):
    """What was said at each step of *values*; the report is left in the folder."""
    path = folder / "days.npz"
    np.savez(
        path,
        data=values[:, :, [index_of(REQUESTS)]],
        time=time_of(0) + SIMULATED.step_seconds * np.arange(len(values)),
        nodes=np.array([str(service) for service in SIMULATED.services]),
        features=np.array(["rps"]),
        edges=np.zeros((0, 2), np.int32),
    )
    history = past()
    heard = Overheard(Forecaster(history, checkpoints, device="cpu"))
    flags = ["--recording", str(path), "--per-replica", "10", "--lead-time-seconds", "1800", "--out", str(folder)]
    flags += ["--window-steps", str(QUICK.window_steps), "--horizon-steps", str(QUICK.horizon_steps)]
    flags += ["--from", str(time_of(COUNTED)), "--warm-up-hours", "6"]
    async with serving(engine(history=history, forecaster=heard)) as server:
        told = ["replay", "--predictor", f"127.0.0.1:{server.port}", *flags]
        assert await asyncio.to_thread(command.main, told) == 0
    return heard


@pytest.fixture(scope="module")
def heard(tmp_path_factory, trained):
    """What was said in a replay of what really came."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)  # a picture takes seconds, and is not what this is about
        patch.delitem(sys.modules, "tidecast_operator.replaying.picture", raising=False)
        folder = tmp_path_factory.mktemp("true")
        return asyncio.run(replayed(folder, trained, SIMULATED.values)), folder


def test_the_model_speaks_of_every_step_and_the_report_names_it(heard):
    (overheard, folder), steps = heard, range(TRAINED, SIMULATED.steps)
    report = json.loads((folder / "replay.json").read_text())

    assert sorted(overheard.said) == [time_of(step) for step in steps]
    assert {kind for one in overheard.said.values() for kind in one.kinds} == {ModelKind.GCN_GRU}
    assert report["settings"]["model"] == {"kind": "GCN-GRU", "version": overheard.model_info().version}
    assert report["total"]["measuredMinutes"] == (SIMULATED.steps - COUNTED - 1) * 30 * len(SIMULATED.services)
    assert not any("no new forecast" in note or "knew no day before" in note for note in report["notes"])
    assert (folder / "replay.md").read_text().startswith("# Replay of days.npz")


def test_what_is_said_comes_true_better_than_last_value(heard):
    said, ahead = heard[0].said, QUICK.horizon_steps
    truth = SIMULATED.values[:, :, index_of(REQUESTS)]
    steps = range(TRAINED, SIMULATED.steps - ahead)
    own = [said[time_of(step)].values[:, _REQUESTS, ahead - 1, 1] - truth[step + ahead] for step in steps]
    last = [truth[step] - truth[step + ahead] for step in steps]

    assert np.abs(own).mean() < 0.7 * np.abs(last).mean()


async def test_another_future_changes_nothing_of_what_is_said_before_it(tmp_path, trained, heard):
    other = SIMULATED.values[: CHANGES + 2].copy()
    other[CHANGES:] *= 3
    told = heard[0].said
    told_otherwise = (await replayed(tmp_path, trained, other)).said

    for step in range(TRAINED, CHANGES):
        np.testing.assert_array_equal(told[time_of(step)].values, told_otherwise[time_of(step)].values)
    assert (told[time_of(CHANGES)].values != told_otherwise[time_of(CHANGES)].values).any()
