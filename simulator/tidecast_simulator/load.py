"""
Load shapes: how many times its usual rate a mesh receives at each moment.

A shape is a function of absolute unix time and of nothing else, so a recording can be continued live and into the
future. Shapes multiply: `Diurnal() * Weekly() * Noise(seed=1)`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tidecast_simulator.randomness import Floats, smooth_noise, stream, uniforms

DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * DAY_SECONDS
# 1970-01-05 00:00 UTC, the first Monday of unix time.
FIRST_MONDAY = 4 * DAY_SECONDS


class Shape(Protocol):
    """Anything that says how strong the load is."""

    def factor(self, times: Floats, entry: str) -> Floats:
        """
        Not negative, around 1 in the long run, of the shape of the times.

        Args:
            times: Unix seconds.
            entry: The key of the service where the load enters: noise differs between entries.
        """


class _Composable:
    """Lets shapes multiply."""

    __slots__ = ()

    def __mul__(self, other: Shape) -> "Product":
        return Product((self, other))  # type: ignore[arg-type]  # each subclass is a Shape


@dataclass(frozen=True, slots=True)
class Product(_Composable):
    """Several shapes at once."""

    shapes: tuple[Shape, ...]

    def factor(self, times: Floats, entry: str) -> Floats:
        """The product of the factors of all shapes."""
        result = np.ones_like(times)
        for shape in self.shapes:
            result = result * shape.factor(times, entry)
        return result


@dataclass(frozen=True, slots=True)
class Constant(_Composable):
    """The same load at all times."""

    level: float = 1.0

    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - the same everywhere
        """The level."""
        return np.full_like(times, self.level)


@dataclass(frozen=True, slots=True)
class Diurnal(_Composable):
    """
    Day and night, with a shoulder in the evening.

    Attributes:
        amplitude: 0 for none; 0.6 swings between 0.4 and 1.6.
        peak_hour: UTC, of the strongest hour.
    """

    amplitude: float = 0.6
    peak_hour: float = 14.0

    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - the same everywhere
        """Its mean over a day is 1."""
        angle = 2 * math.pi * (times / DAY_SECONDS - self.peak_hour / 24)
        wave = 0.8 * np.cos(angle) + 0.2 * np.cos(2 * angle - 1.2)
        return np.asarray(np.maximum(1 + self.amplitude * wave, 0.02))


@dataclass(frozen=True, slots=True)
class Weekly(_Composable):
    """Quieter weekends: `weekend` times the load of a working day, with soft edges of some hours."""

    weekend: float = 0.7

    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - the same everywhere
        """1 on working days."""
        day = np.mod(times - FIRST_MONDAY, WEEK_SECONDS) / DAY_SECONDS
        inside = np.clip((day - 4.9) / 0.2, 0, 1) * np.clip((7.0 - day) / 0.2, 0, 1)
        return np.asarray(1 - (1 - self.weekend) * inside)


@dataclass(frozen=True, slots=True)
class Campaigns(_Composable):
    """
    Rushes at the same hours every day: a newsletter, a lunch break, a show on television.

    Attributes:
        hours: UTC, when each begins.
        height: Of each, times the usual load on top of it.
        duration_seconds: From the start until it is over.
    """

    hours: tuple[float, ...] = (6.5, 11.75, 17.0, 19.5)
    height: float = 0.4
    duration_seconds: float = 4500.0

    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - the same everywhere
        """At least 1."""
        result = np.ones_like(times)
        for hour in self.hours:
            elapsed = np.mod(times - hour * 3600, DAY_SECONDS)
            result = result + self.height * _rush(elapsed / self.duration_seconds)
        return result


@dataclass(frozen=True, slots=True)
class Bursts(_Composable):
    """
    Bursts at random moments: a quick rise, a slow fall.

    Attributes:
        per_day: How many, on average.
        height: The load at the top of an average one, times the usual.
        duration_seconds: From the start until it has mostly passed.
        seed: Other seeds, other moments.
    """

    per_day: float = 1.5
    height: float = 1.5
    duration_seconds: float = 2400.0
    seed: int = 0

    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - a burst hits all entries
        """At least 1."""
        # At most one burst starts in each slot; a slot is long enough for a burst to end within the next one.
        slot_seconds = max(DAY_SECONDS / max(self.per_day * 2, 1e-9), self.duration_seconds)
        probability = min(self.per_day * slot_seconds / DAY_SECONDS, 1.0)
        slot = np.floor(times / slot_seconds).astype(np.int64)
        result = np.ones_like(times)
        for back in (0, 1):
            chosen = slot - back
            happens = uniforms(stream("burst", self.seed), chosen) < probability
            start = (chosen + uniforms(stream("burst start", self.seed), chosen)) * slot_seconds
            strength = 0.5 + uniforms(stream("burst height", self.seed), chosen)
            result = result + np.where(
                happens, (self.height - 1) * strength * _rush((times - start) / self.duration_seconds), 0.0
            )
        return result


@dataclass(frozen=True, slots=True)
class Steps(_Composable):
    """
    Sudden, lasting changes: (unix seconds, factor) pairs, rising in time; 1 before the first.

    Raises:
        ValueError: If the times do not rise or a factor is negative.
    """

    changes: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        times = [time for time, _ in self.changes]
        if times != sorted(times) or any(level < 0 for _, level in self.changes):
            raise ValueError("changes: must rise in time, with factors that are not negative")

    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - the same everywhere
        """The factor of the last change."""
        levels = np.array([1.0, *(level for _, level in self.changes)])
        return np.asarray(levels[np.searchsorted([time for time, _ in self.changes], times, side="right")])


@dataclass(frozen=True, slots=True)
class Noise(_Composable):
    """
    Autocorrelated noise, different at each entry.

    Attributes:
        sigma: Of the logarithm of the load.
        correlation_seconds: Over which it wanders; a third of it is four times quicker.
        seed: Other seeds, other noise.
    """

    sigma: float = 0.09
    correlation_seconds: float = 1200.0
    seed: int = 0

    def factor(self, times: Floats, entry: str) -> Floats:
        """Of mean 1."""
        slow = smooth_noise(stream("slow", self.seed, entry), times, self.correlation_seconds)
        quick = smooth_noise(stream("quick", self.seed, entry), times, self.correlation_seconds / 4)
        return np.asarray(np.exp(self.sigma * (0.8 * slow + 0.6 * quick) - self.sigma**2 / 2))


@dataclass(frozen=True, slots=True)
class Recorded(_Composable):
    """
    A recorded series, repeated for ever.

    Attributes:
        values: Rates or anything proportional to them, finite and not negative; their mean counts as factor 1.
        step_seconds: The time between two of them.
        start_time: The unix time of the first.

    Raises:
        ValueError: If a value does not fit or there are fewer than two.
    """

    values: tuple[float, ...]
    step_seconds: float = 60.0
    start_time: float = 0.0

    def __post_init__(self) -> None:
        array = np.asarray(self.values)
        if array.size < 2 or not np.isfinite(array).all() or (array < 0).any() or not array.mean():
            raise ValueError("values: must be at least two finite numbers, none negative, not all zero")

    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - the same everywhere
        """Between two values, a straight line."""
        array = np.asarray(self.values) / np.mean(self.values)
        position = np.mod((times - self.start_time) / self.step_seconds, array.size)
        left = np.floor(position).astype(np.int64) % array.size
        fraction = position - np.floor(position)
        return np.asarray(array[left] * (1 - fraction) + array[(left + 1) % array.size] * fraction)


@dataclass(frozen=True, slots=True)
class Accelerated(_Composable):
    """Another shape whose days pass `speed` times as fast from `since` (unix seconds) on."""

    shape: Shape
    speed: float
    since: float

    def factor(self, times: Floats, entry: str) -> Floats:
        """The shape's factor at the accelerated time."""
        later = np.maximum(times - self.since, 0.0)
        return self.shape.factor(times + later * (self.speed - 1), entry)


