"""
The GCN-GRU: graph convolutions over who calls whom, a GRU over time, quantiles of every feature and step at once.

After arXiv:2508.07122 (a graph convolution on each time slice, a GRU, a time encoding, regression end to end), with what
measurements showed to matter: a path of its own for a service's own signal, calls kept apart by direction and weighted by
their share of the requests, forecasts relative to naive ones, and one more convolution on the recurrent state.

It knows no single service: every weight is shared, the graph is an input. So a service that appeared a minute ago is
forecast, and services may come and go. Units, clocks and histories are `batch`'s business.

Shapes, as suffixes: `N` services, `B` samples, `T` steps, `P` origins in a sample, `C` channels, `K` numbers of the clock,
`O` numbers known at an origin, `F` forecast features, `H` horizon steps, `W` courses, `D` hidden, `Q` quantiles, `E` calls.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tidecast_predictor.batch import COURSES, RECENT_STEPS, RETURNS, Batch, OriginInputs, channels, latest, origin_width
from tidecast_predictor.config import Architecture
from tidecast_predictor.convolution import GRAPH_NUMBERS, CallGraph, DirectedConvolution, propagate
from tidecast_predictor.recurrence import RecurrentWeights, is_faster, recur
from tidecast_predictor.recurrence_training import course
from tidecast_predictor.straight_line import StraightLine
from tidecast_predictor.time_encoding import width

BLOCK_ROWS = 1024
"""Rows the GRU works on at a time: their state stays in the processor's cache, and memory stays bounded."""

