"""
One GRU for all services, each on its own: what a recurrent network does without the graph.

The honest control of every graph network: same inputs, same budget, same start from the last value, nothing of the
neighbours. The cell is that of Cho et al. (arXiv:1406.1078); all horizon steps are said at once from the last state.
"""

import torch
from torch import Tensor, nn

from tidecast_predictor.baselines.neural import Budget, Graph, NeuralMethod, Shape, newest_in


class GruNetwork(nn.Module):
    """A GRU over the window, shared by the services, and a head that corrects the last value."""

    def __init__(self, shape: Shape, hidden: int = 64) -> None:
        super().__init__()
        self._shape = shape
        self.gru = nn.GRU(shape.channels, hidden, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(hidden + shape.features, hidden), nn.ReLU(), nn.Linear(hidden, shape.horizon * shape.features)
        )

    def forward(self, x: Tensor, _graph: Graph) -> Tensor:
        """Windows (B, T, N, C) to standardised forecasts (B, H, N, F)."""
        samples, steps, services, channels = x.shape
        rows = x.transpose(1, 2).reshape(samples * services, steps, channels)
        states, _ = self.gru(rows)
        newest = newest_in(x, self._shape.features)
        last = torch.cat([states[:, -1], newest.flatten(0, 1)], dim=-1)
        said: Tensor = self.head(last).view(samples, services, self._shape.horizon, self._shape.features)
        return (said + newest[:, :, None]).transpose(1, 2)


def gru(budget: Budget | None = None) -> NeuralMethod:
    """The method `gru`."""
    return NeuralMethod("gru", GruNetwork, loss="mae", inductive=True, budget=budget or Budget())
