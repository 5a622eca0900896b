"""
What the model is given: windows of measurements made comparable across services, with nothing lost that was missing.

The one builder of model inputs, for training and for serving. Every series is seen relative to its own recent level and
in units of its own usual change, both known at each step from its past alone, so that a recurrent state can be carried
from one step to the next.

Shapes: `B` samples, `T` steps, `P` origins in a sample, `N` services, `A` features, `F` forecast features, `H` horizon
steps, `W` seasons, `C` channels of a step, `K` numbers of the clock, `O` numbers known at an origin, `E` calls.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from tidecast_predictor.config import DAY_SECONDS, WEEK_SECONDS, Architecture
from tidecast_predictor.convolution import CallGraph
from tidecast_predictor.levels import HALF_LIVES, LIMIT, over_window, relative, staleness, steps_without
from tidecast_predictor.scaling import Reference
from tidecast_predictor.time_encoding import encode

COURSES = ("yesterday", "usual day", "last week")
RETURNS = ("usual level", "usual level at this hour")
RECENT_STEPS = 12
"""So many of the newest steps are told of once more, straight: what a straight line sees in them needs no state."""

_ORIGIN_PARTS = 7
_UNUSUAL_PART, _LATEST_PART, _STALENESS_PART = 2, 3, 4


def channels(architecture: Architecture) -> int:
    """C, how many numbers tell of a step."""
    return architecture.features * (len(HALF_LIVES) + 1)


def origin_width(architecture: Architecture) -> int:
    """O, how many numbers tell of an origin."""
    return _ORIGIN_PARTS * architecture.features + architecture.forecast_features


def latest(origin_NBPO: Tensor, architecture: Architecture) -> Tensor:
    """Of what is known at an origin, the newest values against the levels forecasts start from, (N, B, P, F)."""
    begin = _LATEST_PART * architecture.features
    return origin_NBPO[..., begin : begin + architecture.forecast_features]


def from_usual(origin_NBPO: Tensor, architecture: Architecture, feature: int) -> Tensor:
    """How far the level of a forecast *feature* lies from what is usual, and from that at this hour, (N, B, P, 2)."""
    at = [_UNUSUAL_PART * architecture.features + feature, _ORIGIN_PARTS * architecture.features + feature]
    return origin_NBPO[..., at]


def is_late(origin_NBPO: Tensor, architecture: Architecture, feature: int) -> Tensor:
    """Where the newest step of a forecast *feature* is missing, bool (N, B, P)."""
    return origin_NBPO[..., _STALENESS_PART * architecture.features + feature] > 0


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """
    Measurements on the model's scale, NaN where missing, from which a batch is made.

    Attributes:
        z_BTNA: The windows.
        before_BNA: The last value known before each window; counts only where the window holds nothing.
        times_BT: Of the steps, unix seconds, int64.
        origins_BP: The steps that forecasts are made at, as positions along T, int64.
        days_BPWJNF: What was measured one season before each origin and its targets:
            J = S + 1 + H + S steps, S the architecture's `smoothing_steps`.
        calls_2E: Callers and callees, int64.
        rates_E: Requests per second along each call.
        reference: How each of the N services usually behaves.
    """

    z_BTNA: Tensor
    before_BNA: Tensor
    times_BT: Tensor
    origins_BP: Tensor
    days_BPWJNF: Tensor
    calls_2E: Tensor
    rates_E: Tensor
    reference: Reference


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """
    What is known of each series where forecasts are made, on the model's scale.

    Attributes:
        times_BP: Unix seconds, int64.
        level_NBPA: The level forecasts start from; NaN where a series was never measured.
        recent_NBPRA: The newest `RECENT_STEPS` values, newest last; NaN where missing.
        steps_without_NBPA: How many steps ago each feature was last measured.
        days_BPWJNF: As in `Material`.
    """

    times_BP: Tensor
    level_NBPA: Tensor
    recent_NBPRA: Tensor
    steps_without_NBPA: Tensor
    days_BPWJNF: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class OriginInputs:
    """
    What the model is told of the origins beside its recurrent state, node-major, free of NaN but for `centre_NBPF`.

    Attributes:
        origin_NBPO: What is known of each series at the origin: levels, scales, how stale it is.
        recent_NBPX: Its newest `RECENT_STEPS` values against the level that forecasts start from, in usual changes.
        courses_NBPFHW: The course after the same moment yesterday and last week, in units of `scale_NF`.
        courses_known_NBPFW: 1 where that is known.
        returns_NBPFV: How far away each of the `RETURNS` is, in units of `scale_NF`; 0 where that is not known.
        skew_NF: How far the usual mean lies above the usual median, in units of `scale_NF`; 0 where not known.
        ahead_BPK: The clock at the first and the last target.
        centre_NBPF: The level forecasts start from, on the model's scale; NaN where a series was never measured.
        scale_NF: The unit of the model's outputs, on the model's scale.
    """

    origin_NBPO: Tensor
    recent_NBPX: Tensor
    courses_NBPFHW: Tensor
    courses_known_NBPFW: Tensor
    returns_NBPFV: Tensor
    skew_NF: Tensor
    ahead_BPK: Tensor
    centre_NBPF: Tensor
    scale_NF: Tensor

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return replace(self, **{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def in_changes(self, truth_NBPFH: Tensor) -> Tensor:
        """What came true on the model's scale, as the model says it: changes in usual changes."""
        return (truth_NBPFH - self.centre_NBPF[..., None]) / self.scale_NF[:, None, None, :, None]


