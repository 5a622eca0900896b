"""
From sums to scores: within each series first, then the median over series, then over seeds with their spread.

An error in units says little beside another unit. So each series' error is also taken relative to that of the last value
in the same series, which is what ranks and means over features are made of.

Shapes: `N` services, `K` targets, `R` reaches, `M` methods, `H` horizon steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.evaluation.datasets import Dataset
from tidecast_predictor.evaluation.runs import Ground, Run
from tidecast_predictor.evaluation.scoring import Errors, Numbers, Truths
from tidecast_predictor.evaluation.splits import Split

MINIMUM_MOMENTS = 20
"""With fewer moments that count, or a truth that never changes, a series has no score."""

MEASURES = ("mae", "rmse")
LAST_VALUE = "last-value"
_FLAT = 1e-6  # of the largest value; less is a truth that does not change


@dataclass(frozen=True, slots=True)
class Reach:
    """
    The steps a score is about.

    Attributes:
        offset: The last of them, counted from the origin.
        cumulative: Whether all steps from the first one are meant.
    """

    offset: int
    cumulative: bool

    @property
    def label(self) -> str:
        """For tables and files."""
        return f"1..{self.offset}" if self.cumulative else f"{self.offset}"

    @property
    def steps(self) -> slice:
        """Along H."""
        return slice(0 if self.cumulative else self.offset - 1, self.offset)


def reaches_of(offsets: Sequence[int]) -> tuple[Reach, ...]:
    """Each offset alone, then all steps up to each beyond the first."""
    return (*(Reach(each, False) for each in offsets), *(Reach(each, True) for each in offsets if each > 1))


@dataclass(frozen=True, slots=True, eq=False)
class PartScores:
    """
    A method's scores in one part of a recording. float64 (N, K, R), NaN where a series has no score.

    Attributes:
        mae: Of the median.
        rmse: Of the mean.
        r2: Of the mean, against the series' own mean over the same moments.
        crps: Approximated from the quantiles; for a method without them its MAE; NaN where it has them elsewhere only.
        wql: Weighted quantile loss: the same over the mean absolute truth.
        coverage: Share of truths from p10 to p90, over all series that have a score, (K, R); NaN without quantiles.
        pooled_mae: Over all moments of those series, in units, (K, R).
        pooled_rmse: The same, as papers report it.
    """

    mae: Numbers
    rmse: Numbers
    r2: Numbers
    crps: Numbers
    wql: Numbers
    coverage: Numbers
    pooled_mae: Numbers
    pooled_rmse: Numbers

    @classmethod
    def of(cls, errors: Errors, ground: Ground, reaches: Sequence[Reach]) -> "PartScores":
        """Of the sums of a run."""
        scored, count = scored_series(ground.truths, reaches), _over(ground.truths.count, reaches)
        size, total = _over(ground.truths.size, reaches), _over(ground.truths.total, reaches)
        absolute, square = _over(errors.absolute, reaches), _over(errors.square, reaches)
        quantile, covered = _over(errors.quantile, reaches), _over(errors.covered, reaches)
        with np.errstate(divide="ignore", invalid="ignore"):
            variation = _over(ground.truths.square, reaches) - total**2 / count
            kept = [
                np.where(scored, each, np.nan)
                for each in (
                    absolute / count,
                    np.sqrt(square / count),
                    1 - square / variation,
                    quantile / count,
                    quantile / size,
                )
            ]
            moments = np.where(scored, count, 0).sum(axis=0)
            pooled = [np.where(scored, each, 0).sum(axis=0) / moments for each in (covered, absolute, square)]
        mae, rmse, r2, crps, wql = kept
        return cls(mae, rmse, r2, crps, wql, pooled[0], pooled[1], np.sqrt(pooled[2]))


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """
    One run's scores.

    Attributes:
        test: In the test part.
        validation: In the validation part.
        filled: Moments that counted and had no answer.
        fit_seconds: Wall time of learning.
        forecast_seconds: Wall time of answering.
    """

    test: PartScores
    validation: PartScores
    filled: int
    fit_seconds: float
    forecast_seconds: float

    @classmethod
    def of(cls, run: Run, grounds: tuple[Ground, Ground], features: int, reaches: Sequence[Reach]) -> "Scores":
        """Of a run."""
        test, validation = (
            PartScores.of(errors, ground, reaches)
            for errors, ground in zip((run.test, run.validation), grounds, strict=True)
        )
        return cls(test, validation, int(run.test.filled[:, :features].sum()), run.fit_seconds, run.forecast_seconds)


def scored_series(truths: Truths, reaches: Sequence[Reach]) -> NDArray[np.bool_]:
    """Which series have a score, (N, K, R): enough moments, and a truth that changes."""
    low = np.stack([truths.low[..., reach.steps].min(axis=-1) for reach in reaches], axis=-1)
    high = np.stack([truths.high[..., reach.steps].max(axis=-1) for reach in reaches], axis=-1)
    enough = _over(truths.count, reaches) >= MINIMUM_MOMENTS
    largest = np.maximum(np.abs(low), np.abs(high))
    changes: NDArray[np.bool_] = enough & (high - low > _FLAT * np.where(np.isfinite(largest), largest, 0))
    return changes


def _over(sums: Numbers, reaches: Sequence[Reach]) -> Numbers:
    """(N, K, R)"""
    return np.stack([sums[..., reach.steps].sum(axis=-1) for reach in reaches], axis=-1)


def relative(errors: Numbers, to: Numbers) -> Numbers:
    """One error in units of another, series by series; NaN where the other has none at all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Numbers = np.where(to > 0, errors / to, np.nan)
    return ratio


