"""
From units to the scale the model works in, and back; and how large a change is large for a service.

Rates, times and sizes span orders of magnitude and vary in proportion to themselves, so they go through
log(1 + x / resolution); a ratio within [0, 1] goes through arcsin(sqrt(x)), which evens out the spread of proportions.
Both keep the order of values, so a median stays a median.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_contract.features import CPU, ERRORS, FEATURES, MEMORY, READY_REPLICAS, REQUESTS, Feature


@dataclass(frozen=True, slots=True)
class Scale:
    """
    How a feature's unit becomes the model's scale.

    Attributes:
        kind: `log` is log(1 + x / resolution) of what is never negative, `ratio` is arcsin(sqrt(x)) of what lies within
            [0, 1], `linear` is x / resolution of anything.
        resolution: In the feature's unit; a log is linear far below it.
    """

    kind: Literal["log", "ratio", "linear"]
    resolution: float = 1.0


_RESOLUTIONS: dict[Feature, float] = {REQUESTS: 0.1, CPU: 0.01, MEMORY: 2.0**20, READY_REPLICAS: 1.0}
_LATENCY_RESOLUTION = 0.001

SCALES: tuple[Scale, ...] = tuple(
    Scale("ratio") if feature is ERRORS else Scale("log", _RESOLUTIONS.get(feature, _LATENCY_RESOLUTION))
    for feature in FEATURES
)
"""Of the contract's features."""

_LARGEST_LOG = 40.0
"""exp(40) times a resolution is beyond any machine, and far below what float32 can hold."""

LAGGING_SAMPLES = 8
"""A service with this many samples of its own is scaled half by them and half by the other services."""

_SMALLEST = 1e-3
"""No series' scale is below a tenth of a percent, lest the noise of a constant is blown up."""


def to_model(values: NDArray[np.float32], scales: Sequence[Scale] = SCALES) -> NDArray[np.float32]:
    """
    From units to the model's scale.

    Args:
        values: float32 of shape (..., F); NaN stays NaN, and what is infinite is missing too.
        scales: Of the features; may be of more than F.
    """
    scaled = np.empty_like(values)
    for index, scale in enumerate(scales[: values.shape[-1]]):
        x = values[..., index]
        x = np.where(np.isfinite(x), x, np.float32(np.nan))
        if scale.kind == "linear":
            scaled[..., index] = x / scale.resolution
        elif scale.kind == "ratio":
            scaled[..., index] = np.arcsin(np.sqrt(np.clip(x, 0, 1)))
        else:
            scaled[..., index] = np.log1p(np.maximum(x, 0) / scale.resolution)
    return scaled


def to_units(scaled: NDArray[np.float32], scales: Sequence[Scale] = SCALES) -> NDArray[np.float32]:
    """The inverse of `to_model`; what lies beyond a feature's range comes back as the end of that range."""
    tensor = torch.from_numpy(np.ascontiguousarray(scaled))
    return tensor_to_units(tensor, scales, dim=-1).numpy()


