"""
ASTGCN: attention over time and over services in front of Chebyshev convolutions on the graph and convolutions along time.

After Guo et al., Attention Based Spatial-Temporal Graph Convolutional Networks for Traffic Flow Forecasting (AAAI 2019),
the recent component alone, as in its authors' PyTorch program: two blocks, 64 filters, Chebyshev polynomials up to T2,
squared error. Where paper and program differ it does as the program: attention over time shapes the attention over
services only, the convolution reads the block's own input, and both attentions add up to one over what is listened to.
The polynomials are the paper's. Two services are neighbours if either calls the other, whatever the weight, as the
paper's roads are.

The attentions hold weights for every pair of services and of steps, so that it knows only those it has learnt from, and
memory grows with the square of their number.

Shapes, as suffixes: `B` samples, `T` steps, `N` services, `C` channels, `F` features, `H` horizon steps, `K` polynomials.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tidecast_predictor.baselines.neural import Budget, Graph, NeuralMethod, Shape

BLOCKS = 2
FILTERS = 64
POLYNOMIALS = 3


class TemporalAttention(nn.Module):
    """How much each step listens to each other, from all services there."""

    def __init__(self, channels: int, services: int, window: int) -> None:
        super().__init__()
        self.over_services = _vector(services)
        self.to_services = _matrix(channels, services)
        self.over_channels = _vector(channels)
        self.shift = _matrix(window, window)
        self.mix = _matrix(window, window)

    def forward(self, x_BNTC: Tensor) -> Tensor:
        """Of shape (B, T, T), from the first step to the second; adds up to one over the first."""
        left_BTN = torch.einsum("bntc,n->btc", x_BNTC, self.over_services) @ self.to_services
        right_BNT = x_BNTC @ self.over_channels
        return (self.mix @ (left_BTN @ right_BNT + self.shift).sigmoid()).softmax(dim=1)


class SpatialAttention(nn.Module):
    """How much each service listens to each other, from all steps as these listen to each other."""

    def __init__(self, channels: int, services: int, window: int) -> None:
        super().__init__()
        self.over_steps = _vector(window)
        self.to_steps = _matrix(channels, window)
        self.over_channels = _vector(channels)
        self.shift = _matrix(services, services)
        self.mix = _matrix(services, services)

    def forward(self, x_BNTC: Tensor, steps_BTT: Tensor) -> Tensor:
        """Of shape (B, N, N), from the first service to the second; adds up to one over the first."""
        left_BNT = torch.einsum("bntc,bt->bnc", x_BNTC, steps_BTT @ self.over_steps) @ self.to_steps
        right_BNT = (x_BNTC @ self.over_channels) @ steps_BTT
        return (self.mix @ (left_BNT @ right_BNT.transpose(1, 2) + self.shift).sigmoid()).softmax(dim=1)


class Block(nn.Module):
    """Attention, a convolution on the graph, one along time, a way around both."""

    def __init__(self, channels: int, shape: Shape, filters: int, polynomials: int) -> None:
        super().__init__()
        self.steps = TemporalAttention(channels, shape.services, shape.window)
        self.services = SpatialAttention(channels, shape.services, shape.window)
        self.graph = nn.Linear(polynomials * channels, filters, bias=False)
        self.time = nn.Linear(3 * filters, filters)
        self.around = nn.Linear(channels, filters)
        self.norm = nn.LayerNorm(filters)
        nn.init.xavier_uniform_(self.graph.weight)

    def forward(self, x_BNTC: Tensor, polynomials_KNN: Tensor) -> Tensor:
        """Of shape (B, N, T, filters); *polynomials_KNN* are those from T1 on."""
        heard_BNN = self.services(x_BNTC, self.steps(x_BNTC))
        flat = x_BNTC.flatten(2)
        # T0 is the identity: of the attention it leaves what each service makes of itself.
        brought = [heard_BNN.diagonal(dim1=1, dim2=2)[..., None] * flat]
        brought += [(polynomial_NN * heard_BNN).transpose(1, 2) @ flat for polynomial_NN in polynomials_KNN]
        spread = self.graph(torch.cat([each.view_as(x_BNTC) for each in brought], dim=-1)).relu()
        padded = functional.pad(spread, (0, 0, 1, 1))
        along = self.time(torch.cat([padded[:, :, :-2], padded[:, :, 1:-1], padded[:, :, 2:]], dim=-1))
        normed: Tensor = self.norm((self.around(x_BNTC) + along).relu())
        return normed


class Astgcn(nn.Module):
    """The blocks, and one linear map over all steps of the window to all features and steps ahead."""

    def __init__(
        self, shape: Shape, *, blocks: int = BLOCKS, filters: int = FILTERS, polynomials: int = POLYNOMIALS
    ) -> None:
        super().__init__()
        self._horizon, self._features = shape.horizon, shape.features
        widths = [shape.channels] + [filters] * (blocks - 1)
        self.blocks = nn.ModuleList(Block(width, shape, filters, polynomials) for width in widths)
        self.last = nn.Linear(shape.window * filters, shape.horizon * shape.features)
        self.register_buffer("polynomials", chebyshev(shape, polynomials)[1:], persistent=False)
        self.polynomials: Tensor

    def forward(self, x: Tensor, _graph: Graph) -> Tensor:
        """Windows (B, T, N, C) to standardised forecasts (B, H, N, F), on the graph it was built for."""
        x_BNTC = x.transpose(1, 2)
        for block in self.blocks:
            x_BNTC = block(x_BNTC, self.polynomials)
        said: Tensor = self.last(x_BNTC.flatten(2))
        return said.view(*said.shape[:2], self._horizon, self._features).transpose(1, 2)


def chebyshev(shape: Shape, count: int) -> Tensor:
    """
    The first *count* Chebyshev polynomials of the Laplacian of the graph, scaled into [-1, 1].

    Returns:
        float32 of shape (count, N, N).
    """
    adjacent_NN = torch.zeros((shape.services, shape.services), dtype=torch.float64)
    adjacent_NN[shape.calls[0], shape.calls[1]] = 1
    adjacent_NN = torch.maximum(adjacent_NN, adjacent_NN.T)
    adjacent_NN.fill_diagonal_(0)
    itself_NN = torch.eye(shape.services, dtype=torch.float64)
    laplacian_NN = adjacent_NN.sum(dim=1).diag() - adjacent_NN
    largest = float(torch.linalg.eigvalsh(laplacian_NN)[-1]) if shape.calls.shape[1] else 0.0
    scaled_NN = laplacian_NN * (2 / largest if largest > 0 else 0.0) - itself_NN
    found = [itself_NN, scaled_NN]
    while len(found) < count:
        found.append(2 * scaled_NN @ found[-1] - found[-2])
    return torch.stack(found[:count]).float()


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


def _vector(size: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(size).uniform_(-1, 1) / math.sqrt(size))


def astgcn(budget: Budget | None = None) -> NeuralMethod:
    """The method `astgcn`; squared error and learning rate as its authors' program has them."""
    return NeuralMethod("astgcn", Astgcn, loss="mse", learning_rate=1e-3, inductive=False, budget=budget or Budget())