def median_over_series(values: Numbers) -> Numbers:
    """(K, R) of (N, K, R); NaN where no series has a value."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(axis=0)
    low, high = (np.maximum(count - 1, 0) // 2)[None], (count // 2)[None].clip(max=len(values) - 1)
    both = (np.take_along_axis(ordered, low, axis=0) + np.take_along_axis(ordered, high, axis=0)) / 2
    middle: Numbers = np.where(count > 0, both[0], np.nan)
    return middle


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """
    The simple method that skill is measured against, for each target and reach, as validation chose it.

    Attributes:
        names: Of the simple methods.
        best: Position in `names` by measure, int64 of shape (K, R).
    """

    names: tuple[str, ...]
    best: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, simple: Mapping[str, Scores]) -> "References":
        """The best in validation; where that has no score, the last value."""
        best = {}
        last = simple[LAST_VALUE].validation
        names = tuple(simple)
        for measure in MEASURES:
            against = getattr(last, measure)
            errors = np.stack(
                [median_over_series(relative(getattr(simple[name].validation, measure), against)) for name in names]
            )
            choice = np.where(np.isfinite(errors), errors, np.inf).argmin(axis=0)
            best[measure] = np.where(np.isfinite(errors).any(axis=0), choice, names.index(LAST_VALUE))
        return cls(names, best)

    def errors(self, simple: Mapping[str, Scores], measure: str) -> Numbers:
        """What the chosen ones have in the test, (N, K, R)."""
        of_all = np.stack([getattr(simple[name].test, measure) for name in self.names])
        chosen: Numbers = np.take_along_axis(of_all, self.best[measure][None, None], axis=0)[0]
        return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """
    All methods on one recording.

    Attributes:
        values: By method and name of a score, of shape (seeds, K, R). Names: mae, rmse, r2, wql, coverage, pooled_mae,
            pooled_rmse, relative_mae, relative_rmse, relative_crps, skill_mae, skill_rmse, validation_mae,
            validation_rmse (relative ones, in the validation part).
        references: By measure the method that skill is against, (K, R) names.
        series: How many series have a score, (K, R).
        left_out: How many have none though some truth is known, (K, R).
    """

    values: Mapping[str, Mapping[str, Numbers]]
    references: Mapping[str, list[list[str]]]
    series: NDArray[np.int64]
    left_out: NDArray[np.int64]

    @classmethod
    def of(
        cls, scores: Mapping[str, Sequence[Scores]], simple: Sequence[str], ground: Ground, reaches: Sequence[Reach]
    ) -> "Comparison":
        """Of the scores of every method, a list over seeds, the simple ones among them."""
        one_of = {name: scores[name][0] for name in simple if name in scores}
        references = References.of(one_of)
        values = {
            name: _stacked([_summary(each, one_of, references) for each in of_seeds])
            for name, of_seeds in scores.items()
        }
        scored = scored_series(ground.truths, reaches)
        known = _over(ground.truths.count, reaches) > 0
        named = {
            measure: [[references.names[place] for place in row] for row in places.tolist()]
            for measure, places in references.best.items()
        }
        return cls(values, named, scored.sum(axis=0), (known & ~scored).sum(axis=0))


def _summary(scores: Scores, simple: Mapping[str, Scores], references: References) -> dict[str, Numbers]:
    test, last = scores.test, simple[LAST_VALUE]
    found = {name: median_over_series(getattr(test, name)) for name in ("mae", "rmse", "r2", "wql")}
    found |= {name: getattr(test, name) for name in ("coverage", "pooled_mae", "pooled_rmse")}
    found["relative_crps"] = median_over_series(relative(test.crps, last.test.mae))
    for measure in MEASURES:
        own, best = getattr(test, measure), references.errors(simple, measure)
        found[f"relative_{measure}"] = median_over_series(relative(own, getattr(last.test, measure)))
        found[f"skill_{measure}"] = 1 - median_over_series(relative(own, best))
        before = relative(getattr(scores.validation, measure), getattr(last.validation, measure))
        found[f"validation_{measure}"] = median_over_series(before)
    return found


def _stacked(seeds: Sequence[Mapping[str, Numbers]]) -> dict[str, Numbers]:
    return {name: np.stack([each[name] for each in seeds]) for name in seeds[0]}


@dataclass(slots=True, eq=False)
class Outcome:
    """
    What came of one recording.

    Attributes:
        dataset: The recording.
        split: How it was parted.
        ground: What is compared in its test part.
        simple: The methods that skill is measured against.
        reaches: The steps that scores are about.
        scores: By method, over seeds.
        failures: By method, why it has no scores.
    """

    dataset: Dataset
    split: Split
    ground: Ground
    simple: tuple[str, ...]
    reaches: tuple[Reach, ...]
    scores: dict[str, list[Scores]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def compared(self) -> Comparison:
        """All methods against each other."""
        return Comparison.of(self.scores, self.simple, self.ground, self.reaches)
