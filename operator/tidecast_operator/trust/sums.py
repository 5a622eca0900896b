"""
What is kept of compared moments: sums that fade, so that all of the past is a few numbers a series.

Shapes: `N` services, `F` forecast features, `K` offsets.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """
    Faded sums over the moments of each series and offset, float32 of shape (N, F, K); 0 where nothing was compared.

    Attributes:
        moments: How many moments there were; a faded one counts in part.
        own: Absolute errors of the median.
        signed: Median minus what came true.
        last: Absolute errors of last value at the same moments.
        inside: Moments whose truth lay between the lowest and the highest quantile, both included.
        banded: Moments that had a band.
        seasonal: Absolute errors of seasonal naive, where a day before is known.
        own_beside_seasonal: Absolute errors of the median at those moments.
    """

    moments: _Array
    own: _Array
    signed: _Array
    last: _Array
    inside: _Array
    banded: _Array
    seasonal: _Array
    own_beside_seasonal: _Array

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Self:
        """Of nothing compared yet."""
        return cls(**{field.name: np.zeros(shape, np.float32) for field in fields(cls)})

    def items(self) -> Iterator[tuple[str, _Array]]:
        """All of them by name."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))

    def faded(self, factor: float) -> Self:
        """The same, older."""
        return self._each(lambda sums: sums * np.float32(factor))

    def of(self, rows: NDArray[np.int64]) -> Self:
        """Those of the services at *rows*; -1 begins one."""
        return self._each(lambda sums: taken(sums, rows, 0))

    def plus(self, other: Self) -> Self:
        """Both together."""
        return type(self)(**{name: own + getattr(other, name) for name, own in self.items()})

    @property
    def naive(self) -> _Array:
        """
        The mean error of the better naive method; NaN where nothing was compared.

        A day before is not known of all moments: seasonal naive is compared on those, and its lead carried over to all.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            of_last = self.last / self.moments
            of_seasonal = self.seasonal / self.own_beside_seasonal * self.error
        better: _Array = np.fmin(of_last, of_seasonal)
        return better

    @property
    def error(self) -> _Array:
        """The mean error of the median; NaN where nothing was compared."""
        with np.errstate(divide="ignore", invalid="ignore"):
            error: _Array = self.own / self.moments
        return error

    def where(self, chosen: NDArray[np.bool_], other: Self) -> Self:
        """These where *chosen*, of shape (N, F, K), and those of *other* elsewhere."""
        return type(self)(**{name: np.where(chosen, own, getattr(other, name)) for name, own in self.items()})

    def _each(self, change: Callable[[_Array], _Array]) -> Self:
        return type(self)(**{name: change(sums) for name, sums in self.items()})


def taken(values: _Array, rows: NDArray[np.int64], missing: float) -> _Array:
    """Those of *values* at *rows* of the first axis, *missing* where that is -1."""
    if not len(values):
        return np.full((len(rows), *values.shape[1:]), missing, np.float32)
    chosen = values[rows]
    chosen[rows < 0] = missing
    return chosen
