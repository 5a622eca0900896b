"""
DLinear: the window parted into a moving average and the rest, one linear layer for each, no recurrence, no graph.

After Zeng et al., Are Transformers Effective for Time Series Forecasting? (arXiv:2205.13504): both layers are shared by all
series, the moving average is over 25 steps with the ends of the window repeated, the loss is squared.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tidecast_predictor.baselines.neural import Budget, Graph, NeuralMethod, Shape

KERNEL = 25


class DLinearNetwork(nn.Module):
    """Two linear layers from the steps of the window to those of the horizon."""

    def __init__(self, shape: Shape, kernel: int = KERNEL) -> None:
        super().__init__()
        self._features = shape.features
        self.kernel = min(kernel, shape.window - 1 + shape.window % 2)
        self.seasonal = nn.Linear(shape.window, shape.horizon)
        self.trend = nn.Linear(shape.window, shape.horizon)

    def forward(self, x: Tensor, _graph: Graph) -> Tensor:
        """Windows (B, T, N, C) to standardised forecasts (B, H, N, F); masks fill gaps, the clock is not read."""
        samples, _, services, _ = x.shape
        values = carried_forward(x[..., : self._features], x[..., self._features : 2 * self._features])
        rows = values.flatten(2).transpose(1, 2)
        trend = self.moving_average(rows)
        said: Tensor = self.seasonal(rows - trend) + self.trend(trend)
        return said.transpose(1, 2).view(samples, -1, services, self._features)

    def moving_average(self, rows: Tensor) -> Tensor:
        """Along the last axis of (B, R, T), the ends repeated, as (B, R, T)."""
        reach = (self.kernel - 1) // 2
        return functional.avg_pool1d(functional.pad(rows, (reach, reach), mode="replicate"), self.kernel, stride=1)


def carried_forward(values: Tensor, masks: Tensor) -> Tensor:
    """Along axis 1 the newest measured value at each step, (B, T, N, F); before the first one 0, the mean."""
    steps = torch.arange(1, values.shape[1] + 1, device=values.device, dtype=masks.dtype)[:, None, None]
    at = (masks * steps).cummax(dim=1).values.long()
    return torch.where(at > 0, values.gather(1, (at - 1).clamp(min=0)), 0.0)


def dlinear(budget: Budget | None = None) -> NeuralMethod:
    """The method `dlinear`."""
    return NeuralMethod("dlinear", DLinearNetwork, loss="mse", inductive=True, budget=budget or Budget())
