"""
Forecasts against what came true, both read from the same Prometheus, whose recording reaches into the future.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES, Feature, index_of
from tidecast_contract.forecast import Forecast
from tidecast_contract.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Errors:
    """Mean absolute errors of one feature at one offset, of shape (N,): one for each service."""

    median: NDArray[np.float64]
    last_value: NDArray[np.float64]
    seasonal_naive: NDArray[np.float64]


def errors(forecasts: list[Forecast], recording: Snapshot, *, feature: Feature, offset_steps: int) -> Errors:
    """
    The errors of *forecasts*, of last value and of the same time yesterday at the very moments they speak of.

    A service is scored where all three can be; NaN where there is nothing to score.
    """
    services = forecasts[0].services
    columns = [recording.services.index(service) for service in services]
    truth = recording.values[:, columns, index_of(feature)].astype(np.float64)

    def at(time: int) -> NDArray[np.float64]:
        return truth[(time - recording.start_time) // recording.step_seconds]

    issued = [forecast.issued_time for forecast in forecasts]
    target = [time + offset_steps * recording.step_seconds for time in issued]
    actual = np.array([at(time) for time in target])
    median = np.array([f.values[:, FORECAST_FEATURES.index(feature), offset_steps - 1, 1] for f in forecasts])
    last = np.array([at(time) for time in issued])
    yesterday = np.array([at(time - 86_400) for time in target])
    known = np.isfinite(actual + median + last + yesterday)
    return Errors(*(_mean(np.abs(said - actual), known) for said in (median, last, yesterday)))


def _mean(values: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    count = known.sum(axis=0)
    return np.where(count, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
