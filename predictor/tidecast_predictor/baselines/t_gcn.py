"""
T-GCN: a GRU whose gates look at the neighbours, the classic combination of graph convolution and recurrence.

After Zhao et al., T-GCN: A Temporal Graph Convolutional Network for Traffic Prediction (arXiv:1811.05320), in the form its
published figures were made with: one convolution over input and state together in each gate. The paper's equations
convolve the input only, twice, and leave the state alone. Roads have no direction there, so calls count both ways here.

Shapes, as suffixes: `B` samples, `T` steps, `N` services, `C` channels, `D` hidden, `F` features, `H` horizon, `E` calls.
"""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from tidecast_predictor.baselines.neural import Budget, Graph, NeuralMethod, Shape

with warnings.catch_warnings():
    # Importing torch-geometric and the first compressed sparse matrix each warn once about torch's own plans.
    warnings.simplefilter("ignore")
    from torch_geometric.utils import coalesce, scatter, spmm, to_torch_csr_tensor

    to_torch_csr_tensor(torch.zeros((2, 1), dtype=torch.int64), size=(1, 1))

HIDDEN = 64
"""As the paper found best on Los-loop."""


class GraphGru(nn.Module):
    """
    The recurrent cell over whole windows.

    A convolution is linear in what it is given, so that the share of the inputs is worked out for all steps at once.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self._inputs, self._hidden = inputs, hidden
        self.gates = nn.Linear(inputs + hidden, 2 * hidden)
        self.candidate = nn.Linear(inputs + hidden, hidden)
        for layer, bias in ((self.gates, 1.0), (self.candidate, 0.0)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, bias)  # at first a gate lets the state through

    def forward(self, x_NBTC: Tensor, neighbours_NN: Tensor) -> Tensor:
        """The state after the last step, (N, B, D)."""
        of_x = torch.cat([self.gates.weight[:, : self._inputs], self.candidate.weight[:, : self._inputs]])
        gates_of_state = self.gates.weight[:, self._inputs :]
        candidate_of_state = self.candidate.weight[:, self._inputs :]
        bias = torch.cat([self.gates.bias, self.candidate.bias])
        driven_NBTX = functional.linear(propagate(neighbours_NN, x_NBTC), of_x, bias)
        state = x_NBTC.new_zeros(*x_NBTC.shape[:2], self._hidden)
        for driven in driven_NBTX.unbind(2):
            of_gates, of_candidate = torch.split(driven, [2 * self._hidden, self._hidden], dim=-1)
            gates = of_gates + functional.linear(propagate(neighbours_NN, state), gates_of_state)
            reset, update = gates.sigmoid().chunk(2, dim=-1)
            kept = propagate(neighbours_NN, reset * state)
            candidate = (of_candidate + functional.linear(kept, candidate_of_state)).tanh()
            state = update * state + (1 - update) * candidate
        return state


class TGcn(nn.Module):
    """The cell over the window, and one linear map from its last state to all features and steps ahead."""

    def __init__(self, shape: Shape, hidden: int = HIDDEN) -> None:
        super().__init__()
        self._horizon, self._features = shape.horizon, shape.features
        self.gru = GraphGru(shape.channels, hidden)
        self.last = nn.Linear(hidden, shape.horizon * shape.features)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Windows (B, T, N, C) to standardised forecasts (B, H, N, F)."""
        state_NBD = self.gru(x.permute(2, 0, 1, 3).contiguous(), normalised(graph))
        said = self.last(state_NBD).view(*state_NBD.shape[:2], self._horizon, self._features)
        forecasts: Tensor = said.permute(1, 2, 0, 3)
        return forecasts


def normalised(graph: Graph) -> Tensor:
    """
    Whom each service listens to: itself and those it shares a call with, scaled by the degree at both ends.

    A weight up to 1 is an affinity as between the paper's sensors, and stays. A larger one counts requests; it is taken
    relative to the largest at both of its ends, lest a service hears itself ever less the busier its mesh is.

    Returns:
        Sparse, (N, N), symmetric.
    """
    caller_E, callee_E = graph.calls
    both_ways = torch.cat([graph.calls, graph.calls.flip(0)], dim=1)
    largest_N = scatter(graph.weights.repeat(2), both_ways[0], dim=0, dim_size=graph.services, reduce="max").clamp(
        min=1
    )
    affinity_E = graph.weights / (largest_N[caller_E] * largest_N[callee_E]).sqrt()
    pairs, affinity = coalesce(both_ways, affinity_E.repeat(2), graph.services, reduce="max")
    itself = torch.arange(graph.services, device=pairs.device).expand(2, -1)
    pairs, affinity = torch.cat([pairs, itself], dim=1), torch.cat([affinity, affinity.new_ones(graph.services)])
    degree_N = scatter(affinity, pairs[0], dim=0, dim_size=graph.services, reduce="sum")
    scaled = affinity / (degree_N[pairs[0]] * degree_N[pairs[1]]).sqrt()
    matrix: Tensor = to_torch_csr_tensor(pairs, scaled, size=(graph.services, graph.services))
    return matrix


def propagate(neighbours_NN: Tensor, x: Tensor) -> Tensor:
    """What each service hears of (N, ...), all samples and steps in one product."""
    heard: Tensor = spmm(neighbours_NN, x.flatten(1))
    return heard.view_as(x)


def t_gcn(budget: Budget | None = None) -> NeuralMethod:
    """The method `t-gcn`; squared error, as the paper's."""
    return NeuralMethod("t-gcn", TGcn, loss="mse", learning_rate=1e-3, inductive=True, budget=budget or Budget())
