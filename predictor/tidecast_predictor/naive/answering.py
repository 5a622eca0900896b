"""
Forecasts without a model: what to say in the first minutes, and how far off it usually is.

The better of last value and seasonal naive is found out on the history itself, and its band is how far off it was at the
same number of steps ahead. Both are looked up now and then and kept, as they change slowly. Moments of all the last day are
looked back at; where a series is younger, as that of a new service or in a new cluster, those of the last steps.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.config import DAY_SECONDS
from tidecast_predictor.naive.last_value import LastValue
from tidecast_predictor.naive.method import ForecastingMethod
from tidecast_predictor.naive.seasonal_naive import SeasonalNaive
from tidecast_predictor.scaling import to_model, to_units
from tidecast_predictor.windows import Past

METHODS: tuple[ForecastingMethod, ...] = (LastValue(), SeasonalNaive())

_ORIGINS = 48
_ANCHORS = 6  # steps ahead at which errors are looked at; between them they are interpolated
_FEWEST = 10  # errors that a band is taken from
_WINDOW_STEPS = 15
_APART = 2  # steps, of the moments that a young series is looked at
_REFRESH_SECONDS = 1800
_REFRESH_STEPS = 5  # while something that is measured has no band yet
_GREW = 1.5  # times the history that experience was taken from


@dataclass(frozen=True, slots=True, eq=False)
class NaiveForecast:
    """
    A forecast without a model.

    Attributes:
        values: In units, float32 of shape (N, F, H, Q); NaN where nothing can be said.
        kinds: Which method spoke for each service; N of them.
        best: The method that is preferred where it can speak.
        reason: In words, why that one.
    """

    values: NDArray[np.float32]
    kinds: tuple[ModelKind, ...]
    best: ModelKind
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Experience:
    """What the naive methods did in the last day. Errors are on the model's scale, (S, N, F, anchors)."""

    services: tuple[ServiceId, ...]
    step_seconds: int
    horizon_steps: int
    time: int
    held_seconds: int
    bands: dict[ModelKind, NDArray[np.float32]]
    ratio: float
    is_partial: bool

    def serves(self, snapshot: Snapshot, horizon_steps: int, held_seconds: int) -> bool:
        """Whether it still holds for *snapshot*, when a history of so many seconds is held."""
        # What little is held grows fast, so it is looked at more often; and when the past has been filled in, at once.
        patience = min(_REFRESH_SECONDS, self.held_seconds // 20)
        if self.is_partial:
            patience = min(patience, _REFRESH_STEPS * snapshot.step_seconds)
        fresh = 0 <= snapshot.end_time - self.time <= patience and held_seconds < _GREW * self.held_seconds
        is_alike = (snapshot.step_seconds, horizon_steps) == (self.step_seconds, self.horizon_steps)
        return fresh and is_alike and snapshot.services == self.services


class Naive:
    """Answers forecasts without a model. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._experience: _Experience | None = None

    def forecast(self, past: Past, horizon_steps: int, held_seconds: int) -> NaiveForecast:
        """
        Forecast with the better method, and with last value where that one cannot speak.

        Args:
            past: What is known.
            horizon_steps: How many steps ahead.
            held_seconds: How long a history is held.
        """
        experience = self._experience_of(past, horizon_steps, held_seconds)
        last, seasonal = (method.forecast(past, horizon_steps) for method in METHODS)
        values = _banded(last, experience.bands[ModelKind.LAST_VALUE])
        measured = np.isfinite(last).any(axis=(1, 2))
        kinds = np.where(measured, ModelKind.LAST_VALUE, ModelKind.NONE)
        best, reason = _choose(experience.ratio, held_seconds)
        if best is ModelKind.SEASONAL_NAIVE:
            # Last value's band is better than none.
            known = np.isfinite(seasonal) & np.isfinite(last) & np.isfinite(experience.bands[best]).all(axis=-1)
            banded = _banded(seasonal, experience.bands[best])
            values = np.where(known[..., None], banded, values)
            kinds = np.where(known.mean(axis=(1, 2)) > 0.5 * np.isfinite(last).mean(axis=(1, 2)), best, kinds)
        return NaiveForecast(values, tuple(ModelKind(kind) for kind in kinds), best, reason)

    def _experience_of(self, past: Past, horizon_steps: int, held_seconds: int) -> _Experience:
        with self._lock:
            if self._experience is None or not self._experience.serves(past.snapshot, horizon_steps, held_seconds):
                self._experience = _experience(past, horizon_steps, held_seconds)
            return self._experience


def _choose(ratio: float, held_seconds: int) -> tuple[ModelKind, str]:
    if np.isnan(ratio):
        hours = f"{held_seconds / 3600:.1f} hours of history are held"
        if held_seconds <= 2 * DAY_SECONDS:
            return ModelKind.LAST_VALUE, f"{hours}, SeasonalNaive takes more than a day"
        return ModelKind.LAST_VALUE, f"{hours}, but too little in it moved to compare SeasonalNaive with LastValue"
    better = "smaller" if ratio < 1 else "larger"
    reason = f"SeasonalNaive's error is {abs(1 - ratio):.0%} {better} than LastValue's over the last day"
    return (ModelKind.SEASONAL_NAIVE if ratio < 1 else ModelKind.LAST_VALUE), reason


def _experience(past: Past, horizon_steps: int, held_seconds: int) -> _Experience:
    snapshot = past.snapshot
    anchors = _anchors(horizon_steps)
    errors: dict[ModelKind, list[NDArray[np.float32]]] = {method.kind: [] for method in METHODS}
    times, of_day = _origins(snapshot, horizon_steps, held_seconds)
    for time in times:
        earlier = _earlier(past, int(time))
        truth = past.values(time + anchors * snapshot.step_seconds)[..., : len(FORECAST_FEATURES)]
        for method in METHODS:
            median = method.forecast(earlier, horizon_steps)[..., anchors - 1].transpose(2, 0, 1)
            errors[method.kind].append((to_model(truth) - to_model(median)).transpose(1, 2, 0))
    shape = (0, len(snapshot.services), len(FORECAST_FEATURES), len(anchors))
    stacked = {kind: np.stack(parts) if parts else np.zeros(shape, np.float32) for kind, parts in errors.items()}
    bands = {kind: _spread(_of_the_day(error, of_day), horizon_steps) for kind, error in stacked.items()}
    # What is measured now and then only, as the latency of what is seldom called, may never have one.
    times_measured = np.isfinite(snapshot.values[..., : len(FORECAST_FEATURES)]).sum(axis=0)
    measured = times_measured >= min(_FEWEST, snapshot.steps)
    return _Experience(
        services=snapshot.services,
        step_seconds=snapshot.step_seconds,
        horizon_steps=horizon_steps,
        time=snapshot.end_time,
        held_seconds=max(held_seconds, snapshot.end_time - snapshot.start_time),
        bands=bands,
        ratio=_ratio(stacked[ModelKind.SEASONAL_NAIVE][of_day], stacked[ModelKind.LAST_VALUE][of_day]),
        is_partial=bool((measured & np.isnan(bands[ModelKind.LAST_VALUE][:, :, -1, 0])).any()),
    )


def _origins(snapshot: Snapshot, horizon_steps: int, held_seconds: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """
    Moments that are looked back at, unix seconds, and which of them are spread over the last day.

    Of that day as many lie before the whole horizon as a band takes. The others are of the last steps, as many again.
    """
    held = max(held_seconds, snapshot.end_time - snapshot.start_time)
    steps = min(held // snapshot.step_seconds, DAY_SECONDS // snapshot.step_seconds + horizon_steps)
    of_day = np.linspace(1, max(1, steps), _ORIGINS).astype(np.int64)
    newest = _anchors(horizon_steps)[:, None] + _APART * np.arange(_FEWEST)
    ago = np.union1d(of_day, newest)
    ago = ago[ago <= steps]
    return snapshot.end_time - ago * snapshot.step_seconds, np.isin(ago, of_day)


def _of_the_day(errors: NDArray[np.float32], of_day: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The errors (S, N, F, anchors) without those of the last steps, where moments of all the day are enough."""
    enough = np.isfinite(errors[of_day]).sum(axis=0) >= _FEWEST
    return np.where(of_day[:, None, None, None] | ~enough, errors, np.float32(np.nan))


def _earlier(past: Past, time: int) -> Past:
    """What was known at *time*; its lookup looks no further ahead, as `Past.values` hides what came after."""
    snapshot = past.snapshot
    times = time - np.arange(_WINDOW_STEPS - 1, -1, -1) * snapshot.step_seconds
    window = Snapshot(
        time, snapshot.step_seconds, snapshot.services, past.values(times), snapshot.calls, snapshot.rates
    )

    def lookup(services: Sequence[ServiceId], wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        return past.values(wanted) if services is snapshot.services else past.lookup(services, wanted)

    return Past(window, lookup)


def _anchors(horizon_steps: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(1, horizon_steps, min(_ANCHORS, horizon_steps)).round().astype(np.int64))


def _ratio(seasonal: NDArray[np.float32], last: NDArray[np.float32]) -> float:
    """The errors of one method in units of the other's, the mean over series; NaN when there is nothing to compare."""
    both = np.isfinite(seasonal) & np.isfinite(last)
    own = np.where(both, np.abs(seasonal), 0).sum(axis=(0, 3))
    other = np.where(both, np.abs(last), 0).sum(axis=(0, 3))
    # Of a moment or two chance decides.
    comparable = (other > 0) & (both.any(axis=3).sum(axis=0) >= _FEWEST)
    if not comparable.any():
        return float("nan")
    return float(np.minimum(own[comparable] / other[comparable], 10).mean())


def _spread(errors: NDArray[np.float32], horizon_steps: int) -> NDArray[np.float32]:
    """The quantiles of (S, N, F, anchors) at every step ahead, (N, F, H, Q); NaN where there are too few errors."""
    count = np.isfinite(errors).sum(axis=0)
    ordered = np.sort(errors, axis=0)  # NaN last
    anchors, steps = _anchors(horizon_steps), np.arange(1, horizon_steps + 1)
    upper = np.searchsorted(anchors, steps).clip(max=len(anchors) - 1)
    lower = np.maximum(upper - 1, 0)
    share = ((steps - anchors[lower]) / np.maximum(anchors[upper] - anchors[lower], 1)).clip(0, 1).astype(np.float32)
    spreads = []
    for quantile in QUANTILES:
        rank = np.round(quantile * (count - 1)).clip(0).astype(np.int64)
        at = np.take_along_axis(ordered, rank[None], axis=0)[0] if len(errors) else np.full(count.shape, np.nan)
        at = np.where(count >= _FEWEST, at, np.nan)
        spreads.append(at[..., lower] * (1 - share) + at[..., upper] * share)
    return np.stack(spreads, axis=-1).astype(np.float32)


def _banded(median: NDArray[np.float32], spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """Medians (N, F, H) in units with the usual errors (N, F, H, Q) around them."""
    middle = QUANTILES.index(0.5)
    scaled = to_model(median.transpose(0, 2, 1)).transpose(0, 2, 1)[..., None] + spread
    values = to_units(np.moveaxis(scaled, 1, -1))
    values = np.moveaxis(values, -1, 1)
    values[..., :middle] = np.minimum(values[..., :middle], median[..., None])
    values[..., middle + 1 :] = np.maximum(values[..., middle + 1 :], median[..., None])
    values[..., middle] = median
    return values
