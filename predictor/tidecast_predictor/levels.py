"""
Running levels: what each measurement is compared with, known at each step from its past alone.

Exponentially weighted means for several half-lives, over a window at once or carried from step to step. Where a carried
level could never have been in a window of the model's length, it is what such a window would know.

Shapes: `N` services, `B` samples, `A` features, `T` steps, `L` half-lives.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

HALF_LIVES = (2.0, 8.0, 32.0)
"""In steps; the first is of the level forecasts start from."""

LIMIT = 8.0
"""Usual changes; beyond, an outlier says no more than that it is one."""

_HALVINGS = 100.0  # of a weight; with more of them float32 would forget what a long window knows from its beginning


def over_window(z_NBAT: Tensor, known_NBAT: Tensor, before_NBA: Tensor) -> list[Tensor]:
    """
    The levels at every step for each half-life; NaN as long as nothing is known.

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


def relative(z: Tensor, levels: list[Tensor], scale: Tensor) -> list[Tensor]:
    """The newest value against the fastest level, and each level against the next slower one, in usual changes."""
    finer = [z, *levels[:-1]]
    return [
        ((fine - coarse) / scale).nan_to_num(0.0).clamp(-LIMIT, LIMIT)
        for fine, coarse in zip(finer, levels, strict=True)
    ]


def steps_without(known_NBAT: Tensor) -> Tensor:
    """For each step how many steps ago a feature was last measured, the beginning of the window at most."""
    steps = torch.arange(known_NBAT.shape[-1])
    return steps - torch.where(known_NBAT, steps, -1).cummax(dim=-1).values


def staleness(steps: Tensor) -> Tensor:
    """Steps since a feature was last measured, as the model is told: log(1 + steps) / 4."""
    return torch.log1p(steps.float()) / 4


@dataclass(frozen=True, slots=True, eq=False)
class CarriedLevels:
    """
    Levels after the newest step, over all of the past.

    Attributes:
        levels_LNA: For each half-life; NaN as long as nothing is known.
        weights_LNA: The sums of the weights behind them; 0 where nothing was measured within a window.
        newest_NA: The last value that was measured, within a day; else NaN.
        steps_NA: How many steps ago that was, int64; counted from the beginning where nothing was measured since.
    """

    levels_LNA: Tensor
    weights_LNA: Tensor
    newest_NA: Tensor
    steps_NA: Tensor

    @classmethod
    def begin(cls, before_NA: Tensor) -> "CarriedLevels":
        """Before the first step, where all that is known is what was measured last, NaN if nothing was."""
        levels_LNA = before_NA.expand(len(HALF_LIVES), -1, -1)
        steps_NA = torch.zeros(before_NA.shape, dtype=torch.int64)
        return cls(levels_LNA, torch.zeros_like(levels_LNA), before_NA, steps_NA)

    def of(self, rows_N: Tensor, before_NA: Tensor) -> "CarriedLevels":
        """Those of the series at *rows_N*; -1 begins one, of which *before_NA* is known."""
        begun, old_N = CarriedLevels.begin(before_NA), rows_N >= 0
        parts = {field.name: getattr(begun, field.name).clone() for field in fields(begun)}
        for name, part in parts.items():
            part[..., old_N, :] = getattr(self, name)[..., rows_N[old_N], :]
        return CarriedLevels(**parts)

    def after(self, z_NA: Tensor, *, window_steps: int, day_steps: int) -> "CarriedLevels":
        """
        One step later.

        Args:
            z_NA: What was measured in it on the model's scale, NaN where nothing was.
            window_steps: What was measured longer ago than this is known by its last value alone, as in a window
                that does not hold it.
            day_steps: And what was measured so much longer ago is forgotten.
        """
        known_NA = torch.isfinite(z_NA)
        decay_L11 = 0.5 ** (1 / torch.tensor(HALF_LIVES))[:, None, None]
        weights_LNA = self.weights_LNA * decay_L11 + known_NA.float()
        # Moved by what is new and not a quotient of sums, as those would both vanish in a long silence.
        moved_LNA = self.levels_LNA + (z_NA - self.levels_LNA) / weights_LNA
        first_LNA = known_NA & (self.weights_LNA == 0)
        levels_LNA = torch.where(first_LNA, z_NA, torch.where(known_NA, moved_LNA, self.levels_LNA))
        steps_NA = torch.where(known_NA, 0, self.steps_NA + 1)
        newest_NA = torch.where(known_NA, z_NA, self.newest_NA)
        newest_NA = newest_NA.masked_fill(steps_NA >= window_steps + day_steps, torch.nan)
        outside_NA = steps_NA >= window_steps
        return CarriedLevels(
            torch.where(outside_NA, newest_NA, levels_LNA),
            weights_LNA.masked_fill(outside_NA, 0.0),
            newest_NA,
            steps_NA,
        )
