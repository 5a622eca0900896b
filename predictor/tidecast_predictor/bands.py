"""
Bands that are kept while a model is served: what came true of its earlier forecasts corrects the next ones.

Some of the forecasts that were made are remembered until the last of their steps has come. Each service is followed by
its id, so that services may come and go. Nothing of it outlives the process: after a restart the bands are those of the
model's validation until they have been corrected again.

Shapes: `N` services, `F` forecast features, `H` horizon steps, `Q` quantiles.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.services import ServiceId, rows_of
from tidecast_predictor.config import Architecture
from tidecast_predictor.conformal import Stretches
from tidecast_predictor.scaling import to_model
from tidecast_predictor.windows import Past

_REMEMBERED = 6  # forecasts; of 10,000 services each takes 22 MB


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """
    A forecast that was made.

    Attributes:
        time: When, unix seconds.
        quantiles_NFHQ: On the model's scale, before they were corrected.
    """

    time: int
    quantiles_NFHQ: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """
    How bands are corrected after a step. It never changes: `after` makes another, so threads may share it.

    Attributes:
        architecture: Of the model whose forecasts they are.
        time: Of the newest step that was compared, unix seconds.
        services: N of them.
        stretches: By how much.
        issued: The forecasts that are remembered, the oldest first.
    """

    architecture: Architecture
    time: int
    services: tuple[ServiceId, ...]
    stretches: Stretches
    issued: tuple[Issued, ...] = ()

    @classmethod
    def begin(cls, architecture: Architecture, past: Past) -> "Bands":
        """At the moment of *past*, when nothing has been forecast yet."""
        services = past.snapshot.services
        shape = (len(services), architecture.forecast_features, architecture.horizon_steps)
        return cls(architecture, past.snapshot.end_time, services, Stretches.none(architecture.quantiles, *shape))

    def after(self, past: Past) -> "Bands":
        """Once the steps up to the moment of *past* have come true; those before its window are not compared."""
        snapshot = past.snapshot
        known = self._of(snapshot.services)
        stretches, step, horizon = known.stretches.copy(), snapshot.step_seconds, self.architecture.horizon_steps
        new = np.flatnonzero(snapshot.times > self.time)
        truth_TNF = to_model(snapshot.values[new, :, : self.architecture.forecast_features])
        for time, truth_NF in zip(snapshot.times[new].tolist(), truth_TNF, strict=True):
            for issued in known.issued:
                ahead = (time - issued.time) // step - 1
                if 0 <= ahead < horizon:
                    stretches.learn(ahead, issued.quantiles_NFHQ[:, :, ahead], truth_NF)
        kept = tuple(one for one in known.issued if snapshot.end_time - one.time < horizon * step)
        return replace(known, time=snapshot.end_time, stretches=stretches, issued=kept)

    def corrected(self, quantiles_NFHQ: NDArray[np.float32]) -> NDArray[np.float32]:
        """Quantiles on the model's scale, as they are to be told."""
        return self.stretches.applied(quantiles_NFHQ)

    def remembering(self, quantiles_NFHQ: NDArray[np.float32]) -> "Bands":
        """With a forecast that was made at this step, if enough time has passed since the one before."""
        apart = -(-self.architecture.horizon_steps // _REMEMBERED) * self.architecture.step_seconds
        if self.issued and self.time - self.issued[-1].time < apart:
            return self
        return replace(self, issued=(*self.issued, Issued(self.time, quantiles_NFHQ)))

    def _of(self, services: tuple[ServiceId, ...]) -> "Bands":
        """The same of other services; what is not known of one is NaN."""
        if services == self.services:
            return self
        rows_N = rows_of(services, self.services)
        absent = (rows_N < 0)[:, None, None, None]
        issued = tuple(
            Issued(one.time, np.where(absent, np.float32(np.nan), one.quantiles_NFHQ[rows_N])) for one in self.issued
        )
        return replace(self, services=services, stretches=self.stretches.of(rows_N), issued=issued)
