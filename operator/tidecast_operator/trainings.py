"""
When the predictor is asked for a training.

As far as what the predictor says suffices to see that one is lacking, nothing is remembered for it: operators restart, take
over from each other, and ask predictors that restart as well.
"""

import logging
import math
from dataclasses import dataclass, replace

from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.status import HistoryStatus, PredictorStatus, TrainingState, TrainingStatus
from tidecast_operator.doors import Predicts
from tidecast_operator.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What a cycle saw of the predictor.

    Attributes:
        status: What it said of itself.
        spoke: What made the forecast.
        is_filling: Whether older history is on its way to it.
    """

    status: PredictorStatus
    spoke: ModelInfo
    is_filling: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """
    A training that the predictor agreed to.

    Attributes:
        version: Of the model that was served when it was asked for; empty without one.
        finished_time: When the one before it had ended, unix seconds; None if none had.
        has_ended: Whether it was seen to have ended.
    """

    version: str
    finished_time: int | None
    has_ended: bool = False

    def seen(self, training: TrainingStatus) -> "_Asked":
        """The same, after this was said of trainings."""
        return replace(self, has_ended=self.has_ended or training.finished_time not in (None, self.finished_time))


class Trainings:
    """
    Asks for the first training, for one on schedule, and when there is more or something else to learn.

    Args:
        now: Unix seconds; schedules count from here on.
    """

    def __init__(self, now: int) -> None:
        self._is_owed = False
        self._asked: _Asked | None = None
        self._made_for: tuple[int, int, int] | None = None
        self._held_from = 0.0  # nothing is held from before that: the first look sees no more than it finds
        self._schedule_checked = now

    async def ask_if_due(self, predictor: Predicts, seen: Seen, settings: Settings, *, now: int) -> None:
        """
        Asks now, or later what is owed: while history is on its way nothing is begun.

        While a training runs it is asked all the same. The predictor begins no other, and knows whether that one will do.

        Args:
            predictor: Whom to ask.
            seen: Of it, in this cycle.
            settings: What to learn, and when.
            now: Unix seconds.
        """
        status = seen.status
        is_due = settings.training.schedule.is_due_between(self._schedule_checked, now)
        self._schedule_checked = now
        # Each of them is asked, as each remembers what it has seen.
        self._is_owed |= is_due
        self._is_owed |= self._is_for_something_else(settings)
        self._is_owed |= self._has_more_of_the_past(status.history)
        self._is_owed |= self._is_lacking(status, seen.spoke)
        if not self._is_owed or seen.is_filling:
            return
        self._is_owed = not await predictor.train(
            window_steps=settings.window_steps,
            horizon_steps=settings.horizon_steps,
            minimum_history_seconds=settings.training.minimum_history_seconds,
        )
        if not self._is_owed:
            self._asked = _Asked(status.model.version, status.training.finished_time)
            _log.info("training asked for")

    def _is_for_something_else(self, settings: Settings) -> bool:
        before, self._made_for = (
            self._made_for,
            (settings.window_steps, settings.horizon_steps, settings.step_seconds),
        )
        return before not in (None, self._made_for)

    def _has_more_of_the_past(self, history: HistoryStatus) -> bool:
        before, self._held_from = self._held_from, history.start_time if history.steps else math.inf
        return self._held_from < before

    def _is_lacking(self, status: PredictorStatus, spoke: ModelInfo) -> bool:
        """Whether there is no model for what is asked, and no training that may have brought one."""
        training, model = status.training, status.model
        asked = self._asked = None if self._asked is None else self._asked.seen(training)
        if asked is not None and not asked.has_ended:
            # One that neither runs nor has ended went with a predictor that started again.
            return training.state is not TrainingState.RUNNING
        if model.kind is not ModelKind.GCN_GRU:
            return training.finished_time is None
        # What is served cannot answer. Once a training that was asked for has ended with the same model, another one
        # would do no better; where a model came that is refused too, that training was another one.
        return spoke.kind is not ModelKind.GCN_GRU and (asked is None or asked.version != model.version)
