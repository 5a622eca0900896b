"""
Turns a window of measurements into a forecast, with the best method that is ready for each service.
"""

import logging
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.checkpoint import Checkpoint, newest
from tidecast_predictor.config import Architecture
from tidecast_predictor.history import History
from tidecast_predictor.naive import Naive, SeasonalNaive
from tidecast_predictor.scaling import Reference
from tidecast_predictor.streams import Streams
from tidecast_predictor.windows import Past

logger = logging.getLogger(__name__)

_REFERENCE_SECONDS = 3600
"""How long the usual behaviour of services is taken as known; it is that of a week and changes slowly."""


@dataclass(frozen=True, slots=True, eq=False)
class _KnownReference:
    """The usual behaviour of *services*, looked up at *time* for the model *version*."""

    version: str
    services: tuple[ServiceId, ...]
    time: int
    reference: Reference


@dataclass(frozen=True, slots=True, eq=False)
class _Served:
    """The model that speaks, and what is carried of it from forecast to forecast."""

    checkpoint: Checkpoint
    streams: Streams


class Forecaster:
    """
    Answers forecasts. Safe to use from several threads; never waits for a training.

    Where a window goes on where an earlier one ended, only its new steps are processed: the model then knows more of
    the past than the window holds. Any other window is answered from what it holds.

    Args:
        history: Where seasonal inputs, scales and the spread of naive forecasts come from. The caller appends to it.
        checkpoint_dir: The newest valid checkpoint in it is served from the start; None starts without a model.
        device: As torch names it; None takes CUDA when there is one, else the CPU.
    """

    def __init__(self, history: History, checkpoint_dir: Path | None, *, device: str | None = None) -> None:
        self._history = history
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._naive = Naive()
        self._lock = threading.Lock()
        self._served: _Served | None = None
        self._known: _KnownReference | None = None
        self._why_no_model = "no model has been trained yet"
        held = history.status().steps > 0
        self._naive_info = ModelInfo(ModelKind.LAST_VALUE if held else ModelKind.NONE, reason=self._why_no_model)
        checkpoint = None if checkpoint_dir is None else newest(checkpoint_dir)
        if checkpoint is not None:
            self.serve(checkpoint)

    def serve(self, checkpoint: Checkpoint) -> None:
        """Answer with this model from now on."""
        checkpoint.model.to(self._device).eval()
        before = None if self._served is None else self._served.streams
        self._served = _Served(checkpoint, Streams(checkpoint.model, before=before))
        logger.info("serving %s: %s", checkpoint.version, checkpoint.scores.describe())

    @property
    def served(self) -> Checkpoint | None:
        """The model that speaks; None while there is none."""
        return None if self._served is None else self._served.checkpoint

    @property
    def horizon_steps(self) -> int:
        """How many steps ahead the model that is served was trained for; 0 without one."""
        served = self._served
        return 0 if served is None else served.checkpoint.model.architecture.horizon_steps

    @property
    def window_steps(self) -> int:
        """How many steps the model that is served was trained to look back; 0 without one."""
        served = self._served
        return 0 if served is None else served.checkpoint.model.architecture.window_steps

    @property
    def history_seconds(self) -> int:
        """How long the history was that the model that is served was trained on; 0 without one."""
        served = self._served
        return 0 if served is None else served.checkpoint.history_seconds

    @property
    def device(self) -> torch.device:
        """Where models run."""
        return self._device

    def decline(self, reason: str) -> None:
        """Tell, as long as no model is served, that one was trained and why it does not speak."""
        self._why_no_model = reason
        self._naive_info = replace(self._naive_info, reason=reason)

    def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """
        Forecast every service of *snapshot* for the next *horizon_steps*.

        Works with any number of steps in the window; what the model cannot do (no model yet, a longer horizon or
        another step than it was trained for) a naive method answers, and `Forecast.model.reason` says why.

        Raises:
            ValueError: If *horizon_steps* is not positive.
        """
        if horizon_steps <= 0:
            raise ValueError(f"horizon_steps must be positive, not {horizon_steps}; ask for at least one step")
        past = Past(snapshot, self._history.values_at)
        served = self._served
        refusal = self._why_no_model if served is None else _refusal(served.checkpoint, snapshot, horizon_steps)
        if served is None or refusal:
            return self._without_model(past, horizon_steps, refusal)
        values = self._with_model(served, past)[:, :, :horizon_steps]
        known: list[bool] = list(np.any(np.isfinite(values), axis=(1, 2, 3)))
        kinds = tuple(ModelKind.GCN_GRU if one else ModelKind.NONE for one in known)
        return _answer(past, values, kinds, served.checkpoint.info)

    def model_info(self) -> ModelInfo:
        """What is served at present, and why not something better."""
        served = self._served
        return self._naive_info if served is None else served.checkpoint.info

    def _with_model(self, served: _Served, past: Past) -> NDArray[np.float32]:
        """The model's quantiles for its whole horizon, (N, F, H, Q)."""
        architecture = served.checkpoint.model.architecture
        if not past.snapshot.services:
            return np.zeros((0, len(FORECAST_FEATURES), architecture.horizon_steps, len(QUANTILES)), np.float32)
        reference = self._reference(served.checkpoint, past, architecture)
        return served.streams.forecast(past, reference)

    def _reference(self, served: Checkpoint, past: Past, architecture: Architecture) -> Reference:
        snapshot, known = past.snapshot, self._known
        if (
            known is not None
            and known.version == served.version
            and 0 <= snapshot.end_time - known.time < _REFERENCE_SECONDS
            and known.services == snapshot.services
        ):
            return known.reference
        with self._lock:
            reference = past.reference(architecture.horizon_steps, served.pool)
            self._known = _KnownReference(served.version, snapshot.services, snapshot.end_time, reference)
        return reference

    def _without_model(self, past: Past, horizon_steps: int, refusal: str) -> Forecast:
        status = self._history.status()
        held = max(0, min(past.snapshot.end_time, status.end_time) - status.start_time) if status.steps else 0
        naive = self._naive.forecast(past, horizon_steps, held)
        kind = naive.best if any(kind is not ModelKind.NONE for kind in naive.kinds) else ModelKind.NONE
        info = ModelInfo(kind, reason=f"{refusal}; {naive.reason}")
        self._naive_info = info
        return _answer(past, naive.values, naive.kinds, info)


def _refusal(served: Checkpoint, snapshot: Snapshot, horizon_steps: int) -> str:
    """Why this model cannot answer; empty when it can."""
    architecture = served.model.architecture
    if snapshot.step_seconds != architecture.step_seconds:
        return (
            f"model {served.version} was trained for steps of {architecture.step_seconds} s, "
            f"not of {snapshot.step_seconds} s"
        )
    if horizon_steps > architecture.horizon_steps:
        return (
            f"model {served.version} was trained for {architecture.horizon_steps} steps ahead, not for {horizon_steps}"
        )
    return ""


def _answer(past: Past, values: NDArray[np.float32], kinds: tuple[ModelKind, ...], info: ModelInfo) -> Forecast:
    snapshot = past.snapshot
    return Forecast(
        issued_time=snapshot.end_time,
        step_seconds=snapshot.step_seconds,
        services=snapshot.services,
        quantiles=QUANTILES,
        values=np.ascontiguousarray(values, dtype=np.float32),
        kinds=kinds,
        model=info,
        seasonal=np.ascontiguousarray(SeasonalNaive().forecast(past, values.shape[2]), dtype=np.float32),
    )
