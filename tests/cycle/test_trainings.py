"""
When a training is asked for: once for each reason, whoever leads and whatever restarts meanwhile.
"""

import asyncio
from dataclasses import replace

import pytest

from builders.operating import STEP, FakePredictor, forecaster_body, operator
from builders.snapshots import MIDDAY
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.status import HistoryStatus, TrainingState, TrainingStatus
from tidecast_operator.errors import PrometheusUnavailable

HOUR = 3600
WHOLE = HistoryStatus(STEP, MIDDAY - HOUR + STEP, MIDDAY, 2)


class Learner(FakePredictor):
    """
    Begins a training when it is asked for one, and serves a model for so many steps ahead and no more.

    Attributes:
        horizon_steps: What the model was trained for.
        version: Of the model.
        running: The horizon that a training is under way for; 0 while none is.
    """

    def __init__(self, *, is_trained=True, history=WHOLE):
        super().__init__(kind=ModelKind.GCN_GRU if is_trained else ModelKind.LAST_VALUE, history=history)
        self.horizon_steps, self.version, self.running = 4, "v1", 0
        self.training = TrainingStatus(TrainingState.IDLE, finished_time=MIDDAY - HOUR if is_trained else None)

    @property
    def model(self):
        return replace(super().model, version=self.version if self.kind is ModelKind.GCN_GRU else "")

    async def train(self, **settings):
        await super().train(**settings)
        if not self.running:
            self.begin(settings["horizon_steps"])
        return self.running == settings["horizon_steps"]

    async def forecast(self, snapshot, horizon_steps):
        made = await super().forecast(snapshot, horizon_steps)
        if self.kind is not ModelKind.GCN_GRU or horizon_steps <= self.horizon_steps:
            return made
        refusal = ModelInfo(ModelKind.LAST_VALUE, reason=f"trained for {self.horizon_steps} steps ahead")
        return replace(made, model=refusal, kinds=(refusal.kind,) * len(made.kinds))

    def begin(self, horizon_steps):
        """A training, asked for or not."""
        self.running, self.training = horizon_steps, replace(self.training, state=TrainingState.RUNNING)

    def end(self, at, *, version="v2"):
        """The training that runs ends with a model; without a version, with none that is served."""
        if version:
            self.kind, self.version, self.horizon_steps = ModelKind.GCN_GRU, version, self.running
        self.running, self.training = 0, TrainingStatus(TrainingState.IDLE, finished_time=int(at))

    def restart(self):
        """What it serves and holds is on a volume, what it does is not."""
        self.running, self.training = 0, TrainingStatus(TrainingState.IDLE)

    @property
    def horizons(self):
        """What was asked for so far."""
        return [settings["horizon_steps"] for settings in self.trained]


def shop_with(**changes):
    return operator(predictor=Learner(**changes))


def want_horizon(shop, steps, **changes):
    shop.cluster.put(forecaster_body(generation=2, horizonSteps=steps, **changes), "MODIFIED")


async def go_on(shop, cycles=1):
    """Later cycles."""
    shop.now += STEP
    await shop.run(cycles)


async def test_a_training_is_asked_for_once_all_history_is_there():
    shop = shop_with(history=HistoryStatus())

    await shop.run(cycles=4)

    assert shop.predictor.trained == [{"window_steps": 3, "horizon_steps": 4, "minimum_history_seconds": 600}]


async def test_an_operator_that_starts_again_asks_for_no_training_of_what_is_trained():
    shop = shop_with()

    await shop.run(cycles=4)

    assert shop.predictor.trained == []


