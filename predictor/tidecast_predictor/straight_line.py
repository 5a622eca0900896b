"""
What a straight line sees: a linear forecast from the newest steps of a service and of its neighbours, in closed form.

Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970, on the model's scale, one
regression for each feature and step ahead, the same for all services. Gradient descent finds the slow course of a day
long before it finds how two overlapping rates follow each other; this is solved at once, and a network that knows
everything else is mixed with it by shares that were best on validation.

Where the newest step of a series is missing another line is added, which is solved for at such moments: things go on from
a missing step in another way than from one that was measured, and what the neighbours have there is worth more.

It is given distances alone, bounded and 0 where nothing is known, and of one feature at a time: an outage of one metric
says nothing wrong of another, and a service of a size that was never seen is no extrapolation.

Shapes: `N` services, `B` samples, `P` origins in a sample, `F` forecast features, `H` horizon steps, `D` regressors,
`R` moments, of all services and samples together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from tidecast_predictor.batch import RECENT_STEPS, OriginInputs, from_usual, is_late
from tidecast_predictor.config import Architecture
from tidecast_predictor.convolution import CallGraph, propagate

LIMIT = 16.0
"""Usual changes; a forecast goes no further, and a target beyond says no more than that."""

_PENALTY = 1e-4  # in the mean square of a regressor
_SOURCES = 3  # the service, its callees, its callers

WIDTH = _SOURCES * RECENT_STEPS + 3
"""D: the newest steps of a service and around it, how far it is from what is usual and from that of the hour, one."""

Examples = Iterable[tuple[OriginInputs, CallGraph, Tensor]]
"""What is given, and the changes that came true, (N, B, P, F, H); NaN where nothing was measured."""


class StraightLine(nn.Module):
    """
    The regression, and how far it is believed.

    Attributes:
        weights_FDH: Of the regressors; 0 until they are solved for.
        late_weights_FDH: And what is added to them where the newest step is missing.
        shares_FH2: In [0, 1], of the line in the median and in the mean; 0 until they are chosen.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._architecture = architecture
        features, horizon = architecture.forecast_features, architecture.horizon_steps
        self.register_buffer("weights_FDH", torch.zeros(features, WIDTH, horizon))
        self.register_buffer("late_weights_FDH", torch.zeros(features, WIDTH, horizon))
        self.register_buffer("shares_FH2", torch.zeros(features, horizon, 2))
        self.weights_FDH: Tensor
        self.late_weights_FDH: Tensor
        self.shares_FH2: Tensor

    def forward(self, inputs: OriginInputs, graph: CallGraph) -> Tensor:
        """The change from `OriginInputs.centre_NBPF` in units of `scale_NF`, (N, B, P, F, H)."""
        said = [self._said(inputs, graph, feature) for feature in range(len(self.weights_FDH))]
        return torch.stack(said, dim=-2).clamp(-LIMIT, LIMIT)

    def _said(self, inputs: OriginInputs, graph: CallGraph, feature: int) -> Tensor:
        given_NBPD = self.regressors(inputs, graph, feature)
        said_NBPH = given_NBPD @ self.weights_FDH[feature]
        is_late_NBP = is_late(inputs.origin_NBPO, self._architecture, feature)
        said_NBPH[is_late_NBP] += given_NBPD[is_late_NBP] @ self.late_weights_FDH[feature]
        return said_NBPH

    def regressors(self, inputs: OriginInputs, graph: CallGraph, feature: int) -> Tensor:
        """What a forecast of *feature* is made from, (N, B, P, D); 0 where nothing was measured."""
        recent_NBPX = inputs.recent_NBPX
        recent_NBPR = recent_NBPX.view(*recent_NBPX.shape[:-1], RECENT_STEPS, -1)[..., feature].contiguous()
        usual_NBP2 = from_usual(inputs.origin_NBPO, self._architecture, feature)
        one_NBP1 = torch.ones_like(recent_NBPR[..., :1])
        return torch.cat([recent_NBPR, *propagate(graph, recent_NBPR), usual_NBP2, one_NBP1], dim=-1)

    def solve(self, whole: Examples, gappy: Examples) -> None:
        """
        Find the weights.

        Args:
            whole: Moments as they were measured.
            gappy: Moments of which some steps are missing; what is added there is solved for at those whose newest is.
        """
        sums = _Sums.none(*self.weights_FDH.shape)
        for feature, given_RD, came_RH, _ in self._moments(whole):
            sums.add(feature, given_RD, came_RH)
        self.weights_FDH.copy_(sums.solved())
        sums = _Sums.none(*self.weights_FDH.shape)
        for feature, given_RD, came_RH, late_R in self._moments(gappy):
            late_RD = given_RD[late_R]
            sums.add(feature, late_RD, came_RH[late_R] - late_RD @ self.weights_FDH[feature])
        self.late_weights_FDH.copy_(sums.solved())

    def _moments(self, examples: Examples) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
        """For each feature of each example what is given, (R, D), what came true, (R, H), and where it is late, (R,)."""
        for inputs, graph, came in examples:
            for feature in range(len(self.weights_FDH)):
                given_RD = self.regressors(inputs, graph, feature).flatten(0, 2)
                came_RH = came[..., feature, :].flatten(0, 2).clamp(-LIMIT, LIMIT)
                yield feature, given_RD, came_RH, is_late(inputs.origin_NBPO, self._architecture, feature).flatten()


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """
    What the weights are solved for from, float64.

    Attributes:
        squares_FHDD: Sums of the products of two regressors, over moments of which it is known what came true.
        products_FDH: Of a regressor and what came true.
    """

    squares_FHDD: Tensor
    products_FDH: Tensor

    @classmethod
    def none(cls, features: int, count: int, horizon: int) -> Self:
        """Before the first moment."""
        squares_FHDD = torch.zeros(features, horizon, count, count, dtype=torch.float64)
        return cls(squares_FHDD, torch.zeros(features, count, horizon, dtype=torch.float64))

    def add(self, feature: int, given_RD: Tensor, came_RH: Tensor) -> None:
        """Take in moments; NaN where it is not known what came true."""
        given_RD, known_RH = given_RD.double(), torch.isfinite(came_RH)
        self.products_FDH[feature] += given_RD.T @ came_RH.nan_to_num(0.0).double()
        squares_HDD, is_whole_R = self.squares_FHDD[feature], known_RH.all(dim=1)
        squares_HDD += given_RD[is_whole_R].T @ given_RD[is_whole_R]
        partial_RD, partial_RH = given_RD[~is_whole_R], known_RH[~is_whole_R]
        for step in range(len(squares_HDD) if len(partial_RD) else 0):
            some_RD = partial_RD[partial_RH[:, step]]
            squares_HDD[step] += some_RD.T @ some_RD

    def solved(self) -> Tensor:
        """The weights, (F, D, H); 0 of a regressor that was always 0."""
        size_FH = self.squares_FHDD.diagonal(dim1=2, dim2=3).mean(dim=2).clamp(min=1.0)
        unit_DD = torch.eye(self.squares_FHDD.shape[-1], dtype=torch.float64)
        penalised = self.squares_FHDD + _PENALTY * size_FH[..., None, None] * unit_DD
        solved_FHD: Tensor = torch.linalg.solve(penalised, self.products_FDH.transpose(1, 2)[..., None])[..., 0]
        return solved_FHD.transpose(1, 2)
