"""
What is learnt from: windows drawn at random, with measurements hidden at random as a cluster may lack them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_predictor.batch import Material
from tidecast_predictor.config import Architecture
from tidecast_predictor.recording import Recording
from tidecast_predictor.scaling import Reference, Scale
from tidecast_predictor.subgraphs import Neighbourhoods

_ORIGINS = 8  # of a sample that are learnt from: the recurrence over a window is paid once for all of them
_DRAWS_HELD = 16  # after so many the memory that was read for them is given back
_EXTRA_STEPS = 16  # beyond a window, so that origins see windows of every length up to a little more than a full one
_GAPS = 0.3  # of the steps of a service that has gaps
_SHIFTED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """
    A recording to learn from.

    Attributes:
        recording: The whole of it.
        reference: How each service behaved in the part that is learnt from.
        training_steps: That part is the steps before this one; targets lie in it too.
        scales: How units and the model's scale belong together.
        spread_NF: Of each series in units, positive; what errors of the mean are measured by.
        moments: The steps at which something was recorded, rising int64; None for all. Of a recording that mostly pauses
            nearly all windows would be empty, so they are drawn around these.
    """

    recording: Recording
    reference: Reference
    training_steps: int
    scales: Sequence[Scale]
    spread_NF: NDArray[np.float32]
    moments: NDArray[np.int64] | None = None

    def among(self, services: NDArray[np.int64]) -> "Lesson":
        """On these services only, and the calls between them."""
        return replace(
            self,
            recording=self.recording.among(services),
            reference=self.reference.among(services),
            spread_NF=self.spread_NF[services],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What one optimiser step looks at: a material and, on the model's scale, what came true, (N, B, P, F, H)."""

    material: Material
    truth: Tensor
    lesson: Lesson


class Sampler:
    """
    Draws windows to learn from, with some of what was measured hidden.

    Args:
        lessons: Each draw is from one of them.
        architecture: Of the model that learns.
        rows: How many (sample, service) pairs a draw has, about.
        seed: Of all draws.
        services: How many services a draw has at most; None is all of a lesson.
    """

    def __init__(
        self,
        lessons: Sequence[Lesson],
        architecture: Architecture,
        *,
        rows: int,
        seed: int,
        services: int | None = None,
    ) -> None:
        self._lessons, self._architecture, self._rows = lessons, architecture, rows
        self._generator = torch.Generator().manual_seed(seed)
        self._parts = [_parts_of(lesson.recording, services, seed) for lesson in lessons]
        self._draws = 0

    def draw(self) -> Draw:
        """Windows of one of the lessons, some of what was measured hidden."""
        draw = self.draw_whole()
        return replace(draw, material=self._hide(draw.material))

    def draw_gappy(self) -> Draw:
        """Windows of one of the lessons, single steps of single services missing."""
        draw = self.draw_whole()
        z = draw.material.z_BTNA
        gaps = self._chance(_GAPS, (*z.shape[:3], 1))
        return replace(draw, material=replace(draw.material, z_BTNA=z.masked_fill(gaps, torch.nan)))

    def draw_whole(self) -> Draw:
        """Windows of one of the lessons as they were measured."""
        index = int(self._integers(len(self._lessons), ()))
        lesson = self._lessons[index].among(self._parts[index].draw())
        last_origin = lesson.training_steps - 1 - self._architecture.horizon_steps
        steps = min(self._architecture.window_steps + _EXTRA_STEPS, last_origin + 1)
        samples = max(1, self._rows // max(1, lesson.recording.services))
        starts = self._starts(lesson.moments, samples, last_start=last_origin - steps + 1, steps=steps)
        first = steps // 8
        origins = first + self._integers(steps - first, (samples, _ORIGINS))
        material = lesson.recording.material(
            starts, origins, reference=lesson.reference, steps=steps, architecture=self._architecture
        )
        truth = lesson.recording.targets(starts[:, None] + origins, self._architecture)
        self._draws += 1
        if self._draws % _DRAWS_HELD == 0:
            lesson.recording.let_go()
        return Draw(material, truth, lesson)

    def _starts(self, moments: NDArray[np.int64] | None, samples: int, *, last_start: int, steps: int) -> Tensor:
        """The first steps of windows up to *last_start*, each of which holds one of *moments*."""
        known = np.zeros(0, np.int64) if moments is None else moments[moments < last_start + steps]
        if not len(known):
            return self._integers(last_start + 1, (samples,))
        held = torch.from_numpy(known)[self._integers(len(known), (samples,))]
        return (held - self._integers(steps, (samples,))).clamp(min=0, max=last_start)

    def _hide(self, material: Material) -> Material:
        """Hide what a cluster may lack: features, steps, days, calls, and for some services all of their past."""
        z = material.z_BTNA
        samples, steps, services, features = z.shape
        hidden = self._chance(0.3, (samples, 1, services, 1)) & self._chance(0.3, (samples, 1, services, features))
        gaps = self._chance(0.2, (samples, 1, services, 1)) & self._chance(_GAPS, (samples, steps, services, 1))
        new = self._chance(0.15, (services,))
        young = new & self._chance(0.5, (samples, services))
        born = torch.where(young, self._integers(steps, (samples, services)), torch.tensor(0))
        unborn = torch.arange(steps)[None, :, None] < born[:, None]
        forgotten = self._chance(0.15, (samples, 1, len(self._architecture.days), 1, services, 1))
        kept = ~self._chance(0.1, material.rates_E.shape)
        material = self._shift(material)
        return replace(
            material,
            z_BTNA=z.masked_fill(hidden | gaps | unborn[..., None], torch.nan),
            before_BNA=material.before_BNA.masked_fill(new[:, None], torch.nan),
            days_BPWJNF=material.days_BPWJNF.masked_fill(new[:, None] | forgotten, torch.nan),
            calls_2E=material.calls_2E[:, kept],
            rates_E=material.rates_E[kept],
            reference=_without(material.reference, new.numpy()),
        )

    def _shift(self, material: Material) -> Material:
        """
        Let the days before have been on another level: a first weekend, growth, a release.

        Without it a model takes the few days it has seen for a law, and pulls every forecast towards their level. A
        series moves as far as it wanders: the level of mere noise stays, and going back to it is right.
        """
        if not bool(self._chance(_SHIFTED, ())):
            return material
        reference = material.reference
        features = material.days_BPWJNF.shape[-1]
        amount_A = torch.randn(reference.spread.shape[1], generator=self._generator)
        shift_NA = amount_A * torch.from_numpy(reference.wandering)
        return replace(
            material,
            days_BPWJNF=material.days_BPWJNF + shift_NA[:, :features],
            reference=replace(reference, median=reference.median + shift_NA.numpy()),
        )

    def _chance(self, probability: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.rand(shape, generator=self._generator) < probability

    def _integers(self, below: int, shape: tuple[int, ...]) -> Tensor:
        return torch.randint(0, max(1, below), shape, generator=self._generator)


def _parts_of(recording: Recording, limit: int | None, seed: int) -> Neighbourhoods:
    limit = recording.services if limit is None else limit
    return Neighbourhoods(recording.calls_2E.numpy(), recording.services, limit=limit, seed=seed)


def _without(reference: Reference, new_N: NDArray[np.bool_]) -> Reference:
    """The reference as it is when some services have no history."""
    new = new_N[:, None]
    return Reference(
        median=np.where(new, np.float32(np.nan), reference.median),
        spread=np.where(new, reference.pool.spread, reference.spread),
        change=np.where(new, reference.pool.change, reference.change),
        skew=np.where(new, np.float32(0), reference.skew),
        pool=reference.pool,
    )