async def test_an_operator_that_starts_again_and_asks_in_vain_for_older_history_asks_for_no_training():
    shop = shop_with(history=replace(WHOLE, start_time=MIDDAY - HOUR // 2))
    shop.history_collector.since = MIDDAY - HOUR // 2

    await shop.run(cycles=4)

    assert shop.history_collector.asked
    assert shop.predictor.trained == []


async def test_a_predictor_without_a_model_is_asked_to_train():
    shop = shop_with(is_trained=False)

    await shop.run()

    assert len(shop.predictor.trained) == 1


async def test_the_first_training_is_not_owed_again_because_it_has_not_ended_yet():
    shop = shop_with(is_trained=False)
    await shop.run(cycles=3)
    shop.predictor.end(shop.now)

    await go_on(shop, cycles=2)

    assert len(shop.predictor.trained) == 1


async def test_a_training_that_brought_no_model_is_not_asked_for_again():
    shop = shop_with(is_trained=False)
    await shop.run()
    shop.predictor.end(shop.now, version="")

    await go_on(shop, cycles=3)

    assert len(shop.predictor.trained) == 1


async def test_a_training_that_runs_for_no_reason_of_the_operators_is_left_alone():
    shop = shop_with()
    shop.predictor.begin(4)

    await shop.run(cycles=4)

    assert shop.predictor.trained == []


async def test_another_horizon_is_learned():
    shop = shop_with()
    await shop.run(cycles=2)
    want_horizon(shop, 7)

    await go_on(shop, cycles=3)

    assert shop.predictor.horizons == [7]


@pytest.mark.parametrize("changes", [{"windowSteps": 5}, {"stepSeconds": 30}])
async def test_another_window_and_another_step_are_learned(changes):
    shop = shop_with()
    await shop.run(cycles=2)
    want_horizon(shop, 4, **changes)

    await go_on(shop, cycles=3)

    assert len(shop.predictor.trained) == 1


async def test_a_horizon_that_was_changed_just_before_the_operator_restarts_is_learned():
    shop = shop_with()
    await shop.run(cycles=2)
    want_horizon(shop, 7)
    shop.restart()

    await go_on(shop, cycles=3)

    assert shop.predictor.horizons == [7]


async def test_an_operator_that_starts_while_the_training_it_needs_runs_asks_for_no_other():
    shop = shop_with()
    want_horizon(shop, 7)
    shop.predictor.begin(7)

    await shop.run(cycles=2)
    shop.predictor.end(shop.now)
    await go_on(shop, cycles=2)

    assert shop.predictor.horizons == [7]


async def test_after_a_training_for_something_else_the_one_that_is_needed_begins():
    shop = shop_with()
    want_horizon(shop, 7)
    shop.predictor.begin(4)
    await shop.run()

    shop.predictor.end(shop.now)
    await go_on(shop)

    assert shop.predictor.running == 7


@pytest.mark.parametrize("horizon_steps", [4, 7])
async def test_a_training_that_went_with_a_predictor_that_restarts_is_asked_for_again(horizon_steps):
    shop = shop_with()
    await shop.run()
    want_horizon(shop, horizon_steps, windowSteps=5)
    await go_on(shop, cycles=2)
    shop.predictor.restart()

    await go_on(shop, cycles=3)

    assert shop.predictor.horizons == [horizon_steps] * 2


async def test_a_predictor_that_restarts_after_its_training_has_nothing_to_learn_again():
    shop = shop_with()
    await shop.run()
    want_horizon(shop, 7)
    await go_on(shop)
    shop.predictor.end(shop.now)
    await go_on(shop)
    shop.predictor.restart()

    await go_on(shop, cycles=3)

    assert shop.predictor.horizons == [7]


async def test_a_horizon_for_which_no_model_is_good_enough_is_learned_once():
    shop = shop_with()
    want_horizon(shop, 7)
    await shop.run()
    shop.predictor.end(shop.now, version="")

    await go_on(shop, cycles=5)

    assert shop.predictor.horizons == [7]


async def test_a_new_model_that_is_refused_as_well_came_of_another_training():
    shop = shop_with()
    want_horizon(shop, 7)
    await shop.run()
    shop.predictor.running = 4  # as of a predictor that restarted, and knows of no request

    shop.predictor.end(shop.now)
    await go_on(shop, cycles=3)

    assert shop.predictor.horizons == [7, 7]


async def test_a_training_on_schedule_is_asked_for_once():
    shop = shop_with()
    await shop.run()
    shop.now = MIDDAY + 15 * HOUR + 16 * 60 + 50  # the schedule says 3:17
    shop.predictor.history = replace(WHOLE, end_time=int(shop.now) // STEP * STEP - STEP)

    await shop.run(cycles=4)

    assert len(shop.predictor.trained) == 1


async def test_a_replica_that_takes_over_does_not_make_up_for_schedules_of_another_ones_time():
    shop = shop_with()
    await shop.run()
    shop.is_leader = False
    shop.now = MIDDAY + 20 * HOUR
    await shop.run()
    shop.is_leader = True
    shop.predictor.history = replace(WHOLE, end_time=int(shop.now) // STEP * STEP)

    await go_on(shop, cycles=2)

    assert shop.predictor.trained == []


async def test_a_filling_that_always_fails_keeps_no_training_back_and_asks_for_one_once():
    shop = shop_with(is_trained=False, history=HistoryStatus())
    shop.history_collector.error = PrometheusUnavailable("the query takes too many samples")
    await shop.run(cycles=2)
    shop.predictor.end(shop.now)

    await go_on(shop, cycles=4)

    assert len(shop.predictor.trained) == 1


async def test_a_training_that_the_predictor_began_itself_on_all_history_will_do():
    shop = shop_with(history=HistoryStatus())
    await shop.run()
    shop.predictor.begin(4)
    await go_on(shop)

    shop.predictor.end(shop.now)
    await go_on(shop, cycles=2)

    assert not shop.predictor.running, "a second one was begun"


async def test_once_all_history_is_there_a_training_is_asked_for_without_waiting_for_the_next_step():
    shop = shop_with(history=HistoryStatus())
    is_asked, train = asyncio.Event(), shop.predictor.train

    async def asked(**settings):
        is_asked.set()
        return await train(**settings)

    shop.predictor.train = asked
    cycles = asyncio.create_task(shop.cycle.run(Unheard()))
    async with asyncio.timeout(20):
        await is_asked.wait()
    cycles.cancel()
    await asyncio.gather(cycles, return_exceptions=True)

    assert shop.predictor.history.start_time <= WHOLE.start_time


class Unheard:
    """Does not care how cycles end."""

    def completed(self, *_, **__):
        pass

    def failed(self):
        pass
