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
_QUIET = 0.25  # of what naive methods usually err


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
        capped: Moments that had a highest quantile.
        cap: Pinball losses of the highest quantile at those moments: what is too high costs, what is too low more.
        last_cap: The same of last value in its place.
        raised_cap: The same of last value raised by what it usually errs.
    """

    moments: _Array
    own: _Array
    signed: _Array
    last: _Array
    inside: _Array
    banded: _Array
    seasonal: _Array
    own_beside_seasonal: _Array
    capped: _Array
    cap: _Array
    last_cap: _Array
    raised_cap: _Array

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

    def error_ratio(self, usual: Self) -> _Array:
        """
        The error of the median in those of the better naive method; NaN where nothing was compared.

        Where naive methods err less than a quarter of what they do in the *usual* sums, that counts: in a quiet hour of
        what comes in bursts they do not err at all, and any error would be endless beside that.
        """
        return _ratio(self.error, np.fmax(self.naive, _QUIET * usual.naive))

    def cap_ratio(self, usual: Self) -> _Array:
        """The pinball loss of the highest quantile in those of the better naive one, likewise."""
        return _ratio(self._mean_cap(self.cap), np.fmax(self._naive_cap, _QUIET * usual._naive_cap))

    @property
    def _naive_cap(self) -> _Array:
        return self._mean_cap(np.minimum(self.last_cap, self.raised_cap))

    def _mean_cap(self, losses: _Array) -> _Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            mean: _Array = losses / self.capped
        return mean

    def where(self, chosen: NDArray[np.bool_], other: Self) -> Self:
        """These where *chosen*, of shape (N, F, K), and those of *other* elsewhere."""
        return type(self)(**{name: np.where(chosen, own, getattr(other, name)) for name, own in self.items()})

    def _each(self, change: Callable[[_Array], _Array]) -> Self:
        return type(self)(**{name: change(sums) for name, sums in self.items()})


def _ratio(own: _Array, naive: _Array) -> _Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: _Array = own / naive
    return ratio


def taken(values: _Array, rows: NDArray[np.int64], missing: float) -> _Array:
    """Those of *values* at *rows* of the first axis, *missing* where that is -1."""
    if not len(values):
        return np.full((len(rows), *values.shape[1:]), missing, np.float32)
    chosen = values[rows]
    chosen[rows < 0] = missing
    return chosen
