"""
Reads what one ready replica carries off what is kept of past load and latency. Pure.

It is the load up to which p95 latency held, and never more than was seen. Latency is taken to rise with load: where
means of bins do not, neighbours are put together until they do, so that one noisy bin decides nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import Feature
from tidecast_operator.figures import figure
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.hint import unit_of
from tidecast_operator.hints.load_sketch import Bins

HELD = 2.0
"""Times the p95 latency at low load: up to there it held."""

FEWEST_SAMPLES = 60
"""Nothing is said of fewer."""

LEAST_SECONDS = 600.0
"""A load that was seen for less than that altogether is read together with its neighbours."""

TOP_SHARE = 0.01
"""Where latency never rose, the load that was seen in so much of the time, or in more of it, is what was seen often."""

_Array = NDArray[np.float64]


def read(bins: Bins, samples: float, signal: Feature) -> Capacity | None:
    """
    The capacity of a replica.

    Args:
        bins: Of one service and signal, arrays of shape (B,).
        samples: How many measurements they hold.
        signal: What the load is measured in.

    Returns:
        None where too little is known.
    """
    if samples < FEWEST_SAMPLES:
        return None
    levels = _levels(bins)
    if not levels.seconds.size:
        return None
    low = _weighted_median(levels.log_latency, levels.seconds * _lower_half(levels.seconds))
    held = np.flatnonzero(_rising(levels.log_latency, levels.seconds) <= low + np.log(HELD))
    if not held.size:
        return None
    last = int(held[-1])
    is_limit = last < len(levels.seconds) - 1
    if not is_limit:
        last = _seen_often(levels.seconds)
    load = float(levels.load[last])
    evidence = _evidence(load, samples, signal, is_limit=is_limit, is_cut=levels.is_cut)
    return Capacity(load, round(samples), is_limit, evidence)


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """
    Loads of which enough is known, rising; float64, one number for each.

    Attributes:
        seconds: For how long each was seen.
        load: Its mean.
        log_latency: The mean logarithm of p95 latency.
        is_cut: Whether higher loads were seen, of which latency says nothing.
    """

    seconds: _Array
    load: _Array
    log_latency: _Array
    is_cut: bool


def _levels(bins: Bins) -> _Levels:
    """
    Bins, put together with those below, from the top down, until enough is known of each.

    Left out are those whose latency is unclear for most of the time.
    """
    sums = np.stack([values.astype(np.float64) for _, values in bins.each()])
    found: list[_Array] = []  # the highest first
    level = np.zeros(len(sums))
    for column in sums[:, (sums[0] > 0) | (sums[3] > 0)].T[::-1]:
        level = level + column
        if level[0] + level[3] >= LEAST_SECONDS:
            found.append(level)
            level = np.zeros(len(sums))
    clear = np.array([level for level in reversed(found) if level[0] > level[3]]).reshape(-1, len(sums))
    seconds, load, log_latency, _ = clear.T
    is_cut = bool(found and found[0][0] <= found[0][3])
    return _Levels(seconds, load / seconds, log_latency / seconds, is_cut)


def _lower_half(seconds: _Array) -> NDArray[np.bool_]:
    """The levels of the lower half of the time; the first one always."""
    before = np.cumsum(seconds) - seconds
    lower: NDArray[np.bool_] = before < seconds.sum() / 2
    return lower


def _weighted_median(values: _Array, weights: _Array) -> float:
    order = np.argsort(values)
    place = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(values[order][place])


def _rising(values: _Array, weights: _Array) -> _Array:
    """The nearest series that never falls: least squares, by putting together neighbours that do."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        block = value, weight, 1
        while blocks and blocks[-1][0] > block[0]:
            mean, heavy, length = blocks.pop()
            total = heavy + block[1]
            block = (mean * heavy + block[0] * block[1]) / total, total, length + block[2]
        blocks.append(block)
    return np.repeat([mean for mean, _, _ in blocks], [length for _, _, length in blocks])


def _seen_often(seconds: _Array) -> int:
    """The highest level that, with all above it, was seen often enough."""
    above = np.cumsum(seconds[::-1])[::-1]
    return int(np.flatnonzero(above >= min(max(LEAST_SECONDS, TOP_SHARE * above[0]), above[0]))[-1])


def _evidence(load: float, samples: float, signal: Feature, *, is_limit: bool, is_cut: bool) -> str:
    carried, of = f"{figure(load)} {unit_of(signal)}", f"in {samples:.0f} samples"
    if is_limit:
        return f"p95 held up to {carried} a replica {of} and rose above"
    if is_cut:
        return f"p95 held up to {carried} a replica {of}; above, callees were slow or requests failed"
    return f"{carried} a replica is the most that was seen often {of}; p95 held"
