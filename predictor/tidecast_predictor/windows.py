"""
Cuts windows out of a snapshot and its history, for serving; `recording` cuts the same ones for training and scoring.

Whatever the source, a forecast made at an origin sees nothing that was measured after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.batch import Material
from tidecast_predictor.config import DAY_SECONDS, Architecture
from tidecast_predictor.scaling import Pool, Reference, refer, to_model

Lookup = Callable[[Sequence[ServiceId], NDArray[np.int64]], NDArray[np.float32]]
"""Services and times to measurements, float32 of shape (len(times), N, F); NaN where none is known."""

REFERENCE_SAMPLES = 192
_REFERENCE_DAYS = 7
_BEFORE_SAMPLES = 240
_GOLDEN = (5**0.5 - 1) / 2  # its multiples keep clear of each other and of any period


class RecordingTooShort(ValueError):
    """A recording has too few steps to learn from and to validate on; the text says how many it takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """
    What is known at a moment: a window of measurements, and what came before it.

    Attributes:
        snapshot: The window; the moment is its `end_time`.
        lookup: What came before.
    """

    snapshot: Snapshot
    lookup: Lookup

    def values(self, times: NDArray[np.int64]) -> NDArray[np.float32]:
        """Measurements at *times*, float32 of shape (len(times), N, F); NaN where missing or after the moment."""
        snapshot = self.snapshot
        values = self.lookup(snapshot.services, times)
        values[times > snapshot.end_time] = np.nan
        rows = (times - snapshot.start_time) // snapshot.step_seconds
        inside = (rows >= 0) & (rows < snapshot.steps) & (times % snapshot.step_seconds == 0)
        own = snapshot.values[rows[inside]]
        values[inside] = np.where(np.isfinite(own), own, values[inside])
        values[np.isinf(values)] = np.nan
        return values

    def latest(self) -> NDArray[np.float32]:
        """The newest measurement of every feature in the window, or in the day before it; NaN if none, (N, F)."""
        latest = np.full(self.snapshot.values.shape[1:], np.nan, dtype=np.float32)
        for values in self.snapshot.values[::-1]:
            missing = ~np.isfinite(latest)
            if not missing.any():
                return latest
            latest[missing] = values[missing]
        return np.where(np.isfinite(latest), latest, self.before())

    def before(self) -> NDArray[np.float32]:
        """
        The newest measurement in the day before the window, (N, F), of what the window itself does not hold.

        What the window holds is left NaN, as looking it up would cost much and decide nothing.
        """
        snapshot = self.snapshot
        before = np.full(snapshot.values.shape[1:], np.nan, dtype=np.float32)
        absent = ~np.isfinite(snapshot.values).any(axis=0)
        concerned = np.flatnonzero(np.any(absent, axis=1))
        if not concerned.size:
            return before
        stride = max(1, DAY_SECONDS // snapshot.step_seconds // _BEFORE_SAMPLES)
        times = snapshot.start_time - (1 + stride * np.arange(_BEFORE_SAMPLES)) * snapshot.step_seconds
        values = self.lookup([snapshot.services[index] for index in concerned], times)
        first = np.isfinite(values).argmax(axis=0)  # the newest, as times fall
        before[concerned] = np.take_along_axis(values, first[None], axis=0)[0]
        return np.where(absent, before, np.nan).astype(np.float32)

    def reference(self, horizon_steps: int, pool: Pool | None = None) -> Reference:
        """How each service behaved over the last days, from samples of history and from the window."""
        snapshot = self.snapshot
        lag = max(1, horizon_steps // 2)
        ago, earlier = self._sampled(lag)
        later = self.values(snapshot.end_time - (ago - lag) * snapshot.step_seconds)
        # A window's steps are near each other: all of them would count as a history that an hour is not.
        newest = np.arange(snapshot.steps - 1, lag - 1, -lag)
        return refer(
            to_model(np.concatenate([earlier, snapshot.values[newest - lag]])),
            to_model(np.concatenate([later, snapshot.values[newest]])),
            pool,
        )

    def _sampled(self, lag: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """How many steps ago samples lie, *lag* or more, and what was measured then; all over what is held of a week."""
        snapshot = self.snapshot
        held = _REFERENCE_DAYS * DAY_SECONDS // snapshot.step_seconds
        while True:
            ago = lag + spread_out(REFERENCE_SAMPLES, held)
            values = self.values(snapshot.end_time - ago * snapshot.step_seconds)
            known = np.flatnonzero(np.isfinite(values).any(axis=(1, 2)))
            # Of a week of which an hour is held, nearly all samples would be lost.
            if not known.size or 2 * known[-1] >= len(ago) or held <= REFERENCE_SAMPLES:
                return ago, values
            held = max(int(ago[known[-1] + 1]) - lag, REFERENCE_SAMPLES)

    def of_length(self, steps: int) -> "Past":
        """The same moment with a window of *steps*; what the window lacks at its beginning is missing."""
        snapshot = self.snapshot
        values = np.full((steps, *snapshot.values.shape[1:]), np.nan, dtype=np.float32)
        used = min(steps, snapshot.steps)
        values[steps - used :] = snapshot.values[snapshot.steps - used :]
        return replace(self, snapshot=replace(snapshot, values=values))

    def only(self, indices: NDArray[np.int64]) -> "Past":
        """The same of the services at *indices* alone, without calls."""
        chosen = replace(
            self.snapshot,
            services=tuple(self.snapshot.services[index] for index in indices),
            values=self.snapshot.values[:, indices],
            calls=self.snapshot.calls[:, :0],
            rates=self.snapshot.rates[:0],
        )
        return replace(self, snapshot=chosen)

    def days(self, architecture: Architecture) -> Tensor:
        """What was measured on the days before around this moment and its targets, as `Material` holds it."""
        snapshot = self.snapshot
        ago = np.array(architecture.days)[:, None] - around(architecture)[None, :]
        times = snapshot.end_time - ago * snapshot.step_seconds
        days = to_model(self.values(times.ravel())[..., : len(FORECAST_FEATURES)])
        return torch.from_numpy(days.reshape(*times.shape, *days.shape[1:]))[None, None]

    def material(self, reference: Reference, architecture: Architecture) -> Material:
        """What a model of *architecture* needs to forecast at this moment."""
        past = self.of_length(architecture.window_steps)
        snapshot = past.snapshot
        return Material(
            z_BTNA=torch.from_numpy(to_model(snapshot.values))[None],
            before_BNA=torch.from_numpy(to_model(past.before()))[None],
            times_BT=torch.from_numpy(snapshot.times)[None],
            origins_BP=torch.tensor([[snapshot.steps - 1]]),
            days_BPWJNF=self.days(architecture),
            calls_2E=torch.from_numpy(snapshot.calls),
            rates_E=torch.from_numpy(snapshot.rates),
            reference=reference,
        )


@dataclass(frozen=True, slots=True)
class Split:
    """
    Which origins are trained on and which are validated on; between them a gap, so that no target is shared.

    Attributes:
        training_steps: Steps that training may see, its targets included.
        first_origin: The first origin of validation.
        last_origin: The last one.
    """

    training_steps: int
    first_origin: int
    last_origin: int

    @classmethod
    def of(cls, steps: int, horizon_steps: int) -> "Split":
        """
        The last tenth is for validation, or two horizons where that is more.

        Raises:
            RecordingTooShort: If that leaves no origin to train on.
        """
        first_origin = steps - max(steps // 10, 2 * horizon_steps)
        training_steps = first_origin - min(horizon_steps, steps // 20)
        if training_steps <= horizon_steps:
            raise RecordingTooShort(
                f"{steps} steps are too few to train for {horizon_steps} steps ahead; it takes 4 times as many"
            )
        return cls(training_steps, first_origin, steps - 1 - horizon_steps)


def recorded(snapshot: Snapshot) -> Lookup:
    """Looks things up in *snapshot* itself, for scoring on a recording."""
    columns = {service: column for column, service in enumerate(snapshot.services)}

    def lookup(services: Sequence[ServiceId], times: NDArray[np.int64]) -> NDArray[np.float32]:
        rows, offsets = np.divmod(times - snapshot.start_time, snapshot.step_seconds)
        inside = np.flatnonzero((rows >= 0) & (rows < snapshot.steps) & (offsets == 0))
        chosen = np.fromiter((columns[service] for service in services), np.int64, len(services))
        values = np.full((len(times), len(chosen), len(FEATURES)), np.nan, dtype=np.float32)
        values[inside] = snapshot.values[np.ix_(rows[inside], chosen)]
        return values

    return lookup


def past_at(snapshot: Snapshot, origin: int, window_steps: int) -> Past:
    """What was known at step *origin* of a recording."""
    begin = max(0, origin - window_steps + 1)
    end_time = snapshot.start_time + origin * snapshot.step_seconds
    window = replace(snapshot, end_time=end_time, values=snapshot.values[begin : origin + 1])
    return Past(window, recorded(snapshot))


def around(architecture: Architecture) -> NDArray[np.int64]:
    """Steps relative to an origin that a smoothed course over the horizon needs."""
    beside = architecture.smoothing_steps
    return np.arange(-beside, architecture.horizon_steps + beside + 1)


def spread_out(count: int, steps: int) -> NDArray[np.int64]:
    """
    At most *count* of so many *steps*, rising, and not at even distances.

    What comes round every so often, a job at each quarter of an hour, would else be met in one of its phases alone, and
    be taken for what is usual.
    """
    places = np.arange(count)
    return np.unique(((places + places * _GOLDEN % 1) * steps / count).astype(np.int64))
