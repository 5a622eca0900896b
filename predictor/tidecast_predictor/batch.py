"""
What the model is given: windows of measurements made comparable across services, with nothing lost that was missing.

The one builder of model inputs, for training and for serving. Every series is seen relative to its own recent level and
in units of its own usual change, both known at each step from its past alone, so that a recurrent state can be carried
from one step to the next.

Shapes: `B` samples, `T` steps, `P` origins in a sample, `N` services, `A` features, `F` forecast features, `H` horizon
steps, `W` seasons, `C` channels of a step, `K` numbers of the clock, `O` numbers known at an origin, `E` calls.
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from tidecast_predictor.config import Architecture
from tidecast_predictor.scaling import Reference
from tidecast_predictor.time_encoding import encode

HALF_LIVES = (2.0, 8.0, 32.0)
"""In steps, of the running levels a series is compared with; the first is the level forecasts start from."""

COURSES = ("yesterday", "usual day", "last week")
SMOOTHING_STEPS = 2
"""Seasonal values are means over this many steps to both sides, as one step of yesterday is mostly noise."""

_HALVINGS = 100.0  # of a weight; with more of them float32 would forget what a long window knows from its beginning
_LIMIT = 8.0  # usual changes; beyond, an outlier says no more than that it is one


_ORIGIN_PARTS = 7
_LATEST_PART = 3


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
            J = SMOOTHING_STEPS + 1 + H + SMOOTHING_STEPS steps.
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
class Batch:
    """
    The model's inputs, node-major, free of NaN but for `centre_NBPF`.

    Attributes:
        steps_NBTC: Each step relative to running levels, and which features were measured.
        clock_BTK: The clock at each step.
        origins_BP: The steps that forecasts are made at.
        origin_NBPO: What is known of each series at the origin: levels, scales, how stale it is.
        courses_NBPFHW: The course after the same moment yesterday and last week, in units of `scale_NF`.
        courses_known_NBPFW: 1 where that is known.
        ahead_BPK: The clock at the first and the last target.
        calls_2E: Callers and callees, int64.
        rates_E: Requests per second along each call.
        centre_NBPF: The level forecasts start from, on the model's scale; NaN where a series was never measured.
        scale_NF: The unit of the model's outputs, on the model's scale.
    """

    steps_NBTC: Tensor
    clock_BTK: Tensor
    origins_BP: Tensor
    origin_NBPO: Tensor
    courses_NBPFHW: Tensor
    courses_known_NBPFW: Tensor
    ahead_BPK: Tensor
    calls_2E: Tensor
    rates_E: Tensor
    centre_NBPF: Tensor
    scale_NF: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return replace(self, **{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def assemble(material: Material, architecture: Architecture) -> Batch:
    """Make the model's inputs from measurements."""
    scale_NA = torch.from_numpy(material.reference.change)
    forecast = slice(architecture.forecast_features)
    scale_NF = scale_NA[:, forecast]
    z_NBAT = material.z_BTNA.permute(2, 0, 3, 1).contiguous()
    known_NBAT = torch.isfinite(z_NBAT)
    levels = _levels(z_NBAT, known_NBAT, material.before_BNA.permute(1, 0, 2))
    steps = _relative(z_NBAT, levels, scale_NA[:, None, :, None])
    days = material.days_BPWJNF if architecture.seasonal else torch.full_like(material.days_BPWJNF, torch.nan)
    courses, courses_known, usual_NBPF = _courses(days, scale_NF)
    steps_NBTC = torch.cat([*steps, known_NBAT.float()], dim=2).transpose(2, 3).contiguous()
    at = material.origins_BP[None, :, None, :].expand(len(scale_NA), -1, architecture.features, -1)
    level_NBPA = levels[0].gather(3, at).transpose(2, 3)
    latest_NBPA = steps[0].gather(3, at).transpose(2, 3)
    stale_NBPA = _staleness(known_NBAT).gather(3, at).transpose(2, 3)
    origin_times = material.times_BT.gather(1, material.origins_BP)
    ahead = [
        encode(origin_times + h * architecture.step_seconds, architecture.periods)
        for h in (1, architecture.horizon_steps)
    ]
    return Batch(
        steps_NBTC=steps_NBTC,
        clock_BTK=encode(material.times_BT, architecture.periods),
        origins_BP=material.origins_BP,
        origin_NBPO=_origin(level_NBPA, latest_NBPA, stale_NBPA, usual_NBPF, material.reference),
        courses_NBPFHW=courses,
        courses_known_NBPFW=courses_known,
        ahead_BPK=torch.cat(ahead, dim=-1),
        calls_2E=material.calls_2E,
        rates_E=material.rates_E,
        centre_NBPF=level_NBPA[..., forecast],
        scale_NF=scale_NF,
    )


