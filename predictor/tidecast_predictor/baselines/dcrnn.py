"""
DCRNN: a GRU whose matrices are random walks along the calls, down and up, in an encoder and a decoder.

After Li et al., Diffusion Convolutional Recurrent Neural Network: Data-Driven Traffic Forecasting (arXiv:1707.01926): two
layers, walks of up to two steps in both directions, and a decoder that learns with the truth fed back ever more rarely.
The walks are the powers of the paper's equation 2; each row of theirs is a mean over callees or over callers.

Shapes, as suffixes: `B` samples, `T` steps, `N` services, `C` channels, `D` hidden, `F` features, `H` horizon, `E` calls,
`W` walks: none, one and two steps to the callees, one and two steps to the callers.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tidecast_predictor.baselines.neural import Budget, Graph, NeuralMethod, Shape
from tidecast_predictor.baselines.walking import transition, walk

HIDDEN = 64
LAYERS = 2
WALKS = 5

_DECAY, _UPDATES = 2000.0, 37_500
"""Of the authors' schedule on METR-LA: the k of its inverse sigmoid, and 100 epochs of 375 updates."""


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """
    One step of a random walk in each direction.

    Attributes:
        callees_NN: Sparse; a row is the chance to step to each callee, by the weight of the call.
        callers_NN: The same for callers.
    """

    callees_NN: Tensor
    callers_NN: Tensor

    @classmethod
    def on(cls, graph: Graph) -> "Walks":
        """The walks on *graph*; from a service without calls that way they go nowhere."""
        return cls(transition(graph, graph.calls), transition(graph, graph.calls.flip(0)))

    def diffuse(self, said: Tensor) -> Tensor:
        """
        Add up what is said at the end of each walk.

        What comes from two steps away joins what comes from one before it is carried on, so that a service's answer and
        the memory for it are as wide as one walk, not as all of them.

        Args:
            said: By each service for each of the walks, one after the other, (N, B, W * X).

        Returns:
            Of shape (N, B, X).
        """
        here, down, down_down, up, up_up = said.chunk(WALKS, dim=-1)
        return (
            here
            + walk(self.callees_NN, down + walk(self.callees_NN, down_down))
            + walk(self.callers_NN, up + walk(self.callers_NN, up_up))
        )


class DiffusionConvolution(nn.Module):
    """Weights for each walk, and a bias."""

    def __init__(self, inputs: int, outputs: int, *, bias: float) -> None:
        super().__init__()
        self.by_walk = nn.Linear(inputs, WALKS * outputs, bias=False)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        nn.init.normal_(self.by_walk.weight, std=math.sqrt(2 / (WALKS * inputs + outputs)))

    def forward(self, x: Tensor, walks: Walks) -> Tensor:
        """Of (N, B, inputs) to (N, B, outputs)."""
        diffused: Tensor = walks.diffuse(self.by_walk(x)) + self.bias
        return diffused


class DiffusionGru(nn.Module):
    """The recurrent cell."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = DiffusionConvolution(inputs + hidden, 2 * hidden, bias=1.0)  # at first the state passes
        self.candidate = DiffusionConvolution(inputs + hidden, hidden, bias=0.0)

    def forward(self, x: Tensor, state_NBD: Tensor, walks: Walks) -> Tensor:
        """The state after a step, (N, B, D), from its inputs (N, B, inputs)."""
        reset, update = self.gates(torch.cat([x, state_NBD], dim=-1), walks).sigmoid().chunk(2, dim=-1)
        candidate: Tensor = self.candidate(torch.cat([x, reset * state_NBD], dim=-1), walks).tanh()
        after: Tensor = update * state_NBD + (1 - update) * candidate
        return after


class Dcrnn(nn.Module):
    """
    An encoder that reads the window, and a decoder that says one step after the other, each from what it said before.

    While it learns, the decoder is given the truth of the step before instead, with a chance that falls from one to none
    as learning goes on (`truth_chance`). Chance is thrown for a step, for the whole batch.
    """

    def __init__(self, shape: Shape, hidden: int = HIDDEN, layers: int = LAYERS) -> None:
        super().__init__()
        self._horizon, self._features, self._hidden = shape.horizon, shape.features, hidden
        above = [hidden] * (layers - 1)
        self.encoder = nn.ModuleList(DiffusionGru(width, hidden) for width in (shape.channels, *above))
        self.decoder = nn.ModuleList(DiffusionGru(width, hidden) for width in (shape.features, *above))
        self.last = nn.Linear(hidden, shape.features)
        self._truth_HNBF: Tensor | None = None
        self._given = torch.zeros(shape.horizon, dtype=torch.bool)

    def teach(self, targets: Tensor, done: float) -> None:
        """
        Have the next forward pass of learning fed with the truth.

        Args:
            targets: Standardised, (B, H, N, F).
            done: How much of the learning is done, in [0, 1].
        """
        self._truth_HNBF = targets.permute(1, 2, 0, 3)
        self._given = torch.rand(self._horizon) < truth_chance(done)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Windows (B, T, N, C) to standardised forecasts (B, H, N, F)."""
        walks = Walks.on(graph)
        truth, self._truth_HNBF = self._truth_HNBF, None
        states = [x.new_zeros(x.shape[2], len(x), self._hidden)] * len(self.encoder)
        for x_NBC in x.permute(1, 2, 0, 3):
            states = _through(self.encoder, x_NBC, states, walks)
        said_NBF = x.new_zeros(x.shape[2], len(x), self._features)
        forecasts = []
        for step in range(self._horizon):
            states = _through(self.decoder, said_NBF, states, walks)
            said_NBF = self.last(states[-1])
            forecasts.append(said_NBF)
            if self.training and truth is not None and self._given[step]:
                said_NBF = truth[step]
        said: Tensor = torch.stack(forecasts).permute(2, 0, 1, 3)
        return said


def truth_chance(done: float) -> float:
    """
    How often the decoder is given the truth when a part *done* in [0, 1] of the learning is done.

    The paper's inverse sigmoid k / (k + exp(i / k)) over updates i, shrunk to a learning of any length such that truth
    and forecast are even at the same part of it.
    """
    updates = done * _UPDATES
    return _DECAY / (_DECAY + math.exp(updates / _DECAY))


def _through(layers: nn.ModuleList, x: Tensor, states: list[Tensor], walks: Walks) -> list[Tensor]:
    """The states of all layers after a step."""
    after = []
    for layer, state in zip(layers, states, strict=True):
        x = layer(x, state, walks)
        after.append(x)
    return after


def dcrnn(budget: Budget | None = None) -> NeuralMethod:
    """The method `dcrnn`; absolute error and learning rate as the paper's."""
    return NeuralMethod("dcrnn", Dcrnn, loss="mae", learning_rate=1e-2, inductive=True, budget=budget or Budget())
