"""
All recordings together: who is best how often, and what is left of the errors in the mean.

A cell is a feature of a recording at one offset. Latencies on log1p and means over several steps are shown, and count
no second time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.evaluation.scoring import Numbers
from tidecast_predictor.evaluation.summaries import MEASURES, Comparison, Outcome

_OF_BANDS = "relative_crps"


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over seeds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seeds: Sequence[float] | Numbers) -> "Spread":
        """NaN if there is none."""
        known = np.asarray(seeds, dtype=float)
        known = known[np.isfinite(known)]
        if not known.size:
            return cls(float("nan"), float("nan"), float("nan"))
        return cls(float(np.median(known)), float(known.min()), float(known.max()))


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A recording's outcome with the comparison made of it."""

    outcome: Outcome
    comparison: Comparison

    @property
    def name(self) -> str:
        """Of the recording."""
        return self.outcome.dataset.name

    @property
    def cells(self) -> tuple[int, int]:
        """How many targets and reaches count: features, and offsets alone."""
        alone = sum(not reach.cumulative for reach in self.outcome.reaches)
        return len(self.outcome.dataset.series.features), alone

    def mean(self, method: str, score: str, reach: int | None = None) -> Spread:
        """
        Over cells, or over features at one reach; seed by seed.

        None for the CRPS of a method that has an error in one of them and no band: fewer cells are another mean.
        """
        features, alone = self.cells
        places = slice(alone) if reach is None else slice(reach, reach + 1)

        def of_seeds(name: str) -> Numbers:
            return self.comparison.values[method][name][:, :features, places]

        values = of_seeds(score)
        if score == _OF_BANDS:
            lacking = np.isfinite(of_seeds("relative_mae")) & np.isnan(values)
            values = np.where(lacking.any(axis=(1, 2), keepdims=True), np.nan, values)
        return Spread.of([_mean(seed) for seed in values])


def mean_ranks(recordings: Sequence[Compared], methods: Sequence[str]) -> dict[str, dict[str, float]]:
    """
    By measure and method, over all cells; 1 is best, equal ones share.

    Where a method has no score in a cell that others have one in, it is last there: not to answer must not pay.
    """
    return {measure: _mean_rank(recordings, methods, measure) for measure in MEASURES}


def cells_of(recordings: Sequence[Compared]) -> int:
    """How many cells there are in which anything is scored."""
    return sum(int((each.comparison.series[: each.cells[0], : each.cells[1]] > 0).sum()) for each in recordings)


def _mean_rank(recordings: Sequence[Compared], methods: Sequence[str], measure: str) -> dict[str, float]:
    collected = []
    for each in recordings:
        features, alone = each.cells
        errors = np.full((len(methods), features, alone), np.inf)
        for place, method in enumerate(methods):
            if method in each.comparison.values:
                over_seeds = each.comparison.values[method][f"relative_{measure}"][:, :features, :alone]
                errors[place] = np.median(over_seeds, axis=0)
        flat = np.where(np.isfinite(errors), errors, np.inf).reshape(len(methods), -1)
        collected.append(flat[:, np.isfinite(flat).any(axis=0)])
    ranks = _ranks(np.concatenate(collected, axis=1))
    return {method: _mean(ranks[place]) for place, method in enumerate(methods)}


def _ranks(errors: Numbers) -> Numbers:
    """Along the first axis, from 1; equal ones get the mean of their places."""
    below = (errors[None] < errors[:, None]).sum(axis=1)
    same = (errors[None] == errors[:, None]).sum(axis=1)
    ranks: Numbers = below + (same + 1) / 2
    return ranks


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def by_rank(ranks: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The methods, best first by the mean of their ranks."""
    names = list(next(iter(ranks.values())))
    return sorted(names, key=lambda name: sum(of[name] if np.isfinite(of[name]) else 1e9 for of in ranks.values()))