def _levels(z_NBAT: Tensor, known_NBAT: Tensor, before_NBA: Tensor) -> list[Tensor]:
    """
    Running levels at every step for each half-life; NaN as long as nothing is known.

    What was measured before a window is used only where the window holds nothing, as serving looks up no more.
    """
    steps = z_NBAT.shape[-1]
    age_TT = (torch.arange(steps)[:, None] - torch.arange(steps)[None, :]).float()
    weight_NBAT, filled_NBAT = known_NBAT.float(), z_NBAT.nan_to_num(0.0)
    before_NBAT = before_NBA.masked_fill(known_NBAT.any(-1), torch.nan)[..., None].expand_as(z_NBAT)
    levels = []
    for half_life in HALF_LIVES:
        halvings_TT = (age_TT.clamp(min=0) / half_life).clamp(max=_HALVINGS)
        kernel_TT = torch.where(age_TT >= 0, 0.5**halvings_TT, 0.0)
        weight_sum_NBAT = weight_NBAT @ kernel_TT.T
        level_NBAT = (filled_NBAT @ kernel_TT.T) / weight_sum_NBAT
        levels.append(torch.where(weight_sum_NBAT > 0, level_NBAT, before_NBAT))
    return levels


def _relative(z_NBAT: Tensor, levels: list[Tensor], scale: Tensor) -> list[Tensor]:
    """The newest value against the fastest level, and each level against the next slower one, in usual changes."""
    finer = [z_NBAT, *levels[:-1]]
    return [
        ((fine - coarse) / scale).nan_to_num(0.0).clamp(-_LIMIT, _LIMIT)
        for fine, coarse in zip(finer, levels, strict=True)
    ]


def _staleness(known_NBAT: Tensor) -> Tensor:
    """Steps since a feature was last measured, as log(1 + steps) / 4."""
    steps = torch.arange(known_NBAT.shape[-1])
    last = torch.where(known_NBAT, steps, -1).cummax(dim=-1).values
    return torch.log1p((steps - last).float()) / 4


def _courses(days_BPWJNF: Tensor, scale_NF: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """
    The smoothed `COURSES` after the same moment of past days, relative to that moment; 0 and a flag if unknown.

    The third is what is usual at this moment of the day, on the model's scale, (N, B, P, F); NaN if unknown.
    """
    z = days_BPWJNF.permute(4, 0, 1, 5, 2, 3)  # N B P F W J
    known = torch.isfinite(z).float()
    width = 2 * SMOOTHING_STEPS + 1
    total = z.nan_to_num(0.0).unfold(-1, width, 1).sum(-1)
    smooth = total / known.unfold(-1, width, 1).sum(-1)
    course = (smooth[..., 1:] - smooth[..., :1]) / scale_NF[:, None, None, :, None, None]
    chosen = torch.stack([course[..., 0, :], course.nanmean(-2), course[..., -1, :]], dim=-1)
    flags = torch.isfinite(chosen).float().mean(-2)
    return chosen.nan_to_num(0.0).clamp(-2 * _LIMIT, 2 * _LIMIT), flags, smooth[..., 0].nanmean(-1)


def _origin(
    level_NBPA: Tensor, latest_NBPA: Tensor, stale_NBPA: Tensor, usual_NBPF: Tensor, reference: Reference
) -> Tensor:
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
        stale_NBPA,
        spread.log()[:, None, None].expand(wide) / 3,
        change.log()[:, None, None].expand(wide) / 3,
        excess.nan_to_num(0.0).clamp(-_LIMIT, _LIMIT),
    ]
    return torch.cat(parts, dim=-1)