def tensor_to_units(scaled: Tensor, scales: Sequence[Scale] = SCALES, *, dim: int) -> Tensor:
    """As `to_units`, of tensors whose features lie along *dim*; gradients pass where the range does not end."""
    parts = []
    for x, scale in zip(scaled.unbind(dim), scales, strict=False):
        if scale.kind == "linear":
            parts.append(x * scale.resolution)
        elif scale.kind == "ratio":
            parts.append(x.clamp(0, torch.pi / 2).sin().square())
        else:
            parts.append(x.clamp(0, _LARGEST_LOG).expm1() * scale.resolution)
    return torch.stack(parts, dim=dim)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """
    What is usual among services, for those that have no past of their own. On the model's scale, F all `FEATURES`.

    Attributes:
        spread: Mean distance from the median, float32 of shape (F,).
        change: Mean change over half a horizon, float32 of shape (F,).
    """

    spread: NDArray[np.float32]
    change: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """
    How each series usually behaves, on the model's scale. What is measured in is measured by it, nothing is learnt.

    Attributes:
        median: float32 of shape (N, F); NaN where never measured.
        spread: Mean distance from the median, (N, F), positive.
        change: Mean change over half a horizon, (N, F), positive; the unit of the model's inputs and outputs.
        skew: How far the mean in units, brought to this scale, lies above the median, (N, F); 0 where not known.
        pool: The same of all services together.
    """

    median: NDArray[np.float32]
    spread: NDArray[np.float32]
    change: NDArray[np.float32]
    skew: NDArray[np.float32]
    pool: Pool

    @property
    def wandering(self) -> NDArray[np.float32]:
        """
        How far each series strays from its median slowly, (N, F): what is left of its spread without its fast changes.

        Two samples of noise lie sqrt(2) times as far apart as one lies from the middle.
        """
        slow: NDArray[np.float32] = np.sqrt(np.maximum(self.spread**2 - self.change**2 / 2, 0.0))
        return slow

    def among(self, services: NDArray[np.int64]) -> "Reference":
        """Of the services at these positions only."""
        chosen = {name: getattr(self, name)[services] for name in ("median", "spread", "change", "skew")}
        return Reference(**chosen, pool=self.pool)


def refer(
    earlier: NDArray[np.float32],
    later: NDArray[np.float32],
    pool: Pool | None = None,
    *,
    scales: Sequence[Scale] = SCALES,
) -> Reference:
    """
    Learn how series behave from samples of their past.

    Args:
        earlier: Samples on the model's scale, float32 of shape (S, N, F); NaN where missing.
        later: The same half a horizon later.
        pool: What is usual; None takes it from these samples.
        scales: From units to the model's scale.
    """
    median = _median(earlier)
    spread, spread_samples = _mean(np.abs(earlier - median))
    change, change_samples = _mean(np.abs(later - earlier))
    if pool is None:
        pool = Pool(_typical(spread, spread_samples), _typical(change, change_samples))
    mean, mean_samples = _mean(to_units(earlier, scales))
    skew = (to_model(mean, scales) - median) * _trust(mean_samples)
    return Reference(
        median=median,
        spread=_shrink(spread, spread_samples, pool.spread),
        change=_shrink(change, change_samples, pool.change),
        skew=np.nan_to_num(skew).astype(np.float32),
        pool=pool,
    )


def _median(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Along the first axis, over what is not NaN; numpy's nanmedian takes minutes at this size."""
    ordered = np.sort(samples, axis=0)
    count = np.isfinite(samples).sum(axis=0)
    if not len(samples):
        return np.full(samples.shape[1:], np.nan, dtype=np.float32)
    middle = np.maximum(count - 1, 0) // 2
    median: NDArray[np.float32] = np.take_along_axis(ordered, middle[None], axis=0)[0]
    return median


def _mean(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    count = np.isfinite(samples).sum(axis=0)
    return np.nansum(samples, axis=0) / np.maximum(count, 1), count


def _typical(values: NDArray[np.float32], samples: NDArray[np.int64]) -> NDArray[np.float32]:
    """The median over services that have been sampled enough, float32 of shape (F,)."""
    enough = np.where(samples >= LAGGING_SAMPLES, values, np.nan)
    typical = _median(enough)
    return np.maximum(np.where(np.isfinite(typical), typical, 0.1), _SMALLEST).astype(np.float32)


def _shrink(own: NDArray[np.float32], samples: NDArray[np.int64], pool: NDArray[np.float32]) -> NDArray[np.float32]:
    weight = _trust(samples)
    return np.maximum(weight * own + (1 - weight) * pool, _SMALLEST).astype(np.float32)


def _trust(samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a mean of so many samples counts beside what is usual among services."""
    weight: NDArray[np.float64] = samples / (samples + LAGGING_SAMPLES)
    return weight
