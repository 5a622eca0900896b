"""
The core of the GCN-GRU as it is served and learnt here, and the same network as one would write it with PyTorch Geometric.

The core is a directed convolution on every slice, a GRU and a linear head. Its calibration, seasons and second convolution
are left out, as no peer has them; `model` is all of it.
"""

from functools import cache, partial
from typing import cast

import torch
from case import EPOCH_STEPS, FEATURES, HIDDEN, HORIZON, Case, Contender, learning, learning_windows
from torch import Tensor, nn

from tidecast_predictor.batch import COURSES, RECENT_STEPS, RETURNS, Batch, channels, origin_width
from tidecast_predictor.compiled import Backend
from tidecast_predictor.config import Architecture
from tidecast_predictor.convolution import CallGraph, DirectedConvolution
from tidecast_predictor.model import GcnGru
from tidecast_predictor.recurrence import RecurrentWeights, recur
from tidecast_predictor.recurrence_training import course

_ROWS = 1024  # (service, chunk) pairs of an optimiser step
_CHUNK = 96  # steps that are learnt from


class Core(nn.Module):
    """Our layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.slices = DirectedConvolution(FEATURES, HIDDEN)
        self.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, HORIZON)

    def layers(self) -> list[nn.Linear]:
        """Of the convolution."""
        return [self.slices.own, self.slices.callees, self.slices.callers]

    def learnt(self, parts: list[Tensor], backend: Backend) -> Tensor:
        """Forecasts at every step but for the first ones, with gradients."""
        states = course(parts, self.layers(), self.slices.own.bias, self.gru, backend=backend)
        said: Tensor = self.head(states[:, -_CHUNK:])
        return said


def propagated(graph: CallGraph, x_NTF: Tensor) -> list[Tensor]:
    """Of each service itself, of its callees and of its callers, all steps in one product each."""
    flat = x_NTF.flatten(1)
    return [x_NTF, *((matrix @ flat).view_as(x_NTF) for matrix in (graph.callees_NN, graph.callers_NN))]


def core(case: Case, backend: Backend) -> Contender:
    """Ours with one of the two backends of the recurrence, learning included."""
    network = Core()
    graph = CallGraph.of(case.calls_2E, case.weights_E, case.services)
    x_NTF = case.x_TNF.transpose(0, 1).contiguous()
    newest = x_NTF[:, -1:].contiguous()
    state = torch.zeros(case.services, HIDDEN)

    def answer(x: Tensor, before: Tensor | None) -> Tensor:
        if x.device.type == "cuda":  # as the model does there
            slices = network.slices(*propagated(graph, x)).relu()
            _, last = network.gru(slices, None if before is None else before[None])
            return cast("Tensor", network.head(last[0]))
        weights = RecurrentWeights.of(network.layers(), network.gru)
        clock = network.slices.own.bias.detach().expand(x.shape[1], HIDDEN)
        said: Tensor = network.head(recur(weights, propagated(graph, x), clock, before, backend=backend))
        return said

    @cache  # not part of what a forecast holds
    def chunk(*shape: int) -> Tensor:
        return torch.randn(*shape, _CHUNK + case.steps, FEATURES)

    chunks = EPOCH_STEPS / _CHUNK
    return Contender(
        forward=lambda: answer(x_NTF, None),
        step=lambda: answer(newest, state),
        epoch=(
            (lambda: propagated(graph, chunk(case.services)), chunks),
            (learning(network, lambda: network.learnt(list(chunk(3, _ROWS)), backend)), chunks * case.services / _ROWS),
        ),
    )


class Reference(nn.Module):
    """The same network: a GCNConv for each direction and slice, then nn.GRU over all services."""

    def __init__(self, network: Core) -> None:
        super().__init__()
        from torch_geometric.nn import GCNConv  # noqa: PLC0415 - after tidecast_predictor, which quiets its import

        self.core = network
        self.to_callers, self.to_callees = (GCNConv(FEATURES, HIDDEN, normalize=False, bias=False) for _ in range(2))
        self.to_callers.lin.weight = network.slices.callees.weight
        self.to_callees.lin.weight = network.slices.callers.weight

    def forward(self, case: Case) -> Tensor:
        """Forecasts of a window."""
        calls, weights = case.calls_2E, case.weights_E
        out, into = (torch.zeros(case.services).index_add(0, end, weights) for end in calls)
        slices = [
            (
                self.core.slices.own(step)
                + self.to_callers(step, calls.flip(0), weights / out[calls[0]])
                + self.to_callees(step, calls, weights / into[calls[1]])
            ).relu()
            for step in case.x_TNF
        ]
        course, _ = self.core.gru(torch.stack(slices, dim=1))
        said: Tensor = self.core.head(course[:, -1])
        return said


def reference(case: Case) -> Contender:
    """The same network as `core`, plainly."""
    network = Reference(Core())
    return Contender(partial(network, case), epoch=learning_windows(network, network, case))


def model(case: Case) -> Contender:
    """All of `GcnGru` on a batch that is ready, one feature forecast."""
    architecture = Architecture(
        step_seconds=60, window_steps=case.steps, horizon_steps=HORIZON, features=FEATURES, forecast_features=1
    )
    network = GcnGru(architecture).eval()
    services, steps = case.services, case.steps
    clock = network.clock.in_features
    batch = Batch(
        steps_NBTC=torch.randn(services, 1, steps, channels(architecture)),
        clock_BTK=torch.randn(1, steps, clock),
        origins_BP=torch.full((1, 1), steps - 1),
        origin_NBPO=torch.randn(services, 1, 1, origin_width(architecture)),
        recent_NBPX=torch.randn(services, 1, 1, RECENT_STEPS * FEATURES),
        courses_NBPFHW=torch.randn(services, 1, 1, 1, HORIZON, len(COURSES)),
        courses_known_NBPFW=torch.ones(services, 1, 1, 1, len(COURSES)),
        returns_NBPFV=torch.randn(services, 1, 1, 1, len(RETURNS)),
        skew_NF=torch.zeros(services, 1),
        ahead_BPK=torch.randn(1, 1, 2 * clock),
        calls_2E=case.calls_2E,
        rates_E=case.weights_E,
        centre_NBPF=torch.zeros(services, 1, 1, 1),
        scale_NF=torch.ones(services, 1),
    )
    return Contender(lambda: network(batch))
