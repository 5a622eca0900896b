"""
Makes every series comparable: less its own mean, over its own standard deviation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series

_SMALLEST = 1e-6  # of the level; a deviation below is float32's, not the series' own, and the scores leave it out too
_NOTHING = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """
    Mean and deviation of every series, in its units.

    Attributes:
        mean: float32 of shape (N, F).
        deviation: The same, positive; 1 where a series never moved.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> "Standard":
        """
        Of the measurements in *values* (T, N, F), NaN where missing.

        A series without any gets the median over the services of the same feature; where there is none, 0 and 1.
        """
        services, features = values.shape[1:]
        mean = np.full((services, features), np.nan)
        deviation = np.full((services, features), np.nan)
        for service in range(services):  # one at a time: a recording fills the memory once, not three times
            own = values[:, service].astype(np.float64)
            count = np.isfinite(own).sum(axis=0)
            some = count > 0
            mean[service, some] = np.nansum(own[:, some], axis=0) / count[some]
            squares = np.nansum((own[:, some] - mean[service, some]) ** 2, axis=0) / count[some]
            deviation[service, some] = np.sqrt(squares)
        constant = deviation <= np.maximum(_SMALLEST * np.abs(mean), _NOTHING)
        deviation[constant] = 1.0
        for feature in range(features):
            known = np.isfinite(mean[:, feature])
            mean[~known, feature] = np.median(mean[known, feature]) if known.any() else 0.0
            deviation[~known, feature] = np.median(deviation[known, feature]) if known.any() else 1.0
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def scaled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values (..., N, F) in units as float32 deviations from the mean."""
        scaled: NDArray[np.float32] = (values - self.mean) / self.deviation
        return scaled

    def in_units(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse of `scaled`."""
        values: NDArray[np.float32] = scaled * self.deviation + self.mean
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Standards:
    """
    What was learnt about the scale of series, and how others are scaled.

    Attributes:
        known: Series and their standards.
    """

    known: tuple[tuple[Series, Standard], ...]

    def knows(self, series: Series) -> bool:
        """Whether *series* is one of those learnt from, or a version of one."""
        return any(_same(series, other) for other, _ in self.known)

    def of(self, series: Series, first_origin: int) -> Standard:
        """
        The standard for forecasts of *series*.

        For a series learnt from that of its training part. For another one that of its steps up to and including
        *first_origin*, the earliest origin that is asked for: all that may be known at every origin.
        """
        for other, standard in self.known:
            if _same(series, other):
                return standard
        return Standard.of(series.values[: first_origin + 1])


def _same(one: Series, other: Series) -> bool:
    """By services, graph and begin, not by values: those of a copy may be hidden in part, or go on for longer."""
    return one is other or (
        one.services == other.services
        and one.features == other.features
        and int(one.times[0]) == int(other.times[0])
        and np.array_equal(one.calls, other.calls)
        and np.array_equal(one.weights, other.weights)
    )
