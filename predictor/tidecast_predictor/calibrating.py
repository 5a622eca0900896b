"""
What is set once a model has learnt, on moments held out from it: how far its straight line is believed, how wide its
bands are.

Shapes: `N` services, `S` moments, `F` forecast features, `H` horizon steps, `Q` quantiles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tidecast_predictor.batch import Material, assemble
from tidecast_predictor.model import GcnGru
from tidecast_predictor.scaling import Scale, tensor_to_units
from tidecast_predictor.scores import stretch

_SHARES = torch.linspace(0, 1, 21)
_LEAST_GAIN = 0.005  # as a share of the error; less may be chance, and the network alone is simpler
_STEPS_TOGETHER = 3  # steps ahead whose errors choose a share, lest it jumps from one to the next by chance


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """
    Moments of one recording that the model did not learn from.

    Attributes:
        materials: Windows that end at them, one origin each, and what came true on the model's scale, (N, B, 1, F, H).
        scales: How units and the model's scale belong together.
        unit_NF: Of each series, in its unit, positive; what errors of the mean are measured by.
    """

    materials: Iterable[tuple[Material, Tensor]]
    scales: Sequence[Scale]
    unit_NF: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What network and line said, and what came true: changes in usual changes, (N, S, F, H) but for the quantiles."""

    quantiles: Tensor
    mean: Tensor
    line: Tensor
    came: Tensor
    centre: Tensor
    scale: Tensor
    unit: Tensor


def calibrate(model: GcnGru, recordings: Sequence[HeldOut]) -> None:
    """
    Choose the shares of the line, then stretch the quantiles' distances from the median until they cover what they promise.

    Every recording counts by its services and moments. Without any, the line has no say and bands stay as learnt.
    """
    model.line.shares_FH2.zero_()
    model.calibration.fill_(1.0)
    said = [_say(model, material, came, held) for held in recordings for material, came in held.materials]
    if not said:
        return
    scales = recordings[0].scales
    middle = model.architecture.quantiles.index(0.5)
    of_median = [_errors_of_median(one, middle) for one in said]
    of_mean = [_errors_of_mean(one, scales) for one in said]
    is_solved_FH1 = (model.line.weights_FDH.cpu() != 0).any(dim=1)[..., None]
    shares_FH2 = torch.stack([share_of_least_error(of_median), share_of_least_error(of_mean)], dim=-1) * is_solved_FH1
    model.line.shares_FH2.copy_(shares_FH2)
    changes = [(one.quantiles + _moved(one, middle, shares_FH2[..., 0])).flatten(0, 1) for one in said]
    found = stretches(
        torch.cat(changes).numpy(),
        torch.cat([one.came.flatten(0, 1) for one in said]).numpy(),
        model.architecture.quantiles,
    )
    model.calibration.copy_(torch.from_numpy(found))


def stretches(
    changes: NDArray[np.float32], truth: NDArray[np.float32], quantiles: tuple[float, ...]
) -> NDArray[np.float32]:
    """Of changes (R, F, H, Q) and what came true, (R, F, H): the stretch of each, (F, H, Q)."""
    middle = quantiles.index(0.5)
    features, horizon = changes.shape[1:3]
    found = np.ones((features, horizon, len(quantiles)), dtype=np.float32)
    for index, quantile in enumerate(quantiles):
        if index == middle:
            continue
        side = 1 if index > middle else -1
        spread = side * (changes[..., index] - changes[..., middle])
        error = side * (truth - changes[..., middle])
        level = max(quantile, 1 - quantile)
        for f, h in np.ndindex(features, horizon):
            found[f, h, index] = stretch(spread[:, f, h], error[:, f, h], level)
    return found


def _say(model: GcnGru, material: Material, came: Tensor, held: HeldOut) -> _Said:
    with torch.inference_mode():
        batch = assemble(material, model.architecture).to(model.device)
        answer = model(batch)
        line = model.line(batch, batch.graph())
        changes = batch.in_changes(came.to(model.device))
    centre, scale = (one.cpu() for one in (batch.centre_NBPF[:, :, 0, :, None], batch.scale_NF[:, None, :, None]))
    return _Said(
        quantiles=answer.quantiles_NBPFHQ[:, :, 0].cpu(),
        mean=answer.mean_NBPFH[:, :, 0].cpu(),
        line=line[:, :, 0].cpu(),
        came=changes[:, :, 0].cpu(),
        centre=centre,
        scale=scale,
        unit=torch.from_numpy(held.unit_NF)[:, None, :, None],
    )


def _moved(said: _Said, middle: int, share_FH: Tensor) -> Tensor:
    """By how much the line moves all quantiles, (N, S, F, H, 1)."""
    return (share_FH * (said.line - said.quantiles[..., middle]))[..., None]


def _errors_of_median(said: _Said, middle: int) -> tuple[Tensor, Tensor]:
    """Sums over services and moments of the absolute error for each share, (21, F, H), and how many there are."""
    network = said.quantiles[..., middle]
    known = torch.isfinite(said.came)
    errors = [((network + share * (said.line - network) - said.came).abs() * known).nansum((0, 1)) for share in _SHARES]
    return torch.stack(errors), known.sum((0, 1))


def _errors_of_mean(said: _Said, scales: Sequence[Scale]) -> tuple[Tensor, Tensor]:
    """The same of the squared error in units of each series."""

    def in_units(changes: Tensor) -> Tensor:
        return tensor_to_units(said.centre + changes * said.scale, scales, dim=2) / said.unit

    came = in_units(said.came)
    known = torch.isfinite(came)
    errors = [
        (in_units(said.mean + share * (said.line - said.mean)) - came).square().nansum((0, 1)) for share in _SHARES
    ]
    return torch.stack(errors), known.sum((0, 1))


def share_of_least_error(sums: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The share with the least error for each feature and step ahead, (F, H); 0 where it gains next to nothing."""
    known = torch.stack([count for _, count in sums]).sum(0)
    errors = torch.stack([errors for errors, _ in sums]).sum(0) / known.clamp(min=1)
    # Beyond the ends the padding is left out of the mean.
    smooth = functional.avg_pool1d(
        errors, _STEPS_TOGETHER, stride=1, padding=_STEPS_TOGETHER // 2, count_include_pad=False
    )
    least, at = smooth.min(dim=0)
    return torch.where(least < (1 - _LEAST_GAIN) * smooth[0], _SHARES[at], 0.0)
