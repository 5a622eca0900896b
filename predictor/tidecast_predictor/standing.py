"""
What mostly stays exactly what it is, as memory, held gauges, errors that are nearly always zero.

The median of what is exactly the newest value with a chance of more than one half is the newest value, however near all
other forecasts come. How often it was is counted for each series and step ahead, at the moments at which the network said
something else. Two kinds of moments are told apart: at its usual level a series may stay for long, and come back from
elsewhere at once. And the newest value must have been no worse than the network in them: what idles until a job begins is
idle at most moments, and a network that foresees the job is right.

Shapes: `N` services, `F` features, `H` horizon steps, `E` forecasts: the network's, the newest value, the mean of the newest,
the usual level. `2` is for moments away from the usual level, and at it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NETWORK, NEWEST, USUAL = 0, 1, 3
"""Along E."""

_MOSTLY = 0.5  # of the moments

_HEEDED = 0.03
"""How much the last moment counts: of a newcomer 23 have to be like that, an hour and a half of minutes as it is served."""

_KEPT = 0.99  # of how much worse the newest value was, when the next moment comes
_ROUNDING = 1e-6  # of the value

Numbers = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """
    How often series stayed what they were of late.

    Attributes:
        shares_2NFH: Of the moments at which the newest value was still there, faded, from 0 at the beginning.
        worse_2NFH: By how much the newest value was farther off than the network at these moments, a sum, faded.
    """

    shares_2NFH: Numbers
    worse_2NFH: Numbers

    @classmethod
    def none(cls, services: int, features: int, horizon: int) -> "Standing":
        """Before anything came true."""
        shape = (2, services, features, horizon)
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def of(self, rows_N: NDArray[np.int64]) -> "Standing":
        """That of the services at *rows_N*; -1 begins one."""
        new = (rows_N < 0)[:, None, None]
        return Standing(
            *(np.where(new, np.float32(0), part[:, rows_N]) for part in (self.shares_2NFH, self.worse_2NFH))
        )

    def put(self, rows_M: NDArray[np.int64], other: "Standing") -> None:
        """What *other* holds, of M services, takes the place of what was held at *rows_M*."""
        self.shares_2NFH[:, rows_M] = other.shares_2NFH
        self.worse_2NFH[:, rows_M] = other.worse_2NFH

    def copy(self) -> "Standing":
        """One that may `learn` without this one changing."""
        return Standing(self.shares_2NFH.copy(), self.worse_2NFH.copy())

    def learn(self, ahead: int, said_NFE: Numbers, truth_NF: Numbers) -> None:
        """
        Take in what came true.

        Args:
            ahead: Which of the H steps it is, from 0.
            said_NFE: What had been forecast for it; the network's word where another is not known.
            truth_NF: NaN where missing.
        """
        network_NF, newest_NF = said_NFE[..., NETWORK], said_NFE[..., NEWEST]
        counts_NF = np.isfinite(truth_NF) & (newest_NF != network_NF)
        stayed_NF = _is_same(newest_NF, truth_NF)
        worse_NF = np.abs(newest_NF - truth_NF) - np.abs(network_NF - truth_NF)
        parts = zip(self.shares_2NFH, self.worse_2NFH, _kinds(said_NFE), strict=True)
        for shares_NFH, sums_NFH, is_kind_NF in parts:
            at = counts_NF & is_kind_NF
            shares_NF, sums_NF = shares_NFH[:, :, ahead], sums_NFH[:, :, ahead]
            shares_NF[at] += _HEEDED * (stayed_NF[at] - shares_NF[at])
            sums_NF[at] = _KEPT * sums_NF[at] + worse_NF[at]

    def stays(self, said_NFHE: Numbers) -> Flags:
        """Where the newest value is the median, (N, F, H)."""
        away_NFH, at_usual_NFH = (self.shares_2NFH > _MOSTLY) & (self.worse_2NFH <= 0)
        is_away_NFH, is_usual_NFH = _kinds(said_NFHE)
        stays_NFH: Flags = (away_NFH & is_away_NFH) | (at_usual_NFH & is_usual_NFH)
        return stays_NFH


def _kinds(said: Numbers) -> tuple[Flags, Flags]:
    """Where the newest value is not the usual level, and where it is."""
    is_usual = _is_same(said[..., NEWEST], said[..., USUAL])
    return ~is_usual, is_usual


def _is_same(one: Numbers, other: Numbers) -> Flags:
    """Where two are one but for rounding; False where either is NaN."""
    same: Flags = np.abs(one - other) <= _ROUNDING * np.abs(one)
    return same
