import time

import pytest

from builders.engines import FakeForecaster, FakeHistory, FakeTrainer, engine
from tidecast_contract.errors import ContractMismatch
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.status import HistoryStatus, TrainingState, TrainingStatus
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.engine import LateEngine
from tidecast_predictor.retraining import QUIET_SECONDS, Retraining, Schedule

HOUR = 3600
NOW = 1_000_000_000
IDLE = TrainingStatus(TrainingState.IDLE)


def held(hours):
    return HistoryStatus(step_seconds=60, start_time=NOW - hours * HOUR, end_time=NOW, services=2)


async def retraining(*, hours=24, model_hours=None, training=IDLE):
    trained_time = None if model_hours is None else NOW - model_hours * HOUR
    fakes = engine(
        history=FakeHistory(held=held(hours)),
        forecaster=FakeForecaster(ModelInfo(ModelKind.LAST_VALUE, trained_time=trained_time)),
        trainer=FakeTrainer(training=training),
    )
    late = LateEngine(lambda: fakes)
    await late.load()
    settled = Retraining(late, TrainingSettings(minimum_history_seconds=2 * HOUR), Schedule(retrain_seconds=24 * HOUR))
    await settled.look(now=NOW - QUIET_SECONDS)  # the first look only sees how long the history is
    return settled, fakes


async def starts(**situation):
    settled, _ = await retraining(**situation)
    return await settled.look(now=NOW)


async def test_the_first_training_starts_by_itself():
    assert await starts()


async def test_with_too_little_history_none_starts():
    assert not await starts(hours=1)


async def test_hours_in_which_nothing_was_measured_do_not_count():
    settled, fakes = await retraining(hours=24)
    fakes.history.measured = HOUR
    assert not await settled.look(now=NOW)


async def test_while_one_runs_no_other_starts():
    assert not await starts(training=TrainingStatus(TrainingState.RUNNING))


async def test_history_that_is_being_filled_is_waited_for():
    settled, fakes = await retraining()
    for hours in (30, 36):
        fakes.history.held = held(hours)
        assert not await settled.look(now=NOW)
    assert not await settled.look(now=NOW + QUIET_SECONDS - 1), "the next chunk may only be slow"
    assert await settled.look(now=NOW + QUIET_SECONDS)


@pytest.mark.parametrize(("model_hours", "is_due"), [(23, False), (24, True)])
async def test_a_model_is_renewed_when_it_is_old(model_hours, is_due):
    assert await starts(model_hours=model_hours) is is_due


async def test_a_training_without_a_model_counts_like_one():
    done = TrainingStatus(TrainingState.IDLE, finished_time=NOW - HOUR)
    assert not await starts(training=done)


@pytest.mark.parametrize(("seconds", "is_due"), [(599, False), (600, True)])
async def test_a_failed_training_is_tried_again_after_a_while(seconds, is_due):
    failed = TrainingStatus(TrainingState.FAILED, finished_time=NOW - seconds)
    assert await starts(training=failed) is is_due


async def test_a_young_model_is_renewed_when_history_has_doubled():
    settled, fakes = await retraining(hours=2)
    assert await settled.look(now=NOW)
    fakes.trainer.training = TrainingStatus(TrainingState.IDLE, finished_time=NOW)
    fakes.history.held = HistoryStatus(60, NOW - 2 * HOUR, NOW + 119 * 60, 2)
    await settled.look(now=NOW)
    later = NOW + QUIET_SECONDS
    assert not await settled.look(now=later)
    fakes.history.held = HistoryStatus(60, NOW - 2 * HOUR, NOW + 121 * 60, 2)
    assert await settled.look(now=later)


async def test_a_request_starts_one_whatever_the_age_and_its_settings_stay():
    settled, fakes = await retraining(model_hours=0)
    assert await settled.ask(fakes, window_steps=20, horizon_steps=0, minimum_history_seconds=HOUR)
    fakes.forecaster.model = ModelInfo(ModelKind.LAST_VALUE)
    assert await settled.look(now=NOW)
    expected = TrainingSettings(window_steps=20, minimum_history_seconds=HOUR)
    assert fakes.trainer.started == [expected, expected]


async def test_until_a_request_comes_the_horizon_of_the_model_that_is_served_is_kept():
    settled, fakes = await retraining(model_hours=24)
    fakes.forecaster.horizon_steps = 60
    assert await settled.look(now=NOW)
    assert [one.horizon_steps for one in fakes.trainer.started] == [60]
    assert await settled.ask(fakes, window_steps=0, horizon_steps=45, minimum_history_seconds=0)
    assert [one.horizon_steps for one in fakes.trainer.started] == [60, 45]


@pytest.mark.parametrize(("seconds", "is_started"), [(0, False), (601, True)])
async def test_a_training_that_took_the_predictor_down_is_not_begun_at_once_again(seconds, is_started):
    cut = TrainingStatus(TrainingState.FAILED, finished_time=int(time.time()) - seconds)
    settled, fakes = await retraining(training=cut)
    assert await settled.ask(fakes, **ASKED) is is_started


ASKED = {"window_steps": 20, "horizon_steps": 10, "minimum_history_seconds": HOUR}


async def asked_twice(*, news_hours=0, **changes):
    settled, fakes = await retraining()
    assert await settled.ask(fakes, **ASKED)
    fakes.trainer.training, fakes.trainer.may_start = TrainingStatus(TrainingState.RUNNING), False
    fakes.history.held = held(24 + news_hours)
    return await settled.ask(fakes, **(ASKED | changes))


async def test_a_request_is_met_by_a_running_training_of_the_same_kind():
    assert await asked_twice()


@pytest.mark.parametrize("difference", [{"news_hours": 1}, {"horizon_steps": 11}])
async def test_a_running_training_on_less_or_for_something_else_does_not_meet_a_request(difference):
    assert not await asked_twice(**difference)


async def test_a_negative_setting_is_refused():
    settled, fakes = await retraining()
    with pytest.raises(ContractMismatch, match="horizon_steps is -1"):
        await settled.ask(fakes, window_steps=20, horizon_steps=-1, minimum_history_seconds=HOUR)