@dataclass(frozen=True, slots=True, eq=False)
class Batch(OriginInputs):
    """
    All that the model is given: windows, and what is told of the origins in them.

    Attributes:
        steps_NBTC: Each step relative to running levels, and which features were measured.
        clock_BTK: The clock at each step.
        origins_BP: The steps that forecasts are made at.
        calls_2E: Callers and callees, int64.
        rates_E: Requests per second along each call.
    """

    steps_NBTC: Tensor
    clock_BTK: Tensor
    origins_BP: Tensor
    calls_2E: Tensor
    rates_E: Tensor

    def graph(self) -> CallGraph:
        """Who calls whom, ready to propagate along."""
        return CallGraph.of(self.calls_2E, self.rates_E, len(self.steps_NBTC))


def assemble(material: Material, architecture: Architecture) -> Batch:
    """Make the model's inputs from measurements."""
    z_NBAT = material.z_BTNA.permute(2, 0, 3, 1).contiguous()
    known_NBAT = torch.isfinite(z_NBAT)
    levels = over_window(z_NBAT, known_NBAT, material.before_BNA.permute(1, 0, 2))
    steps_NBTC = step_channels(z_NBAT, levels, material.reference)
    at = material.origins_BP[None, :, None, :].expand(len(z_NBAT), -1, architecture.features, -1)
    origins = Origins(
        times_BP=material.times_BT.gather(1, material.origins_BP),
        level_NBPA=levels[0].gather(3, at).transpose(2, 3),
        recent_NBPRA=_recent(z_NBAT.transpose(2, 3), material.origins_BP),
        steps_without_NBPA=steps_without(known_NBAT).gather(3, at).transpose(2, 3),
        days_BPWJNF=material.days_BPWJNF,
    )
    inputs = origin_inputs(origins, material.reference, architecture)
    return Batch(
        **{field.name: getattr(inputs, field.name) for field in fields(inputs)},
        steps_NBTC=steps_NBTC,
        clock_BTK=encode(material.times_BT, architecture.periods),
        origins_BP=material.origins_BP,
        calls_2E=material.calls_2E,
        rates_E=material.rates_E,
    )


def step_channels(z_NBAT: Tensor, levels: list[Tensor], reference: Reference) -> Tensor:
    """What the model is told of each step, (N, B, T, C); *levels* as of `levels.over_window`."""
    scale = torch.from_numpy(reference.change)[:, None, :, None]
    parts = [*relative(z_NBAT, levels, scale), torch.isfinite(z_NBAT).float()]
    return torch.cat(parts, dim=2).transpose(2, 3).contiguous()


