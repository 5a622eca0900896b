"""
Compares answers with what came true, at the same moments for every method, and keeps sums for each series alone.

Everything is kept by series, target and step, so that scores at single steps and over several come from the same sums.
A target is a feature; latencies are targets once more on log1p, as a few slow requests would else decide alone.

Shapes: `S` origins, `N` services, `F` features, `H` horizon steps, `Q` quantiles, `K` targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.bands import falls_below, rises_above
from tidecast_predictor.baselines.method import QUANTILES, Answer, Series

Numbers = NDArray[np.float64]
Kind = TypeVar("Kind", bound=np.generic)

LOG = ":log1p"
_LATENCY = "_ms"
_CHUNK_NUMBERS = 12_000_000  # (S, N, F, H) of them are answered at a time, which bounds the memory


def targets(features: Sequence[str]) -> tuple[str, ...]:
    """What is scored: every feature, then every latency once more, on log1p."""
    return (*features, *(f"{features[place]}{LOG}" for place in latencies(features)))


def latencies(features: Sequence[str]) -> list[int]:
    """The places of features in milliseconds."""
    return [place for place, name in enumerate(features) if name.endswith(_LATENCY)]


def chunks(origins: NDArray[np.int64], series: Series, horizon: int) -> Iterator[slice]:
    """Parts of *origins* small enough to be answered in bounded memory."""
    size = max(1, _CHUNK_NUMBERS // (series.values[0].size * horizon))
    return (slice(begin, min(begin + size, len(origins))) for begin in range(0, len(origins), size))


def truth_at(series: Series, origins: NDArray[np.int64], horizon: int) -> NDArray[np.float32]:
    """What came true after each origin, (S, N, F, H); NaN where nothing was measured."""
    steps = origins[:, None] + np.arange(1, horizon + 1)
    return np.ascontiguousarray(np.moveaxis(series.values[steps], 1, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """
    Which moments count, the same for every method: those whose truth is known and that every simple method can answer.

    Attributes:
        bits: Packed, uint8 of shape (S, ceil(N F H / 8)).
        shape: N, F and H.
        known: How many truths are known, whether they count or not.
    """

    bits: NDArray[np.uint8]
    shape: tuple[int, int, int]
    known: int

    @classmethod
    def of(cls, counted: Sequence[NDArray[np.bool_]], known: int) -> Self:
        """From parts of shape (S, N, F, H) in their order."""
        packed = [np.packbits(part.reshape(len(part), -1), axis=1) for part in counted]
        return cls(np.concatenate(packed), counted[0].shape[1:], known)

    def at(self, part: slice) -> NDArray[np.bool_]:
        """Those of some origins, (S, N, F, H)."""
        count = int(np.prod(self.shape))
        flat = np.unpackbits(self.bits[part], axis=1, count=count).astype(bool)
        return flat.reshape(-1, *self.shape)

    @property
    def count(self) -> int:
        """How many moments count."""
        return int(np.bitwise_count(self.bits).sum())


@dataclass(slots=True, eq=False)
class Truths:
    """
    What came true, summed over the origins that count. All float64 of shape (N, K, H).

    Attributes:
        count: Moments.
        total: Of the truths less `centre`, so that the variance loses no digits.
        square: The same squared.
        size: Of the absolute truths.
        low: The lowest truth; infinite where none counts.
        high: The highest truth; minus infinite where none counts.
    """

    count: Numbers
    total: Numbers
    square: Numbers
    size: Numbers
    low: Numbers
    high: Numbers

    @classmethod
    def nothing(cls, series: Series, horizon: int) -> Self:
        """Before any origin."""
        count, total, square, size = _zeros(4, series, horizon)
        return cls(count, total, square, size, np.full(count.shape, np.inf), np.full(count.shape, -np.inf))

    def add(self, truth: NDArray[np.float32], counted: NDArray[np.bool_], centre: Numbers) -> None:
        """Take in truths and moments, (S, K...) as `expanded` gives them; *centre* is (N, K)."""
        around = np.where(counted, truth - centre[..., None], 0)
        self.count += counted.sum(axis=0)
        self.total += around.sum(axis=0)
        self.square += np.square(around).sum(axis=0)
        self.size += np.where(counted, np.abs(truth), 0).sum(axis=0, dtype=np.float64)
        self.low = np.minimum(self.low, np.where(counted, truth, np.inf).min(axis=0))
        self.high = np.maximum(self.high, np.where(counted, truth, -np.inf).max(axis=0))


@dataclass(slots=True, eq=False)
class Errors:
    """
    How far a method was off, summed over the origins that count. All float64 of shape (N, K, H).

    Attributes:
        absolute: Of the median.
        square: Of the mean; on log1p of the median, as the logarithm of a mean is no mean of logarithms.
        quantile: Twice the pinball loss, mean over `QUANTILES`: an approximation of the CRPS. A method without
            quantiles says its median for each of them, which makes this its absolute error.
        covered: Truths from p10 to p90, rounding included; NaN for a method without quantiles.
        filled: Moments at which the method had no answer, and the last value stood in.
    """

    absolute: Numbers
    square: Numbers
    quantile: Numbers
    covered: Numbers
    filled: Numbers

    @classmethod
    def nothing(cls, series: Series, horizon: int) -> Self:
        """Before any origin."""
        return cls(*_zeros(5, series, horizon))

    def add(
        self,
        answer: Answer,
        truth: NDArray[np.float32],
        counted: NDArray[np.bool_],
        fallback: NDArray[np.float32],
        features: Sequence[str],
    ) -> None:
        """
        Take in an answer.

        Args:
            answer: Of the method.
            truth: As `truth_at` gives it.
            counted: The moments that count, (S, N, F, H).
            fallback: What stands in for an answer that is missing or infinite, (S, N, F, H).
            features: Names of the F features.
        """
        mean, quantiles = answer.mean, answer.quantiles
        sound = np.isfinite(mean) if quantiles is None else np.isfinite(mean) & np.isfinite(quantiles).all(axis=-1)
        mean = np.where(sound, mean, fallback)
        if quantiles is not None:
            quantiles = np.where(sound[..., None], quantiles, fallback[..., None])
        median = mean if quantiles is None else quantiles[..., QUANTILES.index(0.5)]
        places = latencies(features)
        truths, counts = expanded(truth, features), repeated(counted, features)
        means = _with(mean, _log(median[:, :, places]))
        medians = expanded(median, features)
        self.filled += (counts & ~repeated(sound, features)).sum(axis=0)
        off = np.where(counts, truths - medians, 0)
        self.absolute += np.abs(off).sum(axis=0, dtype=np.float64)
        self.square += np.square(np.where(counts, truths - means, 0), dtype=np.float64).sum(axis=0)
        if quantiles is None:
            self.quantile += np.abs(off).sum(axis=0, dtype=np.float64)
            self.covered += np.nan
            return
        for place, share in enumerate(QUANTILES):
            below = np.where(counts, truths - expanded(quantiles[..., place], features), 0)
            loss = np.maximum(share * below, (share - 1) * below)
            self.quantile += 2 / len(QUANTILES) * loss.sum(axis=0, dtype=np.float64)
        low, high = (expanded(quantiles[..., place], features) for place in (0, -1))
        self.covered += (counts & ~falls_below(low, truths) & ~rises_above(high, truths)).sum(axis=0)


def expanded(values: NDArray[np.float32], features: Sequence[str]) -> NDArray[np.float32]:
    """From features, (S, N, F, ...), to targets, (S, N, K, ...)."""
    return _with(values, _log(values[:, :, latencies(features)]))


def repeated(counted: NDArray[np.bool_], features: Sequence[str]) -> NDArray[np.bool_]:
    """The same for moments: those of a latency on log1p are those of the latency."""
    return _with(counted, counted[:, :, latencies(features)])


def centres(series: Series) -> Numbers:
    """Of each series and target, (N, K): a number near its values, for exact sums."""
    values = expanded(series.values, series.features)
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    centre: Numbers = total / np.maximum(known.sum(axis=0), 1)
    return centre


def arrays_of(sums: Truths | Errors, prefix: str) -> dict[str, Numbers]:
    """By name, for a file."""
    return {f"{prefix}.{field.name}": getattr(sums, field.name) for field in fields(sums)}


def _with(values: NDArray[Kind], more: NDArray[Kind]) -> NDArray[Kind]:
    return np.concatenate([values, more], axis=2)


def _log(values: NDArray[np.float32]) -> NDArray[np.float32]:
    logarithm: NDArray[np.float32] = np.log1p(np.maximum(values, 0))
    return logarithm


def _zeros(count: int, series: Series, horizon: int) -> list[Numbers]:
    shape = (len(series.services), len(targets(series.features)), horizon)
    return [np.zeros(shape) for _ in range(count)]
