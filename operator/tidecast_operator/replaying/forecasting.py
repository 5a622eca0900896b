"""
Forecasts of the past, one for each step in their order: none of them but `perfect` knows what came after its step.

Shapes: `T` steps, `N` workloads, `F` forecast features, `H` horizon steps, `Q` quantiles.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_operator.replaying.bands import Bands
from tidecast_operator.replaying.candidates import Subject

DAY_SECONDS = 86_400
_JUDGED_SECONDS = 300  # how far ahead trust looks at least
_RECENT_STEPS = 5
_Loads = NDArray[np.float32]
_Says = Callable[[_Loads, int, int, int], NDArray[np.float64]]


class Forecasts(Protocol):
    """Where forecasts of the past come from."""

    async def at(self, step: int) -> Forecast | None:
        """The forecast at a step of the recording; None if there is none. Asked for steps that follow each other."""


def horizon_needed(subject: Subject) -> int:
    """How many steps hints of all candidates look ahead, and trust in them."""
    step_seconds = subject.recording.step_seconds
    lead = max(candidate.scaling.lead_time_seconds for candidate in subject.candidates)
    return max(-(-(lead + 2 * step_seconds) // step_seconds), -(-_JUDGED_SECONDS // step_seconds), 1)


class MethodForecasts:
    """
    What a simple method would have said of the loads that hints look at; of everything else nothing.

    Not told along is what seasonal naive says: a naive method is not better than itself, so that it is judged beside last
    value alone.

    Args:
        method: One of `METHODS`.
        subject: Whose loads.
    """

    def __init__(self, method: str, subject: Subject) -> None:
        self._kind, self._says = METHODS[method]
        self._is_perfect = method == PERFECT
        self._recording, self._loads, self._services = subject.recording, subject.loads, subject.services
        self._places = [FORECAST_FEATURES.index(candidate.scaling.signal) for candidate in subject.candidates]
        self._horizon = horizon_needed(subject)
        self._day = round(DAY_SECONDS / subject.recording.step_seconds)
        self._bands = Bands(len(self._services), self._horizon)

    async def at(self, step: int) -> Forecast:
        """As in `Forecasts`."""
        said = self._says(self._loads, step, self._horizon, self._day)
        truth = self._loads[step].astype(np.float64)
        low, high = (said, said) if self._is_perfect else self._bands.around(said, truth)
        shape = (len(self._services), len(FORECAST_FEATURES), self._horizon, len(QUANTILES))
        values = np.full(shape, np.nan, np.float32)
        values[np.arange(len(self._services)), self._places] = np.stack([low, said, high], axis=-1)
        return Forecast(
            issued_time=self._recording.time_of(step),
            step_seconds=self._recording.step_seconds,
            services=self._services,
            quantiles=QUANTILES,
            values=values,
            kinds=(self._kind,) * len(self._services),
            model=ModelInfo(self._kind),
        )


def _last_value(loads: _Loads, step: int, horizon: int, _: int) -> NDArray[np.float64]:
    recent = loads[max(0, step - _RECENT_STEPS + 1) : step + 1][::-1]
    newest = np.take_along_axis(recent, np.isfinite(recent).argmax(axis=0)[None], axis=0)[0]
    return np.repeat(newest.astype(np.float64)[:, None], horizon, axis=1)


def _seasonal_naive(loads: _Loads, step: int, horizon: int, day: int) -> NDArray[np.float64]:
    # A day is longer than any horizon, so that this is past.
    return _between(loads, step + 1 - day, horizon)


def _perfect(loads: _Loads, step: int, horizon: int, _: int) -> NDArray[np.float64]:
    return _between(loads, step + 1, horizon)


def _between(loads: _Loads, begin: int, steps: int) -> NDArray[np.float64]:
    """The loads of so many steps, (N, H); NaN outside of the recording."""
    said = np.full((loads.shape[1], steps), np.nan)
    first, last = max(0, begin), min(len(loads), begin + steps)
    if first < last:
        said[:, first - begin : last - begin] = loads[first:last].T
    return said


PERFECT = "perfect"
METHODS: Mapping[str, tuple[ModelKind, _Says]] = {
    "seasonal-naive": (ModelKind.SEASONAL_NAIVE, _seasonal_naive),
    "last-value": (ModelKind.LAST_VALUE, _last_value),
    PERFECT: (ModelKind.NONE, _perfect),
}
"""Methods that need no predictor."""
