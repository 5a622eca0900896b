"""
When the predictor is asked for a training.
"""

import logging

from tidecast_contract.forecast import ModelKind
from tidecast_contract.status import PredictorStatus, TrainingState
from tidecast_operator.doors import Predicts
from tidecast_operator.settings import Settings

_log = logging.getLogger(__name__)


class Trainings:
    """
    Asks for the first training, for one on schedule, and when there is more or something else to learn.

    Args:
        now: Unix seconds; schedules count from here on.
    """

    def __init__(self, now: int) -> None:
        self._is_owed = False
        self._asked_for: tuple[int, int] | None = None
        self._schedule_checked = now

    async def ask_if_due(
        self, predictor: Predicts, status: PredictorStatus, settings: Settings, *, now: int, is_filling: bool
    ) -> None:
        """
        Asks now, or later what is owed: while a training runs, or history is on its way, another one is not begun.

        Args:
            predictor: Whom to ask.
            status: What it said of itself in this cycle.
            settings: What to learn, and when.
            now: Unix seconds.
            is_filling: Whether older history is on its way to the predictor.
        """
        made_for = settings.window_steps, settings.horizon_steps
        is_running = status.training.state is TrainingState.RUNNING
        # While the first one runs, none has ended: it is asked for already.
        never = status.training.finished_time is None and status.model.kind is not ModelKind.GCN_GRU and not is_running
        is_due = settings.training.schedule.is_due_between(self._schedule_checked, now)
        is_other = self._asked_for not in (None, made_for)
        self._is_owed |= never or is_due or is_other or is_filling
        self._schedule_checked, self._asked_for = now, made_for
        if not self._is_owed or is_filling or is_running:
            return
        self._is_owed = not await predictor.train(
            window_steps=settings.window_steps,
            horizon_steps=settings.horizon_steps,
            minimum_history_seconds=settings.training.minimum_history_seconds,
        )
        if not self._is_owed:
            _log.info("training asked for")
