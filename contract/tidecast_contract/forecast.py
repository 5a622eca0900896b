"""
What the predictor answers: quantiles of what each service will measure, and which model said so.

Shapes: `N` services, `F` forecast features, `H` horizon steps, `Q` quantiles.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES, Feature
from tidecast_contract.services import ServiceId

QUANTILES: tuple[float, ...] = (0.1, 0.5, 0.9)


class ModelKind(StrEnum):
    """Which method a forecast comes from, by rising need of history."""

    NONE = "None"
    """No forecast: the service has not been measured yet. Its values are NaN."""
    LAST_VALUE = "LastValue"
    SEASONAL_NAIVE = "SeasonalNaive"
    GCN_GRU = "GCN-GRU"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """
    The model that the predictor serves at present.

    Attributes:
        kind: The best method that is ready; single services may get a simpler one, see `Forecast.kinds`.
        version: Names the checkpoint; empty as long as none is served.
        trained_time: When it was trained, unix seconds; None as long as none is served.
        reason: In words, why this kind speaks and not a better one.
        error: Mean absolute error on validation data, in units of each series' own scale; None when not measured.
        naive_error: The same for the better of last value and seasonal naive; None when not measured.
    """

    kind: ModelKind
    version: str = ""
    trained_time: int | None = None
    reason: str = ""
    error: float | None = None
    naive_error: float | None = None

    @property
    def skill(self) -> float | None:
        """1 - error / naive_error: above 0 the model is better than the best naive forecast; None when unknown."""
        if self.error is None or not self.naive_error:
            return None
        return 1 - self.error / self.naive_error


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """
    Quantiles for every service of a snapshot, its forecast features and the next H steps.

    Attributes:
        issued_time: The `end_time` of the snapshot it was made from; step h (from 0) speaks of
            issued_time + (h + 1) * step_seconds. Unix seconds.
        step_seconds: The time between two steps.
        services: As in the snapshot; N of them.
        quantiles: Rising, in (0, 1); Q of them.
        values: float32 of shape (N, F, H, Q), F in the order of `FORECAST_FEATURES`, in their units; not falling
            along Q. NaN where nothing can be said; a median with NaN beside it is a forecast whose spread is
            not known yet.
        kinds: Which method spoke for each service; N of them.
        model: What the predictor serves at present.
        seasonal: What was measured one day before each step, float32 of shape (N, F, H), NaN where nothing was: what
            seasonal naive says, for whoever compares. None if the predictor does not tell.

    Raises:
        ValueError: If shapes or types disagree, or quantiles cross.
    """

    issued_time: int
    step_seconds: int
    services: tuple[ServiceId, ...]
    quantiles: tuple[float, ...]
    values: NDArray[np.float32]
    kinds: tuple[ModelKind, ...]
    model: ModelInfo
    seasonal: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.quantiles, self.quantiles[1:], strict=False))
        if not self.quantiles or not rising or not 0 < self.quantiles[0] <= self.quantiles[-1] < 1:
            raise ValueError(f"quantiles must rise within (0, 1), not {self.quantiles}")
        expected = (len(self.services), len(FORECAST_FEATURES), len(self.quantiles))
        if self.values.dtype != np.float32 or self.values.ndim != 4:
            raise ValueError(
                f"values must be float32 of shape (N, F, H, Q), not {self.values.dtype} of shape {self.values.shape}"
            )
        if (self.values.shape[0], self.values.shape[1], self.values.shape[3]) != expected:
            raise ValueError(f"values of shape {self.values.shape} do not fit (N, F, Q) = {expected}")
        if len(self.kinds) != len(self.services):
            raise ValueError(f"{len(self.kinds)} kinds for {len(self.services)} services")
        if bool((self.values[..., 1:] < self.values[..., :-1]).any()):
            raise ValueError("quantiles cross")
        seasonal = self.seasonal
        if seasonal is not None and (seasonal.dtype != np.float32 or seasonal.shape != self.values.shape[:3]):
            raise ValueError(
                f"seasonal must be float32 of shape {self.values.shape[:3]}, not {seasonal.dtype} of {seasonal.shape}"
            )

    @property
    def horizon_steps(self) -> int:
        """H, the number of steps ahead."""
        return int(self.values.shape[2])

    @property
    def times(self) -> NDArray[np.int64]:
        """The time each step speaks of, unix seconds, int64 of shape (H,)."""
        return self.issued_time + np.arange(1, self.horizon_steps + 1, dtype=np.int64) * self.step_seconds

    def of(self, service: ServiceId, feature: Feature) -> NDArray[np.float32]:
        """The quantiles of one service and feature, float32 of shape (H, Q)."""
        found: NDArray[np.float32] = self.values[self.services.index(service), FORECAST_FEATURES.index(feature)]
        return found
