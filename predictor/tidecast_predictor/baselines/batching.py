"""
Makes a network's inputs and targets out of series: windows, masks, the clock.

Shapes: `B` samples, `T` steps of a window, `N` services, `C` channels, `F` features, `H` horizon steps, `E` calls.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_predictor.baselines.cutting import segment_begins, targets, windows
from tidecast_predictor.baselines.method import Series
from tidecast_predictor.baselines.standardising import Standard
from tidecast_predictor.config import DAY_SECONDS, WEEK_SECONDS


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """
    Who calls whom.

    Attributes:
        calls: Callers and callees, positions along N, int64 of shape (2, E).
        weights: Of the calls, float32 of shape (E,), positive.
        services: N.
    """

    calls: Tensor
    weights: Tensor
    services: int

    @classmethod
    def of(cls, series: Series) -> "Graph":
        """The graph of *series*."""
        weights = torch.from_numpy(series.weights.astype(np.float32))
        return cls(torch.from_numpy(series.calls.astype(np.int64)), weights, len(series.services))

    def to(self, device: torch.device) -> "Graph":
        """The same on another device."""
        return Graph(self.calls.to(device), self.weights.to(device), self.services)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """
    What a network is given, and what came true.

    Attributes:
        x: (B, T, N, C).
        truth: Standardised, (B, H, N, F); NaN where missing.
    """

    x: Tensor
    truth: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(self.x.to(device), self.truth.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """
    A series, ready to cut batches from.

    Attributes:
        scaled: Standardised values of the steps that may be seen, (T', N, F); NaN where missing.
        segments: Of these steps.
        begins: Of their segments.
        clock: Of these steps, float32 of shape (T', K).
        window: T.
        horizon: H.
        graph: Of the series.
    """

    scaled: NDArray[np.float32]
    segments: NDArray[np.int32]
    begins: NDArray[np.int64]
    clock: NDArray[np.float32]
    window: int
    horizon: int
    graph: Graph

    @classmethod
    def of(
        cls, series: Series, standard: Standard, *, clocks: tuple[int, ...], sizes: tuple[int, int], steps: int
    ) -> "Feed":
        """The first *steps* steps of *series*, for *sizes* T and H; what lies after them is not there."""
        segments = series.segments[:steps]
        return cls(
            scaled=standard.scaled(series.values[:steps]),
            segments=segments,
            begins=segment_begins(segments),
            clock=_clock(series.times[:steps], clocks),
            window=sizes[0],
            horizon=sizes[1],
            graph=Graph.of(series),
        )

    @property
    def services(self) -> int:
        """N."""
        return int(self.scaled.shape[1])

    @property
    def channels(self) -> int:
        """C."""
        return int(2 * self.scaled.shape[2] + self.clock.shape[1])

    def batch(self, origins: NDArray[np.int64]) -> Batch:
        """The windows up to *origins*, and what came after them as far as it may be seen."""
        cut = torch.from_numpy(windows(self.scaled, self.begins, origins, self.window))
        at = np.maximum(origins[:, None] + np.arange(1 - self.window, 1), 0)
        clock = torch.from_numpy(self.clock[at])[:, :, None].expand(-1, -1, self.services, -1)
        x = torch.cat([cut.nan_to_num(0.0), torch.isfinite(cut).float(), clock], dim=-1)
        return Batch(x, torch.from_numpy(targets(self.scaled, self.segments, origins, self.horizon)))


def clocks_told_by(seconds: float) -> tuple[int, ...]:
    """The periods that a training part of that length can tell of."""
    return tuple(period for period in (DAY_SECONDS, WEEK_SECONDS) if seconds >= period)


def _clock(times: NDArray[np.int64], periods: tuple[int, ...]) -> NDArray[np.float32]:
    """Sine and cosine of each period, float32 of shape (len(times), 2 * len(periods))."""
    clock = np.zeros((len(times), 2 * len(periods)), dtype=np.float32)
    for index, period in enumerate(periods):
        angle = (times % period) * (2 * np.pi / period)
        clock[:, 2 * index], clock[:, 2 * index + 1] = np.sin(angle), np.cos(angle)
    return clock
