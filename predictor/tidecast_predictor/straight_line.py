"""
What a straight line sees: a linear forecast from the newest steps of a service and of its neighbours, in closed form.

Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970, on the model's scale, one
regression for each feature and step ahead, the same for all services. Gradient descent finds the slow course of a day
long before it finds how two overlapping rates follow each other; this is solved at once, and a network that knows
everything else is mixed with it by shares that were best on validation.

It is given distances alone, bounded and 0 where nothing is known, and of one feature at a time: an outage of one metric
says nothing wrong of another, and a service of a size that was never seen is no extrapolation.

Shapes: `N` services, `B` samples, `P` origins in a sample, `F` forecast features, `H` horizon steps, `D` regressors.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tidecast_predictor.batch import RECENT_STEPS, OriginInputs, from_usual
from tidecast_predictor.config import Architecture
from tidecast_predictor.convolution import CallGraph, propagate

LIMIT = 16.0
"""Usual changes; a forecast goes no further, and a target beyond says no more than that."""

_PENALTY = 1e-4  # in the mean square of a regressor
_SOURCES = 3  # the service, its callees, its callers

WIDTH = _SOURCES * RECENT_STEPS + 3
"""D: the newest steps of a service and around it, how far it is from what is usual and from that of the hour, one."""


class StraightLine(nn.Module):
    """
    The regression, and how far it is believed.

    Attributes:
        weights_FDH: Of the regressors; 0 until they are solved for.
        shares_FH2: In [0, 1], of the line in the median and in the mean; 0 until they are chosen.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._architecture = architecture
        features, horizon = architecture.forecast_features, architecture.horizon_steps
        self.register_buffer("weights_FDH", torch.zeros(features, WIDTH, horizon))
        self.register_buffer("shares_FH2", torch.zeros(features, horizon, 2))
        self.weights_FDH: Tensor
        self.shares_FH2: Tensor

    def forward(self, inputs: OriginInputs, graph: CallGraph) -> Tensor:
        """The change from `OriginInputs.centre_NBPF` in units of `scale_NF`, (N, B, P, F, H)."""
        said = [self.regressors(inputs, graph, f) @ weights_DH for f, weights_DH in enumerate(self.weights_FDH)]
        return torch.stack(said, dim=-2).clamp(-LIMIT, LIMIT)

    def regressors(self, inputs: OriginInputs, graph: CallGraph, feature: int) -> Tensor:
        """What a forecast of *feature* is made from, (N, B, P, D); 0 where nothing was measured."""
        recent_NBPX = inputs.recent_NBPX
        recent_NBPR = recent_NBPX.view(*recent_NBPX.shape[:-1], RECENT_STEPS, -1)[..., feature].contiguous()
        usual_NBP2 = from_usual(inputs.origin_NBPO, self._architecture, feature)
        one_NBP1 = torch.ones_like(recent_NBPR[..., :1])
        return torch.cat([recent_NBPR, *propagate(graph, recent_NBPR), usual_NBP2, one_NBP1], dim=-1)

    def solve(self, examples: Iterable[tuple[OriginInputs, CallGraph, Tensor]]) -> None:
        """
        Find the weights.

        Args:
            examples: What is given, and the changes that came true, (N, B, P, F, H); NaN where nothing was measured.
        """
        features, count, horizon = self.weights_FDH.shape
        squares = torch.zeros(features, horizon, count, count, dtype=torch.float64)
        products = torch.zeros(features, count, horizon, dtype=torch.float64)
        for inputs, graph, came in examples:
            for feature in range(features):
                came_RH = came[..., feature, :].flatten(0, 2)
                known_RH = torch.isfinite(came_RH)
                given_RD = self.regressors(inputs, graph, feature).flatten(0, 2).double()
                products[feature] += given_RD.T @ came_RH.nan_to_num(0.0).clamp(-LIMIT, LIMIT).double()
                is_whole_R = known_RH.all(dim=1)
                squares[feature] += given_RD[is_whole_R].T @ given_RD[is_whole_R]
                partial_RD, partial_RH = given_RD[~is_whole_R], known_RH[~is_whole_R]
                for step in range(horizon if len(partial_RD) else 0):
                    some_RD = partial_RD[partial_RH[:, step]]
                    squares[feature, step] += some_RD.T @ some_RD
        size_FH = squares.diagonal(dim1=2, dim2=3).mean(dim=2).clamp(min=1.0)
        penalised = squares + _PENALTY * size_FH[..., None, None] * torch.eye(count, dtype=torch.float64)
        solved_FHD = torch.linalg.solve(penalised, products.transpose(1, 2)[..., None])[..., 0]
        self.weights_FDH.copy_(solved_FHD.transpose(1, 2))
