"""
Adds measurements to what is kept of past load and latency. Pure.

What cannot be read counts for nothing: a step without load, latency or ready replicas, without any traffic, or in which
the number of ready replicas has just changed.

A latency that is high while a callee is slow says nothing of the caller's own load: it is kept apart as unclear. So is a
step in which far more requests failed than usually do: failing is quick.

Shapes: `T` steps, `N` services, `S` signals.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import ERRORS, LATENCY_P95, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.load_sketch import FADING_SECONDS, SIGNALS, LoadSketch, Usual, bin_of

SLOW = 1.5
"""Times its usual latency: from there on a service is slow."""

FARTHEST = 4.0
"""Times its usual latency: what is farther from it counts as that, lest one hour of an outage outweighs a week."""

FAILING, MOSTLY_FAILING = 0.05, 0.2
"""Shares of failing requests: from the first on latency says nothing, unless half of that is usual; from the second on it
says nothing whatever is usual."""

_LEAST_SHARE = 0.05  # of a caller's requests: fewer slow calls do not show in its p95

_Array = NDArray[np.float64]


def with_window(sketch: LoadSketch, window: Snapshot, *, since: int | None = None) -> LoadSketch:
    """
    The sketch with the steps of *window* added, in any order of windows.

    Args:
        sketch: What was known.
        window: What was measured.
        since: Steps up to this one, unix seconds, were added before, and only show what came just before the others;
            None for none.
    """
    times = window.times if since is None else window.times[window.times > since]
    if not times.size:
        return sketch
    columns = np.flatnonzero([not service.is_external for service in window.services])
    services = tuple(window.services[column] for column in columns.tolist())
    sketch = sketch.of(tuple(dict.fromkeys((*services, *sketch.lasting)))).at(window.end_time)
    weights = window.step_seconds * np.exp((times - sketch.time) / FADING_SECONDS)
    measured = _Measured.of(window, len(times))
    centre, errors = _centre(sketch.usual, measured, columns, weights)
    moments = _moments(window, measured, centre, errors, columns)
    _add(sketch, moments, weights, window.step_seconds)
    seen = np.where(moments.counts.any(axis=2), times[:, None], 0).max(axis=0, initial=0)
    known = len(columns)
    sketch.seen[:known] = np.maximum(sketch.seen[:known], seen)
    return replace(sketch, usual=_more_usual(sketch.usual, moments, weights))


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """
    The new steps of all services of a window, externals included.

    Attributes:
        loads: Per ready replica, float64 of shape (T, N, S); NaN where there is none, or replicas just changed.
        log_latency: (T, N); NaN where there is none.
        errors: (T, N); 0 where none were seen.
    """

    loads: _Array
    log_latency: _Array
    errors: _Array

    @classmethod
    def of(cls, window: Snapshot, steps: int) -> "_Measured":
        """The last *steps* steps."""
        replicas = window.values[-steps - 1 :, :, index_of(READY_REPLICAS)].astype(np.float64)
        before = np.concatenate([replicas[:1], replicas[:-1]])[-steps:]
        replicas = replicas[-steps:]
        # In the moment of a change it is not known for which part of the step there were how many.
        steady = (replicas == before) | np.isnan(before)
        replicas = np.where(steady & (replicas > 0), replicas, np.nan)
        values = window.values[-steps:].astype(np.float64)
        loads = values[:, :, [index_of(signal) for signal in SIGNALS]] / replicas[:, :, None]
        latency = values[:, :, index_of(LATENCY_P95)]
        errors = values[:, :, index_of(ERRORS)]
        return cls(
            np.where(loads > 0, loads, np.nan),
            np.log(np.where((latency > 0) & np.isfinite(latency), latency, np.nan)),
            np.where(np.isfinite(errors), errors, 0.0),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """
    What is added, of the workloads of a window.

    Attributes:
        loads: (T, N, S).
        log_latency: Bounded, (T, N); 0 where there is none.
        errors: (T, N).
        is_known: Whether latency was measured, (T, N).
        counts: Whether there is both load and latency, (T, N, S).
        unclear: Whether latency says nothing of the load, (T, N).
    """

    loads: _Array
    log_latency: _Array
    errors: _Array
    is_known: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    unclear: NDArray[np.bool_]


def _centre(usual: Usual, measured: _Measured, columns: NDArray[np.int64], weights: _Array) -> tuple[_Array, _Array]:
    """The usual logarithm of latency and the usual share of errors of all services of the window, each (N,)."""
    known = np.isfinite(measured.log_latency)
    own = (weights[:, None] * known).sum(axis=0)
    total = own.copy()
    total[columns] += usual.seconds[: len(columns)]

    def blended(sums: NDArray[np.float32], now: _Array) -> _Array:
        both = np.nan_to_num(now) * own
        both[columns] += sums[: len(columns)]
        mean: _Array = np.divide(both, total, out=np.full_like(total, np.nan), where=total > 0)
        return mean

    now = _median(measured.log_latency), _median(np.where(known, measured.errors, np.nan))
    return blended(usual.log_latency, now[0]), blended(usual.errors, now[1])


def _moments(
    window: Snapshot, measured: _Measured, centre: _Array, errors: _Array, columns: NDArray[np.int64]
) -> _Moments:
    with np.errstate(invalid="ignore"):
        slow = measured.log_latency > centre + math.log(SLOW)
        failing = measured.errors > np.clip(np.nan_to_num(2 * errors), FAILING, MOSTLY_FAILING)
    farthest = math.log(FARTHEST)
    log_latency = np.clip(measured.log_latency, centre - farthest, centre + farthest)
    unclear = (slow & _calls_slow(window, slow)) | failing
    known = np.isfinite(log_latency)
    counts = known[:, :, None] & np.isfinite(measured.loads)
    return _Moments(
        measured.loads[:, columns],
        np.where(known, log_latency, 0.0)[:, columns],
        measured.errors[:, columns],
        known[:, columns],
        counts[:, columns],
        unclear[:, columns],
    )


def _calls_slow(window: Snapshot, slow: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether some service that each calls often enough is slow, (T, N)."""
    requests = window.values[:, :, index_of(REQUESTS)]
    seen = np.isfinite(requests)
    mean = np.where(seen, requests, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    matters = window.rates >= _LEAST_SHARE * mean[window.calls[0]]
    callers, callees = window.calls[:, matters]
    found = np.zeros_like(slow)
    steps, calls = np.nonzero(slow[:, callees])
    found[steps, callers[calls]] = True
    return found


def _add(sketch: LoadSketch, moments: _Moments, weights: _Array, step_seconds: int) -> None:
    """Into the arrays of *sketch*, which nobody else has."""
    steps, rows, signals = np.nonzero(moments.counts)
    loads = moments.loads[steps, rows, signals]
    places = bin_of(np.where(moments.counts, moments.loads, 1.0))[steps, rows, signals]
    seconds, unclear = weights[steps], moments.unclear[steps, rows]
    clear = np.where(unclear, 0.0, seconds)
    bins, where = sketch.bins, (rows, signals, places)
    np.add.at(bins.seconds, where, clear.astype(np.float32))
    np.add.at(bins.load, where, (clear * loads).astype(np.float32))
    np.add.at(bins.log_latency, where, (clear * moments.log_latency[steps, rows]).astype(np.float32))
    np.add.at(bins.unclear, where, (seconds - clear).astype(np.float32))
    np.add.at(sketch.samples, (rows, signals), (clear / step_seconds).astype(np.float32))


def _more_usual(usual: Usual, moments: _Moments, weights: _Array) -> Usual:
    known = weights[:, None] * moments.is_known
    more = (known, known * moments.log_latency, known * moments.errors)
    sums = {name: values.copy() for name, values in usual.each()}
    for values, added in zip(sums.values(), more, strict=True):
        values[: added.shape[1]] += added.sum(axis=0).astype(np.float32)
    return Usual(**sums)


def _median(values: _Array) -> _Array:
    """Over the first axis; NaN where there is nothing. The upper one of two."""
    ordered = np.sort(values, axis=0)  # NaN last
    known = np.isfinite(values).sum(axis=0)
    median: _Array = np.take_along_axis(ordered, np.minimum(known // 2, len(values) - 1)[None], axis=0)[0]
    return median
