"""
What is kept of past load and latency: for every service, how long each load per ready replica was seen, and the latency
it went with. Sums that fade, so that weeks are a few numbers a service, whatever order they came in. Pure.

Shapes: `T` steps, `N` services, `S` signals, `B` bins of load. For 10,000 services a sketch takes 31 MB.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import CPU, REQUESTS, Feature
from tidecast_contract.services import ServiceId, rows_of

SIGNALS: tuple[Feature, ...] = (REQUESTS, CPU)
"""What the load of a replica is measured in."""

BINS = 96
RATIO = 1.15
"""From the lower edge of a bin to its upper one."""

LOWEST = np.array([0.02, 0.0005])
"""The lower edge of the first bin, in the unit of each signal. 96 bins reach to half a million times that; what is below
counts in the first bin, what is above in the last one."""

FADING_SECONDS = 14 * 86_400
"""Over so long the weight of a measurement falls by e; a service that was not measured for so long is forgotten."""

_Array = NDArray[np.float32]
_Kind = TypeVar("_Kind", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """
    Faded sums by load per ready replica, float32 of shape (N, S, B), or (B,) of one service and signal.

    Attributes:
        seconds: For how long it was seen.
        load: Load per replica times seconds.
        log_latency: The logarithm of p95 latency, in seconds, times seconds.
        unclear: Seconds on top, in which latency says nothing of this load.
    """

    seconds: _Array
    load: _Array
    log_latency: _Array
    unclear: _Array

    def each(self) -> Iterator[tuple[str, _Array]]:
        """All of them by name."""
        return ((name, getattr(self, name)) for name in ("seconds", "load", "log_latency", "unclear"))


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """
    What a service is like whatever its load, as faded sums, float32 of shape (N,).

    Attributes:
        seconds: For how long its latency was measured.
        log_latency: The logarithm of its p95 latency, in seconds, times seconds.
        errors: The share of its requests that failed, times seconds.
    """

    seconds: _Array
    log_latency: _Array
    errors: _Array

    def each(self) -> Iterator[tuple[str, _Array]]:
        """All of them by name."""
        return ((name, getattr(self, name)) for name in ("seconds", "log_latency", "errors"))


@dataclass(frozen=True, slots=True, eq=False)
class LoadSketch:
    """
    All that is kept of the past.

    Attributes:
        services: N of them, workloads alone; rows of everything else.
        time: Of the newest step that it holds, unix seconds; what is older has faded by its distance from that.
        bins: By load per replica.
        usual: Whatever the load.
        samples: Measurements of each signal that tell something, faded, (N, S).
        seen: When the latest load was measured, unix seconds, int64 of shape (N,); 0 without any.
    """

    services: tuple[ServiceId, ...]
    time: int
    bins: Bins
    usual: Usual
    samples: _Array
    seen: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """Of nothing measured yet."""
        shape = (0, len(SIGNALS), BINS)
        bins = Bins(*(np.zeros(shape, np.float32) for _ in range(4)))
        usual = Usual(*(np.zeros(0, np.float32) for _ in range(3)))
        return cls((), 0, bins, usual, np.zeros(shape[:2], np.float32), np.zeros(0, np.int64))

    def of(self, services: tuple[ServiceId, ...]) -> "LoadSketch":
        """That of *services*, in this order; of those not known yet nothing."""
        if services == self.services:
            return self
        rows = rows_of(services, self.services)
        return replace(
            self,
            services=services,
            bins=Bins(**{name: _taken(sums, rows) for name, sums in self.bins.each()}),
            usual=Usual(**{name: _taken(sums, rows) for name, sums in self.usual.each()}),
            samples=_taken(self.samples, rows),
            seen=_taken(self.seen, rows),
        )

    def at(self, time: int) -> "LoadSketch":
        """The same as it is later, in arrays of its own."""
        factor = np.float32(math.exp(-max(0, time - self.time) / FADING_SECONDS))
        return replace(
            self,
            time=max(self.time, time),
            bins=Bins(**{name: sums * factor for name, sums in self.bins.each()}),
            usual=Usual(**{name: sums * factor for name, sums in self.usual.each()}),
            samples=self.samples * factor,
            seen=self.seen.copy(),
        )

    @property
    def lasting(self) -> tuple[ServiceId, ...]:
        """Those whose past is worth keeping: those that are silent for a night or a weekend are known after it."""
        kept = np.flatnonzero(self.seen > max(0, self.time - FADING_SECONDS)).tolist()
        return tuple(self.services[row] for row in kept)

    def bins_of(self, row: int, signal: int) -> Bins:
        """Those of one service and signal, arrays of shape (B,)."""
        return Bins(**{name: sums[row, signal] for name, sums in self.bins.each()})


def bin_of(loads: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each load per replica above 0, of shape (..., S)."""
    places = np.floor(np.log(loads / LOWEST) / math.log(RATIO))
    bins: NDArray[np.int64] = np.clip(places, 0, BINS - 1).astype(np.int64)
    return bins


def _taken(values: NDArray[_Kind], rows: NDArray[np.int64]) -> NDArray[_Kind]:
    taken = np.zeros((len(rows), *values.shape[1:]), values.dtype)
    taken[rows >= 0] = values[rows[rows >= 0]]
    return taken
