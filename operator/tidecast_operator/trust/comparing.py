"""
Compares forecasts with what was measured at exactly the moments they spoke of, beside last value and seasonal naive for
the same moments. Pure.

Shapes: `N` services, `F` forecast features, `K` offsets, `Q` quantiles.
"""

import math
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.bands import falls_below, rises_above
from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast
from tidecast_contract.services import ServiceId, rows_of
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.trust.record import Issued, Record
from tidecast_operator.trust.sums import Sums

WINDOW_SECONDS = 86_400
"""What the long sums tell of: the weight of a moment falls by e over half of it, so its mean age is half a day."""

WINDOW_LEAST_STEPS = 288
"""What they tell of where that is longer, with steps above 5 minutes: a day of long steps has too few moments for a verdict,
all the more where a service is measured by day alone, and the middle sums would tell of more than the long ones."""

RECENT_STEPS, MIDDLE_STEPS = 15.0, 60.0
"""Over so many steps the weight of a moment falls by e: in the short sums, which see at once what is far off, and in the
middle ones, which see within an hour what is a little worse than naive."""

FEWEST_RECENT = 5.0
DRIFTED, RECOVERED = 2.0, 1.1
"""Errors of late, in those of the better naive method: above the first a series drifts, until they are below the second."""

CAP_DRIFTED, CAP_RECOVERED = 4.0, 1.5
"""The same of the pinball losses of the highest quantile."""

_GREW = 2.0  # times the usual ratio: a series that was never good has no skill, and does not drift
_LARGEST = 8.0  # usual naive errors; one moment counts no more, lest a single one is remembered for days
_RAISED = 2.0  # usual naive errors that last value is raised by: of a normal distribution p90 is 1.6 of them up


def window_seconds(step_seconds: int) -> int:
    """What the long sums tell of, with steps of that length."""
    return max(WINDOW_SECONDS, WINDOW_LEAST_STEPS * step_seconds)


def advance(record: Record, window: Snapshot, forecast: Forecast | None) -> Record:
    """
    The record, once *window* was measured and *forecast* was made from it.

    Moments that the window does not hold, or where nothing was measured, count for nothing.
    """
    record = record.of(tuple(dict.fromkeys((*window.services, *_lasting(record)))))
    if window.start_time - record.step_seconds > record.time:
        record = aged(record, until=window.start_time - record.step_seconds)
    steps = (window.end_time - record.time) // record.step_seconds
    for ago in range(max(0, min(steps, window.steps)) - 1, -1, -1):
        record = _after_step(record, window.end_time - ago * record.step_seconds, window)
    if forecast is not None:
        record = record.spoken_for(dict(zip(forecast.services, forecast.kinds, strict=True)))
    farthest = record.offsets[-1] * record.step_seconds
    waiting = [one for one in record.issued if one.time + farthest > window.end_time]
    if forecast is not None:
        # A cycle that was woken comes twice in a step.
        waiting = [one for one in waiting if one.time != forecast.issued_time]
        waiting.append(_waiting(record, window, forecast))
    return replace(record, time=max(record.time, window.end_time), issued=tuple(waiting))


def aged(record: Record, *, until: int) -> Record:
    """The same after a time without measurements, up to *until*, unix seconds."""
    seconds = max(0, until - record.time)
    return replace(
        record,
        time=max(record.time, until),
        long=record.long.faded(math.exp(-2 * seconds / window_seconds(record.step_seconds))),
        middle=record.middle.faded(math.exp(-seconds / record.step_seconds / MIDDLE_STEPS)),
        short=record.short.faded(math.exp(-seconds / record.step_seconds / RECENT_STEPS)),
    )


def _lasting(record: Record) -> Iterator[ServiceId]:
    """Services of whose past something is left: those that are silent at night are known in the morning."""
    left = (record.long.moments >= 1).any(axis=(1, 2))
    return (record.services[row] for row in np.flatnonzero(left))


def _waiting(record: Record, window: Snapshot, forecast: Forecast) -> Issued:
    at = np.array(record.offsets) - 1
    rows = rows_of(record.services, forecast.services)
    seasonal = forecast.seasonal
    if seasonal is None:
        seasonal = np.full(forecast.values.shape[:3], np.nan, np.float32)
    said = Issued(
        forecast.issued_time, forecast.values[:, :, at], np.zeros(seasonal.shape[:2], np.float32), seasonal[:, :, at]
    ).of(rows)
    last = np.full((len(record.services), len(FORECAST_FEATURES)), np.nan, np.float32)
    last[: len(window.services)] = _newest(window)
    return replace(said, last=last)


