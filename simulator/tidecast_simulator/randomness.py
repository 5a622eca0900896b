"""
Random numbers that are a function of absolute time, so that a simulation can be entered at any moment.

Every number is a hash of a stream's name and an index (a tick of the clock, as a rule): asking again for any stretch of
time gives the same numbers, whatever was asked before. Nothing here keeps state.
"""

import hashlib
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Streams = int | NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
# Below this mean the Poisson distribution is drawn exactly, above it as a rounded normal.
_SMALL_MEAN = 20.0
_PHI_LIMIT = 8.0
_PHI_POINTS = 1 << 14
_PHI = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in np.linspace(-_PHI_LIMIT, _PHI_LIMIT, _PHI_POINTS + 1)])


def stream(*names: object) -> int:
    """The 64-bit number of the stream of that name."""
    text = "\0".join(str(name) for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def streams(*names: Iterable[object]) -> Streams:
    """The streams of several names, as a column: with a row of indices they give one row of numbers each."""
    return np.array([[stream(*name)] for name in names], dtype=np.uint64).reshape(-1, 1)


def beside(stream_number: Streams, other: int) -> NDArray[np.uint64]:
    """Other streams, one beside each, for a second number at the same index."""
    return np.asarray(np.asarray(stream_number, dtype=np.uint64) ^ np.uint64(other))


def uniforms(stream_number: Streams, indices: Indices) -> Floats:
    """Numbers in (0, 1), one for each index, of the shape of streams and indices together."""
    with np.errstate(over="ignore"):
        x = (indices.astype(np.uint64) + np.uint64(1)) * _GOLDEN + np.asarray(stream_number, dtype=np.uint64)
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(stream_number: Streams, indices: Indices) -> Floats:
    """Standard normal numbers, one for each index, of the shape of streams and indices together (Box and Muller)."""
    radius = np.sqrt(-2 * np.log(uniforms(stream_number, indices)))
    turn = uniforms(beside(stream_number, 0x5DEECE66D), indices)
    return np.asarray(radius * np.cos(2 * math.pi * turn))


def smooth_noise(stream_number: Streams, times: Floats, scale_seconds: float) -> Floats:
    """Noise of mean 0 and variance 1 that wanders over `scale_seconds`; of the shape of streams and times (unix seconds)."""
    position = times / scale_seconds
    left = np.floor(position)
    fraction = position - left
    knots = left.astype(np.int64)
    mixed = normals(stream_number, knots) * (1 - fraction) + normals(stream_number, knots + 1) * fraction
    return np.asarray(mixed / np.sqrt((1 - fraction) ** 2 + fraction**2))


def poisson(mean: Floats, stream_number: Streams, indices: Indices, *, variance: Floats | None = None) -> Floats:
    """
    Whole numbers around a mean.

    Args:
        mean: Not negative, of any shape.
        stream_number: Which stream, or a column of them.
        indices: One for each mean, of its shape or of that of one of its rows.
        variance: Where the mean is not small, this variance instead of Poisson's; of the same shape.
    """
    spread = np.sqrt(mean if variance is None else variance)
    drawn = np.maximum(np.rint(mean + spread * normals(stream_number, indices)), 0.0)
    small = mean < _SMALL_MEAN
    if small.any():
        chosen = np.broadcast_to(beside(stream_number, 0xB5297A4D), mean.shape)[small]
        drawn[small] = _poisson_exactly(mean[small], uniforms(chosen, np.broadcast_to(indices, mean.shape)[small]))
    return drawn


def thinned(counts: Floats, ratio: Floats, stream_number: Streams, indices: Indices) -> Floats:
    """How many of so many events happen when each happens with that probability; whole numbers in [0, counts]."""
    rare = np.minimum(ratio, 1 - ratio)
    mean = counts * rare
    drawn = np.minimum(poisson(mean, stream_number, indices, variance=mean * (1 - rare)), counts)
    return np.where(ratio <= 0.5, drawn, counts - drawn)


def normal_cdf(x: Floats) -> Floats:
    """The share of a standard normal distribution below each x, to 1e-8; never falling in x."""
    position = np.clip((x + _PHI_LIMIT) * (_PHI_POINTS / (2 * _PHI_LIMIT)), 0, _PHI_POINTS - 1e-9)
    left = position.astype(np.int64)
    below = _PHI[left]
    return np.asarray(below + (_PHI[left + 1] - below) * (position - left))


def _poisson_exactly(mean: Floats, u: Floats) -> Floats:
    probability = np.exp(-mean)
    below = probability.copy()
    drawn = np.zeros_like(mean)
    for k in range(1, 100):
        beyond = u > below
        if not beyond.any():
            break
        drawn += beyond
        probability *= mean / k
        below += probability
    return drawn