def usual_load(seed: int = 0) -> Shape:
    """Days, weeks, daily campaigns, bursts and noise: what the demo and most tests use."""
    return Product((Diurnal(), Weekly(), Campaigns(), Bursts(seed=seed), Noise(seed=seed)))


def _rush(position: Floats) -> Floats:
    """A quick rise and a slow fall while the position goes from 0 to 1; 0 outside."""
    rise = np.clip(position / 0.2, 0, 1)
    fall = np.clip((1 - position) / 0.8, 0, 1)
    return np.asarray(np.where(position > 0, rise * fall, 0.0))


def read_series(path: Path, *, column: str = "", step_seconds: float = 60.0) -> Recorded:
    """
    A load from a file: one column of a CSV, or one array of an npz.

    Args:
        path: Ends in `.csv` or `.npz`.
        column: Its name; empty for the last column, or the only array.
        step_seconds: The time between two rows.

    Raises:
        ValueError: If the column is not there, or its values do not fit a load.
    """
    values = _npz_values(path, column) if path.suffix == ".npz" else _csv_values(path, column)
    return Recorded(tuple(float(value) for value in values), step_seconds=step_seconds)


def _npz_values(path: Path, column: str) -> Floats:
    with np.load(path, allow_pickle=False) as arrays:
        name = column or arrays.files[0]
        if name not in arrays.files:
            raise ValueError(f"{path}: column {name} is not there; it holds {', '.join(arrays.files)}")
        return np.asarray(arrays[name], dtype=np.float64).reshape(len(arrays[name]), -1)[:, 0]


def _csv_values(path: Path, column: str) -> Floats:
    lines = path.read_text().splitlines()
    header = [name.strip() for name in lines[0].split(",")] if lines else []
    named = any(not _is_number(name) for name in header)
    if column and column not in header:
        raise ValueError(f"{path}: column {column} is not there; it holds {', '.join(header)}")
    position = header.index(column) if column else len(header) - 1
    return _parsed([line.split(",")[position] for line in lines[int(named) :] if line.strip()], path)


def _parsed(texts: Sequence[str], path: Path) -> Floats:
    try:
        return np.array([float(text) for text in texts])
    except ValueError as error:
        raise ValueError(f"{path}: {error}; every row must hold a number") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
