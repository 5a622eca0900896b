"""
What the running predictor says of the past, from windows that end at each step.
"""

import asyncio
import logging
from dataclasses import replace
from typing import Protocol

import numpy as np

from tidecast_contract.forecast import Forecast
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.replaying.candidates import Subject

_log = logging.getLogger(__name__)
_FAILURES_IN_A_ROW = 5


class Asks(Protocol):
    """What is needed of the predictor."""

    async def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """The forecast of every service of *snapshot*."""


class PredictorForecasts:
    """
    Asks for one forecast after the other; while one is used, the next is under way. More at once would not do: the
    predictor goes on from the window before.

    Args:
        predictor: Whom to ask.
        subject: Whose windows are sent, and whose forecasts are kept.
        last_step: The last that will be asked for.
        window_steps: How many steps a forecast looks at.
        horizon_steps: How many it speaks of.
    """

    def __init__(
        self,
        predictor: Asks,
        subject: Subject,
        *,
        last_step: int,
        window_steps: int,
        horizon_steps: int,
    ) -> None:
        self._predictor = predictor
        self._recording, self._services = subject.recording, subject.services
        self._last_step, self._is_measured = last_step, self._recording.is_measured()
        self._window_steps, self._horizon_steps = window_steps, horizon_steps
        self._under_way: tuple[int, asyncio.Task[Forecast]] | None = None
        self._failures = 0

    async def at(self, step: int) -> Forecast | None:
        """
        As in `Forecasts`; None also while the predictor is away for a moment, and of steps that nobody measured.

        Raises:
            PredictorUnavailable: If it fails again and again.
            ContractMismatch: If the two disagree about the contract.
        """
        if not self._is_measured[step]:
            return None
        if self._under_way is None or self._under_way[0] != step:
            await self.close()
            self._under_way = step, self._ask(step)
        task = self._under_way[1]
        try:
            forecast = await task
        except PredictorUnavailable as error:
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                raise
            _log.warning("no forecast at one step: %s", error)
            forecast = None
        else:
            self._failures = 0
        following = self._next(step)
        self._under_way = None if following is None else (following, self._ask(following))
        return None if forecast is None else await asyncio.to_thread(self._of_services, forecast)

    def _next(self, step: int) -> int | None:
        after = self._is_measured[step + 1 : self._last_step + 1]
        return step + 1 + int(after.argmax()) if after.any() else None

    async def close(self) -> None:
        """Ends what is under way."""
        if self._under_way is not None:
            task = self._under_way[1]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._under_way = None

    def _ask(self, step: int) -> asyncio.Task[Forecast]:
        window = self._recording.window(step, self._window_steps)
        return asyncio.create_task(self._predictor.forecast(window, self._horizon_steps))

    def _of_services(self, forecast: Forecast) -> Forecast:
        place = {service: row for row, service in enumerate(forecast.services)}
        rows = np.array([place[service] for service in self._services], np.int64)
        return replace(
            forecast,
            services=self._services,
            values=forecast.values[rows],
            kinds=tuple(forecast.kinds[row] for row in rows.tolist()),
            seasonal=None if forecast.seasonal is None else forecast.seasonal[rows],
        )
