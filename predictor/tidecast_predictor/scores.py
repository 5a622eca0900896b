"""
How good forecasts are, on what came true. Every score is taken within a series before it is averaged over series:
pooled over services of different size, a constant for each service scores 0.995 in R2.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_contract.bands import falls_below, rises_above
from tidecast_contract.forecast import ModelKind
from tidecast_predictor.config import DAY_SECONDS

NECESSARY_GAIN = 0.01
"""A model that is better by less than this share has not shown that it is better."""

NECESSARY_CONFIDENCE = 2.0
"""In standard errors; chosen among several states on the same moments, a model is ahead by one of them by chance."""

_PARTS = 8
_FEWEST = 50  # errors that a correction of a quantile is taken from


@dataclass(frozen=True, slots=True)
class Scores:
    """
    Mean absolute errors in units of each series' own change, over features, services and steps ahead.

    Attributes:
        error: Of the model.
        naive_errors: Of each naive method.
        errors_by_feature: Of the model, for each feature that could be scored.
        naive_errors_by_feature: Of the better naive method of each feature.
        coverage: The share of what came true between the outer quantiles.
        seconds: How long a time the scored moments span.
        origins: How many moments were scored.
        confidence: How far the model is ahead of the naive method that comes closest, in standard errors of that lead.
    """

    error: float
    naive_errors: dict[ModelKind, float]
    errors_by_feature: dict[str, float]
    naive_errors_by_feature: dict[str, float]
    coverage: float
    seconds: int
    origins: int
    confidence: float

    @property
    def best_naive(self) -> ModelKind:
        """The naive method with the smallest error."""
        return min(self.naive_errors, key=lambda kind: self.naive_errors[kind])

    @property
    def naive_error(self) -> float:
        """The smallest error of a naive method."""
        return self.naive_errors[self.best_naive]

    @property
    def is_better(self) -> bool:
        """Whether the model beats every naive method by enough to be believed."""
        ahead = self.error < (1 - NECESSARY_GAIN) * self.naive_error
        return ahead and self.confidence > NECESSARY_CONFIDENCE

    def describe(self) -> str:
        """The comparison in words."""
        span = self.seconds / DAY_SECONDS
        when = f"{span:.1f} days" if span >= 1 else f"{24 * span:.1f} hours"
        if not self.naive_error > 0 or not np.isfinite(self.error):
            return f"GCN-GRU cannot be compared with LastValue: nothing moved in the last {when} of history"
        parts = [
            f"{abs(1 - self.error / error):.0%} {'smaller' if self.error < error else 'larger'} than {kind}'s"
            for kind, error in self.naive_errors.items()
        ]
        told = f"GCN-GRU's error is {' and '.join(parts)} on the last {when} of history, which it was not trained on"
        unsure = self.error < self.naive_error and not self.is_better
        return f"{told}, which may be chance" if unsure else told


def pinball(forecast: Tensor, truth: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """
    The mean quantile loss over what was measured.

    Args:
        forecast: Of shape (..., Q).
        truth: Of shape (...); NaN where missing.
        quantiles: Q of them.
    """
    known = torch.isfinite(truth)
    error = truth.nan_to_num(0.0)[..., None] - forecast
    level = torch.tensor(quantiles, device=forecast.device)
    loss = torch.maximum(level * error, (level - 1) * error).mean(-1)
    return (loss * known).sum() / known.sum().clamp(min=1)


def scaled_error(
    forecast: NDArray[np.float32], truth: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """
    The mean absolute error of every series and step ahead, in units of each series' own scale.

    Args:
        forecast: Of shape (S, N, F, H), S origins.
        truth: The same; NaN where missing.
        scale: Of shape (N, F); NaN or 0 leaves a series out.

    Returns:
        float32 of shape (N, F, H); NaN where nothing can be said.
    """
    error = np.abs(forecast - truth)
    count = np.isfinite(error).sum(axis=0)
    usable = (count > 0) & (scale > 0)[..., None]
    mean = np.nansum(error, axis=0) / np.maximum(count, 1)
    return np.where(usable, mean / np.where(scale > 0, scale, 1)[..., None], np.nan).astype(np.float32)


def lead(
    forecast: NDArray[np.float32],
    other: NDArray[np.float32],
    truth: NDArray[np.float32],
    scale: NDArray[np.float32],
    *,
    horizons: float,
) -> float:
    """
    How far a forecast is ahead of another one, in standard errors; 0 when it cannot be told.

    Moments near each other err alike, so stretches of time are compared and not single moments. Stretches shorter than
    a horizon share what came true and count for less.

    Args:
        forecast: As of `scaled_error`, like all but the last.
        other: The other forecast.
        truth: What came true.
        scale: Of each series.
        horizons: How many horizons fit into the time from the first moment to the last.
    """
    unit = np.where(scale > 0, scale, np.nan)[..., None]
    of_other, own = (np.abs(said - truth) / unit for said in (other, forecast))
    known, stretches = np.isfinite(of_other) & np.isfinite(own), min(_PARTS, len(own))
    parts = [
        (theirs[there].mean(), ours[there].mean())
        for theirs, ours, there in zip(*(np.array_split(x, stretches) for x in (of_other, own, known)), strict=True)
        if there.any()
    ]
    # Shares of the error there is: a quiet night is no evidence against a model that is ahead by day. Of the errors of
    # both: a stretch in which the other happens to be right counts no more than one in which the forecast does.
    means = np.array([(theirs - ours) / (theirs + ours) for theirs, ours in parts if theirs + ours > 0])
    if len(means) < _PARTS // 2:
        return 0.0
    error = means.std(ddof=1) / np.sqrt(np.clip(horizons, 1, len(means)))
    return float(means.mean() / max(error, 1e-9))


def series_scale(values: NDArray[np.float32], lag: int) -> NDArray[np.float32]:
    """
    What a step-ahead error is measured against: the mean absolute change of each series over *lag* steps.

    A change smaller than a thousandth of the level is no change: the series is left out, as 0.

    Args:
        values: In units, float32 of shape (T, N, F); NaN where missing.
        lag: In steps.
    """
    change = np.abs(values[lag:] - values[:-lag])
    count = np.isfinite(change).sum(axis=0)
    mean = np.nansum(change, axis=0) / np.maximum(count, 1)
    level = np.nansum(np.abs(values), axis=0) / np.maximum(np.isfinite(values).sum(axis=0), 1)
    return np.where((count > 0) & (mean > 1e-3 * level), mean, 0).astype(np.float32)


def spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    The standard deviation of each series, what errors in units are compared by.

    Args:
        values: In units, float32 of shape (T, N, F); NaN where missing.

    Returns:
        float32 of shape (N, F); at least a thousandth of the level, 1 where nothing was ever measured.
    """
    spreads = np.ones(values.shape[1:], dtype=np.float32)
    for column in range(values.shape[1]):  # one service at a time: a recording fills the memory once, not three times
        series = values[:, column].astype(np.float64)
        count = np.isfinite(series).sum(axis=0)
        mean = np.nansum(series, axis=0) / np.maximum(count, 1)
        deviation = np.sqrt(np.nansum((series - mean) ** 2, axis=0) / np.maximum(count, 1))
        lowest = np.maximum(1e-3 * np.abs(mean), 1e-6)
        spreads[column] = np.where(count > 0, np.maximum(deviation, lowest), 1)
    return spreads


def coverage(low: NDArray[np.float32], high: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """The share of what came true between *low* and *high*, both and rounding included; NaN if nothing did."""
    known = np.isfinite(truth) & np.isfinite(low)
    inside = ~falls_below(low, truth) & ~rises_above(high, truth)
    return float(inside[known].mean()) if known.any() else float("nan")


def stretch(spread: NDArray[np.float32], error: NDArray[np.float32], level: float) -> float:
    """
    By how much distances from the median must be multiplied so that a share *level* of the errors lies within.

    The conformal correction of a quantile, in relative form: wide bands are corrected by more than narrow ones.

    Args:
        spread: Distances of the quantile from the median, positive.
        error: What came true, as a distance from the median towards the quantile; NaN where missing.
        level: In (0, 1).
    """
    ratio = error / np.maximum(spread, 1e-6)
    ratio = ratio[np.isfinite(ratio)]
    if ratio.size < _FEWEST:
        return 1.0
    return float(np.clip(np.quantile(ratio, level), 0.2, 5.0))
