"""
A recording to learn from: any window of any of its services, read when it is asked for.

Weeks of thousands of services are more than fits into memory. So nothing here copies them as a whole: they stay where
they are, which may be a file, and what is read of them is brought to the model's scale window by window.
"""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.batch import Material
from tidecast_predictor.config import Architecture
from tidecast_predictor.scaling import SCALES, Pool, Reference, Scale, refer, to_model
from tidecast_predictor.subgraphs import calls_among
from tidecast_predictor.windows import REFERENCE_SAMPLES, around

_GRID_STEPS = 60
_SERVICES_AT_ONCE = 256  # of two weeks of minutes, 145 MB
_SAMPLED_VALUES = 1000 * 4 * REFERENCE_SAMPLES  # of a feature, that usual behaviour is taken from


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """
    Measurements of services, ready to cut many windows from.

    Attributes:
        values_XTA: In units, of all services there are, NaN where missing; may lie in a file.
        scales: From units to the model's scale.
        before_XGA: In units, the last value known before every `_GRID_STEPS`th step.
        services_N: Which of the X services it is about, rising positions; all others are as if they were not there.
        start_time: Of the first step, unix seconds.
        step_seconds: The time between two steps.
        calls_2E: Callers and callees among the N services, int64.
        rates_E: Requests per second along each call.
    """

    values_XTA: NDArray[np.float32]
    scales: Sequence[Scale]
    before_XGA: NDArray[np.float32]
    services_N: NDArray[np.int64]
    start_time: int
    step_seconds: int
    calls_2E: Tensor
    rates_E: Tensor

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Recording":
        """
        The recording of *snapshot*.

        A window takes few reads where the steps of each service lie together: values that are the transpose of a
        (N, T, F) array.
        """
        return cls.of_values(
            snapshot.values,
            SCALES,
            start_time=snapshot.start_time,
            step_seconds=snapshot.step_seconds,
            calls=snapshot.calls,
            rates=snapshot.rates,
        )

    @classmethod
    def of_scaled(
        cls,
        z: NDArray[np.float32],
        *,
        start_time: int,
        step_seconds: int,
        calls: NDArray[np.int64],
        rates: NDArray[np.float32],
    ) -> "Recording":
        """The recording of steps that are on the model's scale, float32 of shape (T, N, A), NaN where missing."""
        unscaled = (Scale("linear"),) * z.shape[2]
        return cls.of_values(z, unscaled, start_time=start_time, step_seconds=step_seconds, calls=calls, rates=rates)

    @classmethod
    def of_values(  # noqa: PLR0913
        cls,
        values: NDArray[np.float32],
        scales: Sequence[Scale],
        *,
        start_time: int,
        step_seconds: int,
        calls: NDArray[np.int64],
        rates: NDArray[np.float32],
    ) -> "Recording":
        """The recording of steps in units, float32 of shape (T, N, A), and how they come to the model's scale."""
        values_XTA = values.swapaxes(0, 1)
        return cls(
            values_XTA=values_XTA,
            scales=scales,
            before_XGA=_known_before(values_XTA),
            services_N=np.arange(len(values_XTA)),
            start_time=start_time,
            step_seconds=step_seconds,
            calls_2E=torch.from_numpy(calls),
            rates_E=torch.from_numpy(rates),
        )

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return int(self.values_XTA.shape[1])

    @property
    def services(self) -> int:
        """N, the number of services."""
        return len(self.services_N)

    def among(self, services: NDArray[np.int64]) -> "Recording":
        """Of *services* only, positions that rise, and the calls between them. Copies no measurements."""
        if len(services) == self.services:
            return self
        calls, kept = calls_among(services, self.calls_2E.numpy(), self.services)
        return replace(
            self,
            services_N=self.services_N[services],
            calls_2E=torch.from_numpy(calls),
            rates_E=self.rates_E[torch.from_numpy(kept)],
        )

    def read(self, begin: int, steps: int, features: int) -> Tensor:
        """On the model's scale *steps* steps from *begin*, (N, steps, features); NaN outside of the recording."""
        scaled = np.full((self.services, steps, features), np.nan, dtype=np.float32)
        first, last = max(0, begin), min(self.steps, begin + steps)
        if first < last:
            values = self.values_XTA[self._chosen, first:last, :features]
            scaled[:, first - begin : last - begin] = to_model(values, self.scales)
        return torch.from_numpy(scaled)

    def in_units(self, steps: int, features: int) -> Iterator[NDArray[np.float32]]:
        """The first *steps* steps of some services after the others, each (steps, n, features)."""
        for begin in range(0, self.services, _SERVICES_AT_ONCE):
            services = self.services_N[begin : begin + _SERVICES_AT_ONCE]
            yield self.values_XTA[services, :steps, :features].swapaxes(0, 1)
            self.let_go()

    def let_go(self) -> None:
        """Give back the memory that what was read of a file takes."""
        let_go(self.values_XTA)

    def reference(
        self,
        steps: int,
        horizon_steps: int,
        samples: int = 4 * REFERENCE_SAMPLES,
        pool: Pool | None = None,
        *,
        moments: NDArray[np.int64] | None = None,
    ) -> Reference:
        """
        How each service behaved in the first *steps* steps.

        Args:
            steps: Of them.
            horizon_steps: How far ahead is forecast.
            samples: At so many moments; of many services fewer are taken, but no fewer than serving takes.
            pool: What is usual; None takes it from them.
            moments: The steps among them at which something was recorded, rising; None for all.
        """
        lag = max(1, horizon_steps // 2)
        samples = max(min(samples, REFERENCE_SAMPLES), min(samples, _SAMPLED_VALUES // max(1, self.services)))
        moments = np.arange(steps) if moments is None else moments
        at = moments[np.unique(np.linspace(0, max(0, len(moments) - 1 - lag), samples).astype(np.int64))]
        earlier, later = (self._at(moments) for moments in (at, np.minimum(at + lag, steps - 1)))
        return refer(earlier, later, pool, scales=self.scales)

    def material(
        self, starts_B: Tensor, origins_BP: Tensor, *, reference: Reference, steps: int, architecture: Architecture
    ) -> Material:
        """
        Windows of *steps* steps.

        Args:
            starts_B: The first step of each window; steps before the recording are missing.
            origins_BP: The steps within each window that forecasts are made at.
            reference: How each service usually behaves.
            steps: The length of the windows.
            architecture: Of the model they are for.
        """
        z_BNTA = torch.stack([self.read(start, steps, architecture.features) for start in starts_B.tolist()])
        grid_B = (starts_B // _GRID_STEPS).clamp(min=0, max=self.before_XGA.shape[1] - 1).numpy()
        before_BNA = self.before_XGA[self.services_N, grid_B[:, None], : architecture.features]
        return Material(
            z_BTNA=z_BNTA.transpose(1, 2),
            before_BNA=torch.from_numpy(to_model(before_BNA, self.scales)),
            times_BT=self.start_time + (starts_B[:, None] + torch.arange(steps)) * self.step_seconds,
            origins_BP=origins_BP,
            days_BPWJNF=self._days(starts_B[:, None] + origins_BP, architecture),
            calls_2E=self.calls_2E,
            rates_E=self.rates_E,
            reference=reference,
        )

    def targets(self, bases_BP: Tensor, architecture: Architecture) -> Tensor:
        """What came true after each origin, on the model's scale, (N, B, P, F, H); NaN where missing."""
        horizon, features = architecture.horizon_steps, architecture.forecast_features
        courses_BPHNF = torch.stack([self._courses(bases_P, 1, horizon, features) for bases_P in bases_BP])
        return courses_BPHNF.permute(3, 0, 1, 4, 2).contiguous()

    def came_after(self, material: Material, architecture: Architecture) -> Tensor:
        """The targets of a material that was cut out of this recording."""
        begins_B1 = (material.times_BT[:, :1] - self.start_time) // self.step_seconds
        return self.targets(begins_B1 + material.origins_BP, architecture)

    def _days(self, bases_BP: Tensor, architecture: Architecture) -> Tensor:
        """What surrounds the same moment of the days before, as `Material.days_BPWJNF`."""
        around_J = around(architecture)
        ago_WJ = around_J - np.array(architecture.days)[:, None]
        shape = (*bases_BP.shape, *ago_WJ.shape, self.services, architecture.forecast_features)
        days_BPWJNF = torch.empty(shape)
        for sample, bases_P in enumerate(bases_BP):
            for day, ago_J in enumerate(ago_WJ):
                days_BPWJNF[sample, :, day] = self._courses(
                    bases_P, int(ago_J[0]), len(ago_J), architecture.forecast_features
                )
        if (ago_WJ > 0).any():  # where a horizon is longer than a day, yesterday has not come true yet
            days_BPWJNF[:, :, torch.from_numpy(ago_WJ > 0)] = torch.nan
        return days_BPWJNF

    def _courses(self, bases_P: Tensor, begin: int, steps: int, features: int) -> Tensor:
        """*steps* steps of which the first is *begin* after each base, (P, steps, N, features)."""
        first, last = int(bases_P.min()), int(bases_P.max())
        read = self.read(first + begin, last - first + steps, features)
        return read.transpose(0, 1).contiguous()[(bases_P - first)[:, None] + torch.arange(steps)]

    @property
    def _chosen(self) -> NDArray[np.int64] | slice:
        return slice(None) if self.services == len(self.values_XTA) else self.services_N

    def _at(self, moments: NDArray[np.int64]) -> NDArray[np.float32]:
        """On the model's scale all features at some moments, (S, N, A)."""
        found = np.empty((len(moments), self.services, self.values_XTA.shape[2]), dtype=np.float32)
        for begin in range(0, self.services, _SERVICES_AT_ONCE):
            part = slice(begin, begin + _SERVICES_AT_ONCE)
            values = self.values_XTA[self.services_N[part, None], moments]
            found[:, part] = to_model(values, self.scales).swapaxes(0, 1)
            self.let_go()
        return found


def let_go(values: NDArray[np.float32]) -> None:
    """
    Give back the memory that what was read from or written to the file below *values* takes, if there is a file.

    Pages of a file that were looked at count as the process's own until the system takes them back, which it is in no
    hurry to do. What was written is kept.
    """
    source: object = values
    while isinstance(source, np.ndarray):
        source = source.base
    if isinstance(source, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        source.madvise(mmap.MADV_DONTNEED)


def _known_before(values_XTA: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last value known before every `_GRID_STEPS`th step, (X, G, A)."""
    services, steps, features = values_XTA.shape
    grid = range(_GRID_STEPS, max(steps, 1), _GRID_STEPS)
    before = np.full((services, 1 + len(grid), features), np.nan, dtype=np.float32)
    for begin in range(0, services, _SERVICES_AT_ONCE):
        some = slice(begin, begin + _SERVICES_AT_ONCE)
        for index, step in enumerate(grid, start=1):
            part = values_XTA[some, step - _GRID_STEPS : step]
            last = _GRID_STEPS - 1 - np.isfinite(part[:, ::-1]).argmax(axis=1)
            newest = np.take_along_axis(part, last[:, None], axis=1)[:, 0]
            before[some, index] = np.where(np.isfinite(newest), newest, before[some, index - 1])
        let_go(values_XTA)
    return before
