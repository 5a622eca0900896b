"""
What a straight line sees: a linear forecast from the newest steps of a service and of its neighbours, in closed form.

Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970, on the model's scale, one
regression for each feature and step ahead, the same for all services. Gradient descent finds the slow course of a day
long before it finds how two overlapping rates follow each other; this is solved at once, and a network that knows
everything else is mixed with it by shares that were best on validation.

Shapes: `N` services, `B` samples, `P` origins in a sample, `F` forecast features, `H` horizon steps, `D` regressors.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tidecast_predictor.batch import RECENT_STEPS, OriginInputs, origin_width
from tidecast_predictor.config import Architecture
from tidecast_predictor.convolution import CallGraph, propagate

LIMIT = 16.0
"""Usual changes; a forecast goes no further, and a target beyond says no more than that."""

_PENALTY = 1e-4  # in the mean square of a regressor
_BESIDE_STEPS = 2  # of the other features
_SOURCES = 3  # the service, its callees, its callers


def width(architecture: Architecture) -> int:
    """D: its own newest steps and those around it, the other features' newest, what is known of the origin, one."""
    return _SOURCES * RECENT_STEPS + _BESIDE_STEPS * architecture.features + origin_width(architecture) + 1


class StraightLine(nn.Module):
    """
    The regression, and how far it is believed.

    Attributes:
        weights_FDH: Of the regressors; 0 until they are solved for.
        shares_FH2: In [0, 1], of the line in the median and in the mean; 0 until they are chosen.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._features, self._given = architecture.forecast_features, architecture.features
        features, horizon = architecture.forecast_features, architecture.horizon_steps
        self.register_buffer("weights_FDH", torch.zeros(features, width(architecture), horizon))
        self.register_buffer("shares_FH2", torch.zeros(features, horizon, 2))
        self.weights_FDH: Tensor
        self.shares_FH2: Tensor

    def forward(self, inputs: OriginInputs, graph: CallGraph) -> Tensor:
        """The change from `OriginInputs.centre_NBPF` in units of `scale_NF`, (N, B, P, F, H)."""
        said = [self.regressors(inputs, graph, f) @ weights_DH for f, weights_DH in enumerate(self.weights_FDH)]
        return torch.stack(said, dim=-2).clamp(-LIMIT, LIMIT)

    def regressors(self, inputs: OriginInputs, graph: CallGraph, feature: int) -> Tensor:
        """What a forecast of *feature* is made from, (N, B, P, D); 0 where nothing was measured."""
        own_NBPRA = inputs.recent_NBPX.view(*inputs.recent_NBPX.shape[:-1], RECENT_STEPS, self._given)
        recent_NBPR = own_NBPRA[..., feature].contiguous()
        beside_NBPX = own_NBPRA[..., -_BESIDE_STEPS:, :].flatten(-2)
        one_NBP1 = torch.ones_like(recent_NBPR[..., :1])
        parts = [recent_NBPR, *propagate(graph, recent_NBPR), beside_NBPX, inputs.origin_NBPO, one_NBP1]
        return torch.cat(parts, dim=-1)

    def solve(self, examples: Iterable[tuple[OriginInputs, CallGraph, Tensor]]) -> None:
        """
        Find the weights.

        Args:
            examples: What is given, and the changes that came true, (N, B, P, F, H); NaN where nothing was measured.
        """
        features, count, horizon = self.weights_FDH.shape
        squares = torch.zeros(features, count, count, dtype=torch.float64, device=self.weights_FDH.device)
        products = torch.zeros(features, count, horizon, dtype=torch.float64, device=self.weights_FDH.device)
        for inputs, graph, came in examples:
            for feature in range(features):
                came_RH = came[..., feature, :].flatten(0, 2)
                is_whole_R = torch.isfinite(came_RH).all(dim=-1)
                given_RD = self.regressors(inputs, graph, feature).flatten(0, 2)[is_whole_R].double()
                squares[feature] += given_RD.T @ given_RD
                products[feature] += given_RD.T @ came_RH[is_whole_R].clamp(-LIMIT, LIMIT).double()
        size_F = squares.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1.0)
        penalised = squares + _PENALTY * size_F[:, None, None] * torch.eye(count, dtype=torch.float64).to(squares)
        self.weights_FDH.copy_(torch.linalg.solve(penalised, products))
