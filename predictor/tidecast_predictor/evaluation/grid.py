"""
Lays a recording out as the GCN-GRU's own: steps at even distances, segments so far apart that no window sees two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series
from tidecast_predictor.config import DAY_SECONDS
from tidecast_predictor.recording import Recording
from tidecast_predictor.scaling import Scale, to_model

_RESOLUTION = 0.02  # of what is usual; below it a log turns linear
_SHARES = ("rate", "ratio", "share", "fraction")  # an error so named is a share; one that is counted has no upper end


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """
    Where each step of a series lies on an even grid.

    Attributes:
        positions: int64 of shape (T,), rising from 0.
        steps: The length of the grid.
    """

    positions: NDArray[np.int64]
    steps: int


def lay_out(series: Series, apart: int) -> Layout:
    """
    Distances within a segment are those of the clock; between two segments at least *apart* steps.

    A longer pause is shortened by whole days, so that the time of day stays what it was; a shorter one is made longer by
    them, unless all of it was within a day, of which nobody can learn what a time of day is like.
    """
    if not len(series.times):
        return Layout(np.zeros(0, np.int64), 0)
    passed = np.maximum(np.round(np.diff(series.times) / series.step_seconds), 1).astype(np.int64)
    day = max(1, round(DAY_SECONDS / series.step_seconds))
    by_days = apart + (passed - apart) % day
    is_within_a_day = series.times[-1] - series.times[0] < DAY_SECONDS
    pauses = np.maximum(passed, apart) if is_within_a_day else by_days
    distances = np.where(np.diff(series.segments) != 0, pauses, passed)
    positions = np.concatenate([[0], np.cumsum(distances)])
    return Layout(positions, int(positions[-1]) + 1)


def scales_for(series: Series, training_steps: int) -> tuple[Scale, ...]:
    """How each feature's unit becomes the model's scale, by its name and by what is usual in the training part."""
    return tuple(_scale(name, series.values[:training_steps, :, index]) for index, name in enumerate(series.features))


def recorded_on(series: Series, layout: Layout, scales: tuple[Scale, ...]) -> Recording:
    """The recording of *series* on the grid; NaN between its segments."""
    z = np.full((layout.steps, *series.values.shape[1:]), np.nan, dtype=np.float32)
    z[layout.positions] = to_model(series.values, scales)
    return Recording.of_scaled(
        z,
        start_time=int(series.times[0]) if len(series.times) else 0,
        step_seconds=max(1, round(series.step_seconds)),
        calls=series.calls,
        rates=series.weights,
    )


def _scale(name: str, values: NDArray[np.float32]) -> Scale:
    known = values[np.isfinite(values)]
    positive = known[known > 0]
    sizes = positive if positive.size else np.abs(known[known != 0])
    usual = float(np.median(sizes)) if sizes.size else 1.0
    if known.size and known.min() < 0:
        return Scale("linear", usual)
    if "speed" in name:
        # What hovers around a level varies by amounts and not in proportion.
        return Scale("linear", usual)
    if "error" in name and any(word in name for word in _SHARES) and (not known.size or known.max() <= 1):
        return Scale("ratio")
    return Scale("log", _RESOLUTION * usual)
