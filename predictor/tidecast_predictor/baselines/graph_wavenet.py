"""
Graph WaveNet: gated convolutions along time with growing gaps, random walks along the calls and along learnt ones.

After Wu et al., Graph WaveNet for Deep Spatial-Temporal Graph Modeling (arXiv:1906.00121): eight layers of 32 channels,
walks of up to two steps to the callees, to the callers and over an adjacency that is learnt from two vectors of ten
numbers for each service, dropout 0.3, absolute error, Adam at 0.001. Without the learnt adjacency, which the paper
offers too, nothing of a single service is in it, and it forecasts services it has never seen.

The paper's gaps 1, 2, 1, 2 ... see 13 steps. A longer window gets two runs of doubling gaps, 1, 2, 4 ... each, the
fewest that see all of it: 8, 10 and 12 layers for 24, 60 and 120 steps. What is seen before the window is 0.

Shapes, as suffixes: `B` samples, `T` steps, `N` services, `C` channels, `F` features, `H` horizon steps, `E` calls.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tidecast_predictor.baselines.neural import Budget, Graph, NeuralMethod, Shape
from tidecast_predictor.baselines.walking import transition, walk

CHANNELS = 32
EMBEDDING = 10
WALK_STEPS = 2
DROPOUT = 0.3

_PAPERS_GAPS = (1, 2) * 4
_REMEMBERED = 4_000_000
"""Rows of channels, over all layers, beyond which a layer is worked out again for its gradient: memory stays bounded."""


def gaps_for(window: int) -> tuple[int, ...]:
    """The gap of each layer's two taps, so that the last step sees all of *window*."""
    if window <= receptive_field(_PAPERS_GAPS):
        return _PAPERS_GAPS
    doublings = 4
    while receptive_field(run := tuple(2**power for power in range(doublings)) * 2) < window:
        doublings += 1
    return run


def receptive_field(gaps: Sequence[int]) -> int:
    """How many steps the last one sees."""
    return 1 + sum(gaps)


class GatedConvolution(nn.Module):
    """Two taps, *gap* steps apart; what one half of the outputs says, the other half lets through."""

    def __init__(self, channels: int, gap: int) -> None:
        super().__init__()
        self.gap = gap
        self.taps = nn.Linear(2 * channels, 2 * channels)

    def forward(self, x_NBTC: Tensor) -> Tensor:
        """Of (N, B, T, C) to (N, B, T - gap, C)."""
        said, gate = self.taps(torch.cat([x_NBTC[:, :, : -self.gap], x_NBTC[:, :, self.gap :]], dim=-1)).chunk(
            2, dim=-1
        )
        passed: Tensor = said.tanh() * gate.sigmoid()
        return passed


class DiffusionConvolution(nn.Module):
    """A service's own, and what walks of one and two steps over each matrix bring."""

    def __init__(self, channels: int, matrices: int, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Linear((1 + WALK_STEPS * matrices) * channels, channels)
        self._dropout = dropout

    def forward(self, x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        """Of (N, B, T, C) to the same."""
        brought = [x]
        for matrix_NN in matrices:
            there = x
            for _ in range(WALK_STEPS):
                there = walk(matrix_NN, there)
                brought.append(there)
        return functional.dropout(self.mix(torch.cat(brought, dim=-1)), self._dropout, self.training)


class GraphWaveNet(nn.Module):
    """
    The network.

    Only the last step is forecast from, so each layer's share of the output is worked out for that step alone, and
    behind the last gated convolution there is no graph convolution, whose result nothing would read.
    """

    def __init__(
        self, shape: Shape, *, adaptive: bool = True, channels: int = CHANNELS, dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self._horizon, self._features = shape.horizon, shape.features
        gaps = gaps_for(shape.window)
        self.field = receptive_field(gaps)
        matrices = 2 + adaptive
        self.start = nn.Linear(shape.channels, channels)
        self.gated = nn.ModuleList(GatedConvolution(channels, gap) for gap in gaps)
        self.skips = nn.ModuleList(nn.Linear(channels, 8 * channels) for _ in gaps)
        self.graphs = nn.ModuleList(DiffusionConvolution(channels, matrices, dropout) for _ in gaps[1:])
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in gaps[1:])
        self.end = nn.Sequential(
            nn.ReLU(),
            nn.Linear(8 * channels, 16 * channels),
            nn.ReLU(),
            nn.Linear(16 * channels, shape.horizon * shape.features),
        )
        self.sources = nn.Parameter(torch.randn(shape.services, EMBEDDING)) if adaptive else None
        self.targets = nn.Parameter(torch.randn(shape.services, EMBEDDING)) if adaptive else None

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Windows (B, T, N, C) to standardised forecasts (B, H, N, F)."""
        matrices = [transition(graph, graph.calls), transition(graph, graph.calls.flip(0))]
        if self.sources is not None and self.targets is not None:
            matrices.append((self.sources @ self.targets.T).relu().softmax(dim=1))
        x_NBTC = x.permute(2, 0, 1, 3)
        x_NBTC = self.start(functional.pad(x_NBTC, (0, 0, max(0, self.field - x.shape[1]), 0)))
        again = self.training and len(self.gated) * x_NBTC[..., 0].numel() // 2 > _REMEMBERED
        summed: Tensor | None = None
        for layer, skip in enumerate(self.skips):
            if layer < len(self.graphs):
                step = (layer, x_NBTC, matrices)
                last, x_NBTC = checkpoint(self._layer, *step, use_reentrant=False) if again else self._layer(*step)
                x_NBTC = self.norms[layer](x_NBTC.flatten(0, 2)).view_as(x_NBTC)
            else:
                last = self.gated[layer](x_NBTC)[:, :, -1]
            summed = skip(last) if summed is None else summed + skip(last)
        said: Tensor = self.end(summed)
        return said.view(*said.shape[:2], self._horizon, self._features).permute(1, 2, 0, 3)

    def _layer(self, layer: int, x_NBTC: Tensor, matrices: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What the last step says of itself, (N, B, C), and what goes on to the next layer, before its norm."""
        seen = self.gated[layer](x_NBTC)
        around = self.graphs[layer](seen, matrices)
        return seen[:, :, -1], around + x_NBTC[:, :, -around.shape[2] :]


def _fixed(shape: Shape) -> GraphWaveNet:
    return GraphWaveNet(shape, adaptive=False)


def graph_wavenet(budget: Budget | None = None) -> NeuralMethod:
    """The method `graph-wavenet`; loss, learning rate and weight decay as the paper's program has them."""
    return NeuralMethod(
        "graph-wavenet",
        GraphWaveNet,
        loss="mae",
        learning_rate=1e-3,
        weight_decay=1e-4,
        inductive=False,
        budget=budget or Budget(),
    )


def graph_wavenet_fixed(budget: Budget | None = None) -> NeuralMethod:
    """The method `graph-wavenet-fixed`: without the learnt adjacency, so that it forecasts services it has never seen."""
    return replace(graph_wavenet(budget), name="graph-wavenet-fixed", build=_fixed, inductive=True)
