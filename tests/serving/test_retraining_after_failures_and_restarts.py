"""
Trainings that keep failing are tried ever more seldom, and a restart forgets neither what is served nor what it knows.
"""

import pytest

from builders.engines import FakeForecaster, FakeHistory, FakeTrainer, engine
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.status import HistoryStatus, TrainingState, TrainingStatus
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.engine import LateEngine
from tidecast_predictor.retraining import QUIET_SECONDS, Retraining, Schedule

HOUR = 3600
NOW = 1_000_000_000


async def restarted(*, trainer=None, forecaster=None, hours=24):
    """What decides on trainings in a process that began a moment ago, and its engine."""
    held = HistoryStatus(step_seconds=60, start_time=NOW - hours * HOUR + 60, end_time=NOW, services=2)
    fakes = engine(
        history=FakeHistory(held=held),
        forecaster=forecaster or FakeForecaster(ModelInfo(ModelKind.LAST_VALUE)),
        trainer=trainer or FakeTrainer(training=TrainingStatus(TrainingState.IDLE)),
    )
    late = LateEngine(lambda: fakes)
    await late.load()
    settled = Retraining(late, TrainingSettings(window_steps=60), Schedule(retrain_seconds=24 * HOUR))
    await settled.look(now=NOW - QUIET_SECONDS)  # the first look only sees how long the history is
    return settled, fakes


def serving(**changes):
    """A forecaster of a model that was trained just now."""
    return FakeForecaster(ModelInfo(ModelKind.GCN_GRU, version="v1", trained_time=NOW), **changes)


@pytest.mark.parametrize(
    ("failures", "pause"),
    [(1, 600), (2, 1200), (3, 2400), (8, 76_800), (9, 24 * HOUR), (10**6, 24 * HOUR)],
)
async def test_each_failure_in_a_row_doubles_the_pause_up_to_that_of_ordinary_trainings(failures, pause):
    for seconds in (pause - 1, pause):
        failed = TrainingStatus(TrainingState.FAILED, finished_time=NOW - seconds)
        settled, _ = await restarted(trainer=FakeTrainer(training=failed, failures=failures))
        assert await settled.look(now=NOW) is (seconds == pause)


@pytest.mark.parametrize(("served", "expected"), [(120, 120), (30, 60)])
async def test_until_a_request_comes_the_window_of_the_model_that_is_served_is_kept_where_it_is_longer(
    served, expected
):
    settled, fakes = await restarted(forecaster=serving(window_steps=served))
    assert await settled.look(now=NOW + 24 * HOUR)
    assert [one.window_steps for one in fakes.trainer.started] == [expected]
    assert await settled.ask(fakes, window_steps=45, horizon_steps=0, minimum_history_seconds=0)
    assert fakes.trainer.started[-1].window_steps == 45


@pytest.mark.parametrize(("hours", "is_due"), [(9, False), (10, True)])
async def test_after_a_restart_a_young_model_is_renewed_when_history_has_doubled_since_it_learnt(hours, is_due):
    settled, _ = await restarted(hours=hours, forecaster=serving(history_seconds=5 * HOUR))
    assert await settled.look(now=NOW) is is_due