def origin_inputs(origins: Origins, reference: Reference, architecture: Architecture) -> OriginInputs:
    """What the model is told of the origins."""
    forecast = slice(architecture.forecast_features)
    scale_NF = torch.from_numpy(reference.change)[:, forecast]
    days_BPWJNF = _days_told(origins.days_BPWJNF, architecture)
    courses, courses_known, usual_NBPF = _courses(days_BPWJNF, scale_NF, architecture.smoothing_steps)
    if WEEK_SECONDS not in architecture.periods:
        courses[..., -1], courses_known[..., -1] = 0.0, 0.0
    ahead = [
        encode(origins.times_BP + h * architecture.step_seconds, architecture.periods)
        for h in (1, architecture.horizon_steps)
    ]
    change_NA = torch.from_numpy(reference.change)
    recent_NBPRA = (origins.recent_NBPRA - origins.level_NBPA[..., None, :]) / change_NA[:, None, None, None]
    recent_NBPRA = recent_NBPRA.nan_to_num(0.0).clamp(-LIMIT, LIMIT)
    return OriginInputs(
        origin_NBPO=_origin(origins, recent_NBPRA[..., -1, :], usual_NBPF, reference),
        recent_NBPX=recent_NBPRA.flatten(3),
        courses_NBPFHW=courses,
        courses_known_NBPFW=courses_known,
        returns_NBPFV=_returns(origins.level_NBPA[..., forecast], usual_NBPF, reference),
        skew_NF=(torch.from_numpy(reference.skew)[:, forecast] / scale_NF).clamp(-LIMIT, LIMIT),
        ahead_BPK=torch.cat(ahead, dim=-1),
        centre_NBPF=origins.level_NBPA[..., forecast],
        scale_NF=scale_NF,
    )


def _recent(z_NBTA: Tensor, origins_BP: Tensor) -> Tensor:
    """The newest steps at each origin, (N, B, P, R, A); NaN where the window does not reach so far back."""
    padded_NBTA = functional.pad(z_NBTA, (0, 0, RECENT_STEPS - 1, 0), value=torch.nan)
    at_BPR = origins_BP[:, :, None] + torch.arange(RECENT_STEPS)
    samples_B = torch.arange(len(origins_BP))[:, None, None]
    return padded_NBTA[:, samples_B, at_BPR]


def _days_told(days_BPWJNF: Tensor, architecture: Architecture) -> Tensor:
    """
    The days before, as far as a model learnt to read them; NaN otherwise.

    A day later there may be a yesterday that no training ever had, and weights that never learnt would speak of it.
    """
    if architecture.seasonal and DAY_SECONDS in architecture.periods:
        return days_BPWJNF
    return torch.full_like(days_BPWJNF, torch.nan)


def _courses(days_BPWJNF: Tensor, scale_NF: Tensor, smoothing: int) -> tuple[Tensor, Tensor, Tensor]:
    """
    The smoothed `COURSES` after the same moment of past days, relative to that moment; 0 and a flag if unknown.

    The third is what is usual at this moment of the day, on the model's scale, (N, B, P, F); NaN if unknown. Usual is what
    the day in the middle shows: a burst of one day is no part of it.
    """
    days_BPWJNF = days_BPWJNF.contiguous()
    # Services and features stay innermost to the end, as this is most of what a forecast costs beside the network.
    smooth_BPWJNF = _around_each(days_BPWJNF.nan_to_num(0.0), smoothing)
    smooth_BPWJNF /= _around_each(_is_known(days_BPWJNF), smoothing)
    usual_BPJNF = _middle(smooth_BPWJNF)
    all_BPWJNF = [smooth_BPWJNF[:, :, 0], usual_BPJNF, smooth_BPWJNF[:, :, -1]]
    chosen = [(day_BPJNF[:, :, 1:] - day_BPJNF[:, :, :1]) / scale_NF for day_BPJNF in all_BPWJNF]
    known_NBPFW = torch.stack([_is_known(day_BPHNF).mean(2) for day_BPHNF in chosen], dim=-1).permute(2, 0, 1, 3, 4)
    bounded = [day_BPHNF.nan_to_num_(0.0).clamp_(-2 * LIMIT, 2 * LIMIT) for day_BPHNF in chosen]
    courses_NBPFHW = torch.stack(bounded, dim=-1).permute(3, 0, 1, 4, 2, 5).contiguous()
    usual_NBPF = usual_BPJNF[:, :, 0].permute(2, 0, 1, 3)
    return courses_NBPFHW, known_NBPFW, usual_NBPF


