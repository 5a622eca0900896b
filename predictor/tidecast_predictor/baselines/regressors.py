"""
The numbers a linear regression is given of a service at an origin.

Shapes: `S` origins, `N` services, `W` steps of the window, `F` features, `D` regressors, `T` steps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.cutting import filled, segment_begins, windows
from tidecast_predictor.baselines.method import Series
from tidecast_predictor.baselines.standardising import Standard

HARMONICS = 2


@dataclass(frozen=True, slots=True)
class Told:
    """
    What a regression is told.

    Attributes:
        window: W.
        period: Of the clock, seconds; None without.
        neighbours: Whether it is told of callers and callees.
    """

    window: int
    period: int | None
    neighbours: bool


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """
    The weighted mean over those at one end of a service's calls.

    Attributes:
        sources: Whose values are read, sorted by who reads them.
        shares: Of each in the mean.
        readers: Services that have any.
        begins: Where theirs begin in `sources`.
    """

    sources: NDArray[np.int64]
    shares: NDArray[np.float64]
    readers: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def of(cls, sources: NDArray[np.int64], readers: NDArray[np.int64], weights: NDArray[np.float32]) -> "Neighbours":
        """Of calls, of which *readers* stand at one end and *sources* at the other."""
        order = np.argsort(readers, kind="stable")
        own, begins = np.unique(readers[order], return_index=True)
        totals = np.zeros(int(readers.max()) + 1 if len(readers) else 0)
        np.add.at(totals, readers, weights)
        return cls(sources[order], weights[order] / totals[readers[order]], own, begins)

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Along the last axis of (..., N); 0, the mean of a series, for a service without any."""
        means = np.zeros(values.shape)
        if len(self.readers):
            means[..., self.readers] = np.add.reduceat(values[..., self.sources] * self.shares, self.begins, axis=-1)
        return means


@dataclass(frozen=True, slots=True, eq=False)
class Regressors:
    """
    A series, ready to take regressors from.

    Attributes:
        filled: Standardised values, gaps filled with the newest known value, (T', N, F); NaN where there is none.
        measured: Whether a value was measured, bool (T', N, F).
        begins: Of the segments.
        clock: Sine and cosine of the time of day, twice and once as fast, (T', 4); or none, (T', 0).
        neighbours: Callers and callees; none where they are not asked for.
        window: W.
    """

    filled: NDArray[np.float32]
    measured: NDArray[np.bool_]
    begins: NDArray[np.int64]
    clock: NDArray[np.float64]
    neighbours: tuple[Neighbours, ...]
    window: int

    @classmethod
    def of(cls, series: Series, standard: Standard, told: Told, *, steps: int) -> "Regressors":
        """Of the first *steps* steps of *series*."""
        begins = segment_begins(series.segments[:steps])
        caller, callee = series.calls
        both = (Neighbours.of(caller, callee, series.weights), Neighbours.of(callee, caller, series.weights))
        return cls(
            filled=filled(standard.scaled(series.values[:steps]), begins),
            measured=np.isfinite(series.values[:steps]),
            begins=begins,
            clock=_clock(series.times[:steps], told.period),
            neighbours=both if told.neighbours else (),
            window=told.window,
        )

    @property
    def count(self) -> int:
        """D."""
        features = self.filled.shape[2]
        return int(2 + self.window * (1 + len(self.neighbours)) + 2 * (features - 1) + self.clock.shape[1])

    @property
    def clock_columns(self) -> slice:
        """Where along D the clock stands."""
        begin = 2 + self.window + 2 * (self.filled.shape[2] - 1)
        return slice(begin, begin + self.clock.shape[1])

    def at(self, origins: NDArray[np.int64], feature: int) -> NDArray[np.float64]:
        """
        What a forecast of *feature* is made from at *origins*.

        A one; whether the newest value was measured; the window of the feature; the newest value and the window's mean
        of each other feature; the clock; the windows of the callers' mean and of the callees' mean.

        Returns:
            float64 of shape (S, N, D), without NaN.
        """
        cut = np.nan_to_num(windows(self.filled, self.begins, origins, self.window))
        samples, _, services, features = cut.shape
        own = cut[..., feature]
        others = np.delete(np.arange(features), feature)
        clock = np.broadcast_to(self.clock[origins][:, None], (samples, services, self.clock.shape[1]))
        parts = [
            np.ones((samples, services, 1)),
            self.measured[origins][..., feature, None],
            own.transpose(0, 2, 1),
            cut[:, -1][..., others],
            cut.mean(axis=1)[..., others],
            clock,
            *(neighbours.mean(own).transpose(0, 2, 1) for neighbours in self.neighbours),
        ]
        return np.concatenate(parts, axis=-1, dtype=np.float64)


def _clock(times: NDArray[np.int64], period: int | None) -> NDArray[np.float64]:
    if period is None:
        return np.zeros((len(times), 0))
    angle = (times % period) * (2 * np.pi / period)
    waves = [wave(harmonic * angle) for harmonic in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)]
    return np.stack(waves, axis=1)