def _newest(window: Snapshot) -> NDArray[np.float32]:
    """The newest measurement of every feature in the window, (N, F); NaN where there is none."""
    values = window.values[::-1, :, : len(FORECAST_FEATURES)]
    ago = np.isfinite(values).argmax(axis=0)[None]
    newest: NDArray[np.float32] = np.take_along_axis(values, ago, axis=0)[0]
    return newest


def _after_step(record: Record, time: int, window: Snapshot) -> Record:
    long = record.long.faded(math.exp(-2 * record.step_seconds / window_seconds(record.step_seconds)))
    middle = record.middle.faded(math.exp(-1 / MIDDLE_STEPS))
    short = record.short.faded(math.exp(-1 / RECENT_STEPS))
    truth = np.full((len(record.services), len(FORECAST_FEATURES)), np.nan, np.float32)
    row = (time - window.start_time) // window.step_seconds
    truth[: len(window.services)] = window.values[row, :, : len(FORECAST_FEATURES)]
    moment = _moment(record, time, truth)
    short = short.plus(moment)
    drifts = _drifting(short, long, record.drifts)
    return replace(
        record,
        # Once it is known to have gone wrong, it says nothing of how good it is when it goes well.
        long=long.plus(moment).where(~drifts, long),
        # After a drift it begins with what ended it: all that came before was known and is over.
        middle=middle.plus(moment).where(~(drifts | record.drifts), short),
        short=short,
        drifts=drifts,
    )


def _moment(record: Record, time: int, truth: NDArray[np.float32]) -> Sums:
    """What was said of *time* against what came true then."""
    usual, parts = record.long.naive, []
    for place, steps in enumerate(record.offsets):
        issued = next((one for one in record.issued if one.time + steps * record.step_seconds == time), None)
        parts.append(
            (np.zeros_like(truth),) * len(fields(Sums))
            if issued is None
            else _judged(issued, place, truth, usual[..., place])
        )
    return Sums(*(np.stack(part, axis=-1) for part in zip(*parts, strict=True)))


def _judged(
    issued: Issued, place: int, truth: NDArray[np.float32], usual: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """What one offset of one forecast adds to each of the `Sums`, in their order, (N, F)."""
    quantiles, seasonal = issued.values[:, :, place], issued.seasonal[:, :, place]
    median, low, high = quantiles[..., quantiles.shape[-1] // 2], quantiles[..., 0], quantiles[..., -1]
    largest = np.where(usual > 0, _LARGEST * usual, np.inf)
    own, last, yesterday = (np.minimum(np.abs(said - truth), largest) for said in (median, issued.last, seasonal))
    counts = np.isfinite(own) & np.isfinite(last)
    banded = counts & np.isfinite(low) & np.isfinite(high)
    beside = counts & np.isfinite(yesterday)
    capped = counts & np.isfinite(high)
    raised = issued.last + _RAISED * np.nan_to_num(usual)
    own_cap, last_cap, raised_cap = (np.minimum(_pinball(truth - cap), largest) for cap in (high, issued.last, raised))
    parts = (
        (counts, 1.0),
        (counts, own),
        (counts, np.clip(median - truth, -largest, largest)),
        (counts, last),
        (banded, ~falls_below(low, truth) & ~rises_above(high, truth)),
        (banded, 1.0),
        (beside, yesterday),
        (beside, own),
        (capped, 1.0),
        (capped, own_cap),
        (capped, last_cap),
        (capped, raised_cap),
    )
    return tuple(np.where(where, what, 0).astype(np.float32) for where, what in parts)


def _pinball(above: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the highest quantile costs where the truth came *above* it by so much: the least if it is honest."""
    loss: NDArray[np.float32] = np.maximum(QUANTILES[-1] * above, (QUANTILES[-1] - 1) * above)
    return loss


def _drifting(short: Sums, long: Sums, before: NDArray[np.bool_]) -> NDArray[np.bool_]:
    begins, recovers = np.zeros_like(before), np.ones_like(before)
    for ratio, usual, (drifted, recovered) in (
        (short.error_ratio(long), long.error_ratio(long), (DRIFTED, RECOVERED)),
        (short.cap_ratio(long), long.cap_ratio(long), (CAP_DRIFTED, CAP_RECOVERED)),
    ):
        begins |= (ratio > drifted) & (ratio > _GREW * usual)
        recovers &= ratio <= recovered
    enough = short.moments >= FEWEST_RECENT
    drifting: NDArray[np.bool_] = enough & begins | before & ~(enough & recovers)
    return drifting
