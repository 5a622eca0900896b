"""
Compares forecasts with what came true, beside two forecasts that anybody can make: last value and seasonal naive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidecast_simulator.demo.forecasts import DAY_SECONDS, Measured, RequestForecast


@dataclass(frozen=True, slots=True)
class Score:
    """
    The error of three forecasts at one time ahead, over all services that have all three.

    Attributes:
        minutes: How far ahead.
        services: How many services are in it.
        model: Sum of absolute errors of the medians, as a part of the sum of what was measured.
        last_value: The same for the last measured value.
        seasonal_naive: The same for the value of a day before.
    """

    minutes: int
    services: int
    model: float
    last_value: float
    seasonal_naive: float


def score(forecasts: Sequence[RequestForecast], measured: Measured, *, minutes: int) -> Score:
    """The errors at *minutes* ahead; NaN when no service can be compared."""
    rows: list[tuple[float, float, float, float]] = []
    for forecast in forecasts:
        time = forecast.issued_time + minutes * 60
        moments = (time, forecast.issued_time, time - DAY_SECONDS)
        true, last, season = (measured.at(forecast.name, moment) for moment in moments)
        rows.append((true, forecast.median_at(time), last, season))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    table = table[np.isfinite(table).all(axis=1)]
    truth = table[:, 0]
    total = float(truth.sum())
    errors = [float(np.abs(table[:, column] - truth).sum()) / total if total else float("nan") for column in (1, 2, 3)]
    return Score(minutes, len(table), *errors)


def coverage(forecasts: Sequence[RequestForecast], measured: Measured) -> float:
    """Which part of what came true lies between the 10th and the 90th percentile; NaN when nothing can be compared."""
    inside = [
        low <= truth <= high
        for forecast in forecasts
        for time, low, high in zip(forecast.times, forecast.low, forecast.high, strict=True)
        if np.isfinite(truth := measured.at(forecast.name, float(time))) and np.isfinite(low)
    ]
    return float(np.mean(inside)) if inside else float("nan")


def as_table(scores: Sequence[Score]) -> str:
    """The scores as lines of text."""
    lines = [f"{'ahead':>8}{'services':>10}{'Tidecast':>11}{'last value':>13}{'same time yesterday':>22}"]
    lines += [
        f"{row.minutes:>4} min{row.services:>10}{row.model:>11.1%}{row.last_value:>13.1%}{row.seasonal_naive:>22.1%}"
        for row in scores
    ]
    return "\n".join(lines)
