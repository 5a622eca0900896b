"""
STID: who it is and when it is, attached to the window of one service; a perceptron does the rest, without any graph.

After Shao et al., Spatial-Temporal Identity: A Simple yet Effective Baseline for Multivariate Time Series Forecasting
(arXiv:2208.05233). It learns a vector for every single service, so it cannot forecast one that it has not seen.

Shapes, as suffixes: `B` samples, `T` steps, `N` services, `C` channels, `D` numbers of a vector, `F` features, `H` horizon.
"""

import math

import torch
from torch import Tensor, nn

from tidecast_predictor.baselines.neural import Budget, Graph, NeuralMethod, Shape
from tidecast_predictor.config import DAY_SECONDS

WIDTH = 32
"""Of each vector: of the window, of the service, of the time of day and of the day of the week."""
LAYERS = 3
DROPOUT = 0.15
SLOTS = 288
"""Of a day, each with a vector of its own: five minutes, as on the paper's recordings, or a step where that is longer."""
DAYS = 7

_ROUNDING = 1e-3  # of a slot or a day: sine and cosine of its begin may come out just before it


class Residual(nn.Module):
    """A layer of the perceptron; what comes in is added to what it says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Of (..., width) the same shape."""
        changed: Tensor = x + self.outer(self.drop(self.inner(x).relu()))
        return changed


class Stid(nn.Module):
    """
    The window of each service as one vector, beside it vectors learnt for the service, the time of day and the weekday.

    The time is that of the window's last step. A recording too short to tell a period has no vectors for it.
    """

    def __init__(self, shape: Shape, width: int = WIDTH, layers: int = LAYERS) -> None:
        super().__init__()
        self._shape = shape
        slots = min(SLOTS, max(1, round(DAY_SECONDS / shape.step_seconds)))
        periods = [count for count, channels in ((slots, 2), (DAYS, 4)) if shape.clock >= channels]
        self.window = nn.Linear(shape.window * shape.channels, width)
        self.services = nn.Parameter(torch.empty(shape.services, width))
        self.moments = nn.ParameterList(torch.empty(count, width) for count in periods)
        for vectors in (self.services, *self.moments):
            nn.init.xavier_uniform_(vectors)
        whole = width * (2 + len(periods))
        self.perceptron = nn.Sequential(*(Residual(whole) for _ in range(layers)))
        self.last = nn.Linear(whole, shape.horizon * shape.features)

    def forward(self, x: Tensor, _graph: Graph) -> Tensor:
        """Windows (B, T, N, C) to standardised forecasts (B, H, N, F)."""
        window_BND = self.window(x.transpose(1, 2).flatten(2))
        known = [window_BND, self.services.expand_as(window_BND)]
        clock_BNK = x[:, -1, :, x.shape[-1] - self._shape.clock :]
        for index, vectors in enumerate(self.moments):
            sine, cosine = clock_BNK[..., 2 * index], clock_BNK[..., 2 * index + 1]
            known.append(vectors[slot(sine, cosine, len(vectors))])
        said = self.last(self.perceptron(torch.cat(known, dim=-1)))
        forecasts: Tensor = said.view(*window_BND.shape[:2], self._shape.horizon, self._shape.features).transpose(1, 2)
        return forecasts


def slot(sine: Tensor, cosine: Tensor, count: int) -> Tensor:
    """Which of *count* equal parts of a period a clock stands in, int64 of the same shape."""
    turned = torch.atan2(sine, cosine) / (2 * math.pi)
    return ((turned * count + _ROUNDING).floor() % count).long()


def stid(budget: Budget | None = None) -> NeuralMethod:
    """The method `stid`; absolute error, learning rate and weight decay as the authors'."""
    return NeuralMethod("stid", Stid, loss="mae", learning_rate=2e-3, weight_decay=1e-4, budget=budget or Budget())