_BLOCK_ROWS_OF_A_GPU = 8_192
"""There a block is worked on at once, and small ones leave most of it idle; cuDNN keeps all steps of one, 4 GB of 60."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """
    What the network says of each origin, as changes from `OriginInputs.centre_NBPF` in units of `scale_NF`.

    Attributes:
        quantiles_NBPFHQ: Not falling along Q.
        mean_NBPFH: What is best under squared error.
        zero_NBPFH: Log-odds that the value is exactly zero, as it often is of what comes in episodes.
    """

    quantiles_NBPFHQ: Tensor
    mean_NBPFH: Tensor
    zero_NBPFH: Tensor


class GcnGru(nn.Module):
    """
    Quantiles of the change of every series from its present level, for all horizon steps at once.

    The median starts from naive forecasts, gated by the state: repeat the course of yesterday, of the usual day, of last
    week; go to the latest value, to the usual level, to what is usual at this hour. What the network adds is a correction,
    and a way straight from the newest steps. The other quantiles are steps away from the median that cannot be
    negative, so they do not cross. Once all is learnt a `StraightLine` is mixed in, which moves all quantiles alike.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        features, horizon = architecture.forecast_features, architecture.horizon_steps
        clock, hidden = width(architecture.periods), architecture.hidden
        naive = 1 + len(COURSES) + len(RETURNS)
        self.slices = DirectedConvolution(channels(architecture), hidden)
        self.clock = nn.Linear(clock, hidden, bias=False) if clock else None
        self.gru = nn.GRU(hidden, hidden, batch_first=True) if architecture.recurrent else None
        seasonal = features * len(COURSES) * (horizon + 1)
        self.origin = nn.Linear(hidden + origin_width(architecture) + GRAPH_NUMBERS + seasonal + 2 * clock, hidden)
        self.neighbours = DirectedConvolution(hidden, hidden)
        self.last = nn.Linear(2 * hidden, architecture.head)
        self.correction = nn.Linear(architecture.head, features * horizon * len(architecture.quantiles))
        self.mean = nn.Linear(architecture.head, features * horizon)
        self.zero = nn.Linear(architecture.head, features * horizon)
        self.recent = nn.Linear(RECENT_STEPS * architecture.features, 2 * features * horizon, bias=False)
        self.line = StraightLine(architecture)
        self.gates = nn.Linear(architecture.head, features * naive)
        self.gates_by_step = nn.Parameter(torch.full((features, horizon, naive), -1.0))
        self.skew = nn.Linear(architecture.head, features)
        self.skew_by_step = nn.Parameter(torch.full((features, horizon), -1.0))
        self.register_buffer("calibration", torch.ones(features, horizon, len(architecture.quantiles)))
        self.calibration: Tensor
        with torch.no_grad():
            self.gates_by_step[..., -len(RETURNS) :] = -4.0  # most series do not go back to what is usual so soon
            self.correction.weight.mul_(0.1)
            self.mean.weight.mul_(0.1)
            self.recent.weight.zero_()
            self.zero.weight.mul_(0.1)
            self.zero.bias.fill_(-2.0)

    @property
    def device(self) -> torch.device:
        """Where the weights are, and where batches have to be."""
        return self.gates_by_step.device

    def forward(self, batch: Batch) -> Answer:
        """Forecast each origin of each sample."""
        graph = batch.graph()
        return self.answer(batch, self._recur(batch, graph), graph)

    def answer(self, inputs: OriginInputs, state_NBPD: Tensor, graph: CallGraph) -> Answer:
        """As `forward`, of recurrent states at the origins."""
        known_NBPX = torch.cat(
            [
                state_NBPD,
                inputs.origin_NBPO,
                graph.numbers_N4[:, None, None].expand(*state_NBPD.shape[:3], -1),
                inputs.courses_NBPFHW.flatten(3),
                inputs.courses_known_NBPFW.flatten(3),
                inputs.ahead_BPK.expand(len(state_NBPD), -1, -1, -1),
            ],
            dim=-1,
        )
        here_NBPD = self.origin(known_NBPX).relu()
        around_NBPD = here_NBPD + self.neighbours(here_NBPD, *propagate(graph, here_NBPD)).relu()
        last_NBPX = self.last(torch.cat([state_NBPD, around_NBPD], dim=-1)).relu()
        recent_NBPFHM = self.recent(inputs.recent_NBPX).view(*last_NBPX.shape[:-1], *self.calibration.shape[:2], 2)
        quantiles = self._quantiles(last_NBPX, inputs) + recent_NBPFHM[..., :1]
        median = quantiles[..., self.architecture.quantiles.index(0.5)]
        skew = (self.skew(last_NBPX)[..., None] + self.skew_by_step).sigmoid() * inputs.skew_NF[:, None, None, :, None]
        mean = median + self.mean(last_NBPX).view_as(median) + recent_NBPFHM[..., 1] + skew
        zero = self.zero(last_NBPX).view_as(median)
        if self.training:  # the line is mixed with a network that has learnt
            return Answer(quantiles, mean, zero)
        line = self.line(inputs, graph)
        of_median, of_mean = self.line.shares_FH2.unbind(-1)
        moved = of_median * (line - median)
        return Answer(quantiles + moved[..., None], mean + of_mean * (line - mean), zero)

    def carry(self, steps_NTC: Tensor, clock_TK: Tensor, graph: CallGraph, state_ND: Tensor | None = None) -> Tensor:
        """
        The recurrent state after further steps. No gradients.

        Args:
            steps_NTC: What is told of the steps, as in `Batch`.
            clock_TK: The clock at them.
            graph: Who calls whom meanwhile.
            state_ND: The state before them; None is that before anything.
        """
        with torch.no_grad():
            parts_NTC = (steps_NTC, *propagate(graph, steps_NTC))
            if self._is_faster_carried(steps_NTC, len(steps_NTC)):
                return self._carried([part[:, None] for part in parts_NTC], clock_TK[None], state_ND)[:, 0]
            slices_NTD: Tensor = self.slices(*parts_NTC)
            course_NTD = (slices_NTD if self.clock is None else slices_NTD + self.clock(clock_TK)).relu()
            if self.gru is None:
                return course_NTD[:, -1]
            _, last_1ND = self.gru(course_NTD, None if state_ND is None else state_ND[None])
            last_ND: Tensor = last_1ND[0]
            return last_ND

    def calibrated(self, answer: Answer, inputs: OriginInputs) -> Tensor:
        """
        The quantiles of *answer*, their distances from the median stretched to what validation showed.

        Where zero is more likely than all else together it is the median, and no lower quantile is above it: a network
        that only learns where the median lies comes near zero and never to it.
        """
        stretched = self._stretched(answer.quantiles_NBPFHQ)
        middle = self.architecture.quantiles.index(0.5)
        zero_NF = -inputs.centre_NBPF / inputs.scale_NF[:, None, None]
        is_zero = answer.zero_NBPFH > 0
        median = torch.where(is_zero, zero_NF[..., None], stretched[..., middle])[..., None]
        return torch.cat(
            [
                torch.minimum(stretched[..., :middle], median),
                median,
                torch.maximum(stretched[..., middle + 1 :], median),
            ],
            dim=-1,
        )

    def _stretched(self, changes: Tensor) -> Tensor:
        middle = self.architecture.quantiles.index(0.5)
        median = changes[..., middle : middle + 1]
        away = (changes - median).abs() * self.calibration
        # Stretched one by one, quantiles of one side could pass each other.
        below, above = _rising(away[..., :middle].flip(-1)).flip(-1), _rising(away[..., middle + 1 :])
        return torch.cat([median - below, median, median + above], dim=-1)

    def _recur(self, batch: Batch, graph: CallGraph) -> Tensor:
        """The recurrent state at each origin, (N, B, P, D)."""
        parts_NBTC = (batch.steps_NBTC, *propagate(graph, batch.steps_NBTC))
        services, samples, steps, _ = batch.steps_NBTC.shape
        is_last = batch.origins_BP.shape[1] == 1 and bool((batch.origins_BP == steps - 1).all())
        if is_last and self._is_faster_carried(batch.steps_NBTC, services * samples):
            return self._carried(parts_NBTC, batch.clock_BTK)[:, :, None]
        at = batch.origins_BP[None, :, :, None].expand(services, -1, -1, self.architecture.hidden)
        states = []
        for block in _blocks(services, samples, self.device):
            inputs_RTC = self._inputs([part[block] for part in parts_NBTC], batch.clock_BTK)
            course_RTD = course(inputs_RTC, self._layers(), self.slices.own.bias, self.gru)
            states.append(course_RTD.view(-1, samples, *course_RTD.shape[1:]).gather(2, at[block]))
        return torch.cat(states) if states else batch.steps_NBTC.new_zeros(at.shape)

    def _layers(self) -> list[nn.Linear]:
        """What is added up at each step, but for the bias; of `_inputs`."""
        layers = [self.slices.own, self.slices.callees, self.slices.callers]
        return layers if self.clock is None else [*layers, self.clock]

    def _inputs(self, parts_NBTC: Sequence[Tensor], clock_BTK: Tensor) -> list[Tensor]:
        """Samples side by side. They lie at different hours: the clock is one more input."""
        known = parts_NBTC if self.clock is None else [*parts_NBTC, clock_BTK.expand(len(parts_NBTC[0]), -1, -1, -1)]
        return [part.flatten(0, 1) for part in known]

    def _is_faster_carried(self, steps: Tensor, rows: int) -> bool:
        is_served = not torch.is_grad_enabled() and steps.device.type == "cpu"
        return is_served and is_faster(min(BLOCK_ROWS, rows), self.architecture.hidden)

    def _carried(self, parts_NBTC: Sequence[Tensor], clock_BTK: Tensor, state_ND: Tensor | None = None) -> Tensor:
        """The state after the last step, (N, B, D), faster than with gradients; a state before only of one sample."""
        services, samples, steps, _ = parts_NBTC[0].shape
        if self.gru is None:
            parts_NBC = [part[:, :, -1] for part in parts_NBTC]
            clock_BD = 0.0 if self.clock is None else self.clock(clock_BTK[:, -1])
            ends: Tensor = self.slices(*parts_NBC) + clock_BD
            return ends.relu()
        bias_D = self.slices.own.bias
        if samples == 1:
            weights = RecurrentWeights.of(self._layers()[: len(parts_NBTC)], self.gru)
            clock_TD = bias_D.expand(steps, -1) if self.clock is None else self.clock(clock_BTK[0]) + bias_D
            return recur(weights, [part[:, 0] for part in parts_NBTC], clock_TD, state_ND)[:, None]
        weights, clock_TD = RecurrentWeights.of(self._layers(), self.gru), bias_D.expand(steps, -1)
        states = []
        for block in _blocks(services, samples, self.device):
            inputs_RTC = self._inputs([part[block] for part in parts_NBTC], clock_BTK)
            states.append(recur(weights, inputs_RTC, clock_TD).view(-1, samples, len(bias_D)))
        return torch.cat(states) if states else bias_D.new_zeros((0, samples, len(bias_D)))

    def _quantiles(self, last_NBPX: Tensor, inputs: OriginInputs) -> Tensor:
        features, horizon, count = self.calibration.shape
        shape = last_NBPX.shape[:-1]
        raw = self.correction(last_NBPX).view(*shape, features, horizon, count)
        gates = (self.gates(last_NBPX).view(*shape, features, 1, -1) + self.gates_by_step).sigmoid()
        latest_NBPF1 = latest(inputs.origin_NBPO, self.architecture)[..., None]
        levels_NBPFHX = torch.cat([latest_NBPF1, inputs.returns_NBPFV], dim=-1)[..., None, :].expand(
            *shape, features, horizon, -1
        )
        naive = (gates * torch.cat([inputs.courses_NBPFHW, levels_NBPFHX], dim=-1)).sum(-1)
        middle = self.architecture.quantiles.index(0.5)
        median = raw[..., middle] + naive
        away = functional.softplus(raw)
        below, above = away[..., :middle].flip(-1).cumsum(-1).flip(-1), away[..., middle + 1 :].cumsum(-1)
        return torch.cat([median[..., None] - below, median[..., None], median[..., None] + above], dim=-1)


def _blocks(services: int, samples: int, device: torch.device) -> Iterator[slice]:
    """Services whose rows, one for each sample, are worked on at a time."""
    rows = BLOCK_ROWS if device.type == "cpu" else _BLOCK_ROWS_OF_A_GPU
    size = max(1, rows // samples)
    return (slice(begin, begin + size) for begin in range(0, services, size))


def _rising(distances: Tensor) -> Tensor:
    """Along the last axis none smaller than the one before; a single one, the usual case, costs nothing."""
    return distances.cummax(-1).values if distances.shape[-1] > 1 else distances