def _returns(level_NBPF: Tensor, usual_NBPF: Tensor, reference: Reference) -> Tensor:
    """How far it is from the present level to each of the `RETURNS`."""
    features = level_NBPF.shape[-1]
    median_NF, change_NF = (torch.from_numpy(x)[:, None, None, :features] for x in (reference.median, reference.change))
    away_NBPFV = torch.stack([median_NF - level_NBPF, usual_NBPF - level_NBPF], dim=-1) / change_NF[..., None]
    return away_NBPFV.nan_to_num(0.0).clamp(-2 * LIMIT, 2 * LIMIT)


def _middle(days_BPWJNF: Tensor) -> Tensor:
    """The median over days, (B, P, J, N, F); of an even number the mean of the two in the middle; NaN of none."""
    ranked = list(days_BPWJNF.nan_to_num(torch.inf).unbind(2))
    # Odd-even transposition: a handful of days, compared all services and steps at a time, where torch would sort each
    # of the many small columns by itself.
    for turn in range(len(ranked)):
        for lower in range(turn % 2, len(ranked) - 1, 2):
            one, other = ranked[lower : lower + 2]
            ranked[lower : lower + 2] = torch.minimum(one, other), torch.maximum(one, other)
    ranked_WBPJNF, count_BPJNF = torch.stack(ranked), _is_known(days_BPWJNF).sum(2).long()
    at = [((count_BPJNF - 1) // 2).clamp(min=0), (count_BPJNF // 2).clamp(max=len(ranked) - 1)]
    lower_BPJNF, upper_BPJNF = (ranked_WBPJNF.gather(0, place[None])[0] for place in at)
    return ((lower_BPJNF + upper_BPJNF) / 2).masked_fill(count_BPJNF == 0, torch.nan)


def _is_known(x: Tensor) -> Tensor:
    """1 where *x* is a number, 0 where it is NaN; booleans on the way there would take ten times as long."""
    return torch.eq(x, x, out=torch.empty_like(x))


def _around_each(x_BPWJNF: Tensor, beside: int) -> Tensor:
    """The sum over *beside* steps to both sides of each step that has so many beside it."""
    steps = x_BPWJNF.shape[3] - 2 * beside
    total = x_BPWJNF[:, :, :, :steps].clone()
    for begin in range(1, 2 * beside + 1):
        total += x_BPWJNF[:, :, :, begin : begin + steps]
    return total


def _origin(origins: Origins, latest_NBPA: Tensor, usual_NBPF: Tensor, reference: Reference) -> Tensor:
    level_NBPA = origins.level_NBPA
    spread, change = torch.from_numpy(reference.spread), torch.from_numpy(reference.change)
    usual = torch.from_numpy(reference.median)
    wide = level_NBPA.shape
    unusual = ((level_NBPA - usual[:, None, None]) / spread[:, None, None]).nan_to_num(0.0).clamp(-5, 5)
    forecast = slice(usual_NBPF.shape[-1])
    excess = (level_NBPA[..., forecast] - usual_NBPF) / change[:, None, None, forecast]
    parts = [
        level_NBPA.nan_to_num(0.0) / 5,
        torch.isfinite(level_NBPA).float(),
        unusual,
        latest_NBPA,
        staleness(origins.steps_without_NBPA),
        spread.log()[:, None, None].expand(wide) / 3,
        change.log()[:, None, None].expand(wide) / 3,
        excess.nan_to_num(0.0).clamp(-LIMIT, LIMIT),
    ]
    return torch.cat(parts, dim=-1)
