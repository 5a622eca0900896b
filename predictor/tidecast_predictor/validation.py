"""
Scores a model and the naive methods on the same moments, and decides whether the model may speak.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import ModelKind
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.batch import Material
from tidecast_predictor.calibrating import HeldOut
from tidecast_predictor.config import Architecture
from tidecast_predictor.model import GcnGru
from tidecast_predictor.naive import LastValue, SeasonalNaive
from tidecast_predictor.predicting import predict
from tidecast_predictor.recording import Recording
from tidecast_predictor.scaling import SCALES, Reference
from tidecast_predictor.scores import Scores, coverage, lead, scaled_error, series_scale
from tidecast_predictor.windows import Split, past_at

_ROWS = 4096  # windows to score: enough for a mean within a percent, few enough to score often
_BLOCK_ROWS = 2048


class Validation:
    """
    The last part of a recording, held out from training.

    Args:
        snapshot: The recording, in units.
        recording: The same, ready to cut windows from.
        reference: How each service behaved in the part that is trained on.
        split: Where the held-out part begins.
        architecture: Of the models to score.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        recording: Recording,
        *,
        reference: Reference,
        split: Split,
        architecture: Architecture,
    ) -> None:
        horizon, services = architecture.horizon_steps, len(snapshot.services)
        count = int(np.clip(_ROWS // max(1, services), 16, 96))
        self._origins = np.unique(np.linspace(split.first_origin, split.last_origin, count).astype(np.int64))
        self._recording, self._reference, self._architecture = recording, reference, architecture
        self._seconds = int(split.last_origin - split.first_origin) * snapshot.step_seconds
        self._horizons = (split.last_origin - split.first_origin) / horizon
        features = len(FORECAST_FEATURES)
        ahead = self._origins[:, None] + np.arange(1, horizon + 1)
        self._truth = snapshot.values[ahead][..., :features].transpose(0, 2, 3, 1)
        training = snapshot.values[: split.training_steps, :, :features]
        self._scale = series_scale(training, max(1, horizon // 2))
        self._naive = self._naive_medians(snapshot)
        self._truth = np.where(np.isfinite(self._naive[ModelKind.LAST_VALUE]), self._truth, np.nan)
        self._naive_errors = {
            kind: scaled_error(median, self._truth, self._scale) for kind, median in self._naive.items()
        }

    def score(self, model: GcnGru) -> Scores:
        """Score *model* on every held-out moment."""
        parts = [np.moveaxis(predict(model, material)[:, :, 0], 1, 0) for material in self._materials()]
        quantiles = np.concatenate(parts)
        middle = self._architecture.quantiles.index(0.5)
        error = scaled_error(quantiles[..., middle], self._truth, self._scale)
        return Scores(
            error=_mean(error),
            naive_errors={kind: _mean(error) for kind, error in self._naive_errors.items()},
            errors_by_feature=_by_feature(error),
            naive_errors_by_feature={
                name: min(_by_feature(error)[name] for error in self._naive_errors.values())
                for name in _by_feature(error)
            },
            coverage=coverage(quantiles[..., 0], quantiles[..., -1], self._truth),
            seconds=self._seconds,
            origins=len(self._origins),
            confidence=min(
                lead(quantiles[..., middle], median, self._truth, self._scale, horizons=self._horizons)
                for median in self._naive.values()
            ),
        )

    def held_out(self) -> HeldOut:
        """The moments as a model is calibrated on them."""
        came_after = self._recording.came_after
        moments = ((material, came_after(material, self._architecture)) for material in self._materials())
        return HeldOut(moments, SCALES, self._scale)

    def _naive_medians(self, snapshot: Snapshot) -> dict[ModelKind, NDArray[np.float32]]:
        """What the naive methods said at every held-out moment, each (S, N, F, H)."""
        horizon = self._architecture.horizon_steps
        pasts = [past_at(snapshot, int(origin), self._architecture.window_steps) for origin in self._origins]
        last = np.stack([LastValue().forecast(past, horizon) for past in pasts])
        seasonal = np.stack([SeasonalNaive().forecast(past, horizon) for past in pasts])
        # Where yesterday is unknown the seasonal method is served as the last value.
        return {ModelKind.LAST_VALUE: last, ModelKind.SEASONAL_NAIVE: np.where(np.isfinite(seasonal), seasonal, last)}

    def _materials(self) -> Iterator[Material]:
        steps = self._architecture.window_steps
        size = max(1, _BLOCK_ROWS // max(1, self._recording.services))
        for begin in range(0, len(self._origins), size):
            starts = torch.from_numpy(self._origins[begin : begin + size]) - steps + 1
            yield self._recording.material(
                starts,
                torch.full((len(starts), 1), steps - 1),
                reference=self._reference,
                steps=steps,
                architecture=self._architecture,
            )


def _mean(error: NDArray[np.float32]) -> float:
    known = np.isfinite(error)
    return float(error[known].mean()) if known.any() else float("nan")


def _by_feature(error: NDArray[np.float32]) -> dict[str, float]:
    means = {feature.name: _mean(error[:, index]) for index, feature in enumerate(FORECAST_FEATURES)}
    return {name: mean for name, mean in means.items() if np.isfinite(mean)}
