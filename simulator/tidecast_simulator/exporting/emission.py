"""
What an exporter says: named series, and what each does during every tick. Knows neither text nor blocks.

Shapes: `S` series, `T` ticks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tidecast_simulator.randomness import Floats, normal_cdf, stream, uniforms
from tidecast_simulator.traffic import Traffic

Labels = tuple[tuple[str, str], ...]


class Kind(StrEnum):
    """The type of a metric family, as the text format writes it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family: its name without `_total`, `_bucket` and the like for a histogram, in full otherwise."""

    name: str
    kind: Kind
    help: str


@dataclass(frozen=True, slots=True)
class Series:
    """One series: the name of its samples and its labels, sorted by name."""

    family: Family
    name: str
    labels: Labels

    @classmethod
    def of(cls, family: Family, labels: Mapping[str, str], *, suffix: str = "") -> "Series":
        """A series of a family; labels with an empty value are left out, as Prometheus does."""
        kept = sorted((name, value) for name, value in labels.items() if value)
        return cls(family, family.name + suffix, tuple(kept))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """
    Counters or gauges during a stretch of ticks.

    Attributes:
        series: S of them.
        values: Float64 of shape (S, T). A counter's increments, or a gauge's levels. NaN: nobody reports it then.
        born_with: For each counter the row that brings it into being: a counter is not reported before that row's
            first increment. Its own for most; the count's for a histogram's buckets. Int64 of shape (S,).
    """

    series: tuple[Series, ...]
    values: Floats
    born_with: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Emission:
    """Everything an exporter says during a stretch of ticks."""

    counters: Batch
    gauges: Batch


class Exporter(Protocol):
    """A tool that measures a mesh."""

    def emit(self, traffic: Traffic) -> Emission:
        """What it says about this traffic; the same series in the same order for every stretch."""


def batch(parts: Sequence[tuple[Sequence[Series], Floats]], ticks: int) -> Batch:
    """One batch of several parts, each series born by itself."""
    series = tuple(one for part, _ in parts for one in part)
    values = np.concatenate([rows for _, rows in parts]) if parts else np.zeros((0, ticks))
    return Batch(series, values, np.arange(len(series)))


def joined(batches: Sequence[Batch], ticks: int) -> Batch:
    """One batch of several."""
    if not batches:
        return batch([], ticks)
    starts = np.cumsum([0, *(len(one.series) for one in batches)])[:-1]
    return Batch(
        tuple(series for one in batches for series in one.series),
        np.concatenate([one.values for one in batches]),
        np.concatenate([one.born_with + start for one, start in zip(batches, starts, strict=True)]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Latencies:
    """
    Latencies of R kinds of requests: so many at each tick, log-normal each.

    Attributes:
        counts: Whole numbers of shape (R, T).
        log_mean: Mu, of seconds, of shape (R, T).
        log_spread: Sigma, of shape (R, T).
    """

    counts: Floats
    log_mean: Floats
    log_spread: Floats


def histogram_series(family: Family, rows: Sequence[Mapping[str, str]], bounds: Sequence[str]) -> tuple[Series, ...]:
    """For each row of labels its buckets (the last bound is `+Inf`), its sum and its count."""
    series = []
    for labels in rows:
        series += [Series.of(family, {**labels, "le": bound}, suffix="_bucket") for bound in bounds]
        series += [Series.of(family, labels, suffix="_sum"), Series.of(family, labels, suffix="_count")]
    return tuple(series)


def histogram(series: tuple[Series, ...], latencies: Latencies, bounds: Floats, traffic: Traffic) -> Batch:
    """
    The increments of histograms, in the order of `histogram_series`.

    Args:
        series: R times (B buckets, sum, count).
        latencies: In seconds.
        bounds: Upper bounds in the unit of the metric, given as seconds; the last is infinite; of shape (B,).
        traffic: Whose ticks these are.
    """
    rows, ticks = latencies.counts.shape
    width = len(bounds) + 2
    values = np.empty((rows, width, ticks))
    for row in range(rows):
        counts, mu, sigma = latencies.counts[row], latencies.log_mean[row], latencies.log_spread[row]
        number = stream("histogram", series[row * width])
        chance = uniforms(number, traffic.clock.ticks)
        below = normal_cdf((np.log(bounds[:-1])[:, None] - mu) / sigma)
        values[row, : width - 3] = np.floor(counts * below + chance)
        values[row, width - 3] = counts
        values[row, width - 2] = counts * np.exp(mu + sigma**2 / 2)
        values[row, width - 1] = counts
    born_with = np.repeat(np.arange(rows) * width + width - 1, width)
    return Batch(series, values.reshape(rows * width, ticks), born_with)
