"""
Keeps quantiles honest while they are used: what came true since corrects how far from the median they lie.

Quantile tracking in the manner of adaptive conformal inference (arXiv:2106.00170, arXiv:2307.16895): whenever the truth
of an earlier forecast comes in, the distance of each outer quantile from the median is stretched if it was passed and
shrunk a little if not. What counts is whether the quantile was passed that was told then, stretched as it was then: so
in the long run what is told is passed as often as it should be, however late the truth comes. For each feature and step
ahead there is one stretch of all services and one of each service.

Shapes: `S` origins, `N` services, `F` features, `H` horizon steps, `Q` quantiles, `O` of them that are not the median.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.bands import falls_below, rises_above
from tidecast_predictor.maturing import maturing

_RATE_OF_ALL = 0.05  # faster, the band swings: up to a horizon's length passes before a change shows
_RATE_OF_ONE = 0.05
_WIDEST = 5.0  # of a stretch's logarithm; what is mostly 0 has a median a hair above it, far within a narrow band
_HAIR = 0.03  # of the widest distance; as far from the median a quantile is put at least, so that it can be stretched
_NOTHING = 1e-5  # on the model's scale; what is 0 comes back as a hair of it
_NARROWEST = -1.0  # what stays at one value never passes its band, which would else shrink until rounding decides

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """
    How much farther from the median quantiles are put than they were forecast.

    Attributes:
        levels: Of the Q quantiles, rising around 0.5.
        of_all_FHO: The logarithm of the stretch that all services share.
        of_one_NFHO: And of what each service has of its own.
    """

    levels: tuple[float, ...]
    of_all_FHO: Numbers
    of_one_NFHO: Numbers

    @classmethod
    def none(cls, levels: tuple[float, ...], services: int, features: int, horizon: int) -> "Stretches":
        """Before anything came true."""
        shape = (features, horizon, len(levels) - 1)
        return cls(levels, np.zeros(shape, np.float32), np.zeros((services, *shape), np.float32))

    def of(self, rows_N: NDArray[np.int64]) -> "Stretches":
        """Those of the services at *rows_N*; -1 begins one."""
        return replace(self, of_one_NFHO=np.where(rows_N[:, None, None, None] >= 0, self.of_one_NFHO[rows_N], 0))

    def copy(self) -> "Stretches":
        """One that may `learn` without this one changing."""
        return replace(self, of_all_FHO=self.of_all_FHO.copy(), of_one_NFHO=self.of_one_NFHO.copy())

    def learn(self, ahead: int, told_NFO: Numbers, truth_NF: Numbers) -> None:
        """
        Take in what came true.

        Args:
            ahead: Which of the H steps it is, from 0.
            told_NFO: What `outer` had been told of it, stretched as it was then.
            truth_NF: NaN where missing.
        """
        truth_NF1 = truth_NF[..., None]
        known = np.isfinite(truth_NF1) & np.isfinite(told_NFO)
        passed = np.where(self._side < 0, falls_below(told_NFO, truth_NF1), rises_above(told_NFO, truth_NF1))
        of_all, of_one = self.of_all_FHO[:, ahead], self.of_one_NFHO[:, :, ahead]
        chance = np.array([min(level, 1 - level) for level in self._outer_levels], dtype=np.float32)
        surprise = np.where(known, passed - chance, 0)
        of_all += _RATE_OF_ALL * surprise.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        of_one += _RATE_OF_ONE * surprise
        np.clip(of_all, _NARROWEST, _WIDEST, out=of_all)
        np.clip(of_one, _NARROWEST, _WIDEST, out=of_one)

    def outer(self, quantiles: Numbers) -> Numbers:
        """Of Q quantiles those that are not the median, (..., O)."""
        outer: Numbers = quantiles[..., self._outer]
        return outer

    def applied(self, quantiles_NFHQ: Numbers) -> Numbers:
        """The quantiles stretched, rising along Q; the median as it was."""
        stretched = quantiles_NFHQ.copy()
        median = quantiles_NFHQ[..., self._middle, None]
        factor = np.exp(np.minimum(self.of_all_FHO + self.of_one_NFHO, _WIDEST))
        distances = self._distances(quantiles_NFHQ)
        # Nothing times anything is nothing: of a quantile on the median another one says how much is far.
        away = factor * np.maximum(distances, _HAIR * distances.max(axis=-1, keepdims=True))
        stretched[..., self._outer] = median + self._side * away
        # Stretched one by one, quantiles of one side could pass each other.
        below, above = stretched[..., : self._middle + 1], stretched[..., self._middle :]
        np.minimum.accumulate(below[..., ::-1], axis=-1, out=below[..., ::-1])
        np.maximum.accumulate(above, axis=-1, out=above)
        return stretched

    def _distances(self, quantiles: Numbers) -> Numbers:
        """Of the outer quantiles from the median, none negative, (..., O)."""
        distances: Numbers = (self.outer(quantiles) - quantiles[..., self._middle, None]) * self._side
        return distances

    @property
    def _middle(self) -> int:
        return self.levels.index(0.5)

    @property
    def _outer(self) -> list[int]:
        return [index for index in range(len(self.levels)) if index != self._middle]

    @property
    def _outer_levels(self) -> list[float]:
        return [self.levels[index] for index in self._outer]

    @property
    def _side(self) -> Numbers:
        return np.array([np.sign(level - 0.5) for level in self._outer_levels], dtype=np.float32)


def moved(quantiles: Numbers, by: Numbers, levels: tuple[float, ...]) -> Numbers:
    """
    All quantiles moved as far as the median was: but one below it that is 0 says how likely nothing is, and is not moved up.

    Args:
        quantiles: (..., Q), rising along Q.
        by: (...).
        levels: Q of them, rising around 0.5.
    """
    changed: Numbers = quantiles + by[..., None]
    below = slice(0, levels.index(0.5))
    said = quantiles[..., below]
    changed[..., below] = np.where(np.abs(said) <= _NOTHING, np.minimum(said, changed[..., below]), changed[..., below])
    return changed


def stretch_online(quantiles: Numbers, truth: Numbers, levels: tuple[float, ...], steps: NDArray[np.int64]) -> Numbers:
    """
    Forecasts at rising origins, each corrected by what was known at its origin and by nothing later.

    Args:
        quantiles: On a scale on which errors are comparable, float32 of shape (S, N, F, H, Q), rising along Q.
        truth: What came true, (S, N, F, H); NaN where missing.
        levels: Q of them, rising around 0.5.
        steps: Of the origins, on the grid that H counts on, int64 of shape (S,), rising.

    Returns:
        As *quantiles*; the median as it was.
    """
    stretches = Stretches.none(levels, *quantiles.shape[1:4])
    corrected = np.empty_like(quantiles)
    for now, due in enumerate(maturing(steps, quantiles.shape[3])):
        for origin, ahead in due:
            stretches.learn(ahead, stretches.outer(corrected[origin, :, :, ahead]), truth[origin, :, :, ahead])
        corrected[now] = stretches.applied(quantiles[now])
    return corrected
