"""
Corrections that are kept while a model is served: what came true of its earlier forecasts corrects the next ones.

Where a simple forecast of a series did better of late, it is believed more (`track_record`); where bands were passed too
often or too seldom, they are stretched (`conformal`). Some of the forecasts that were made are remembered until the last
of their steps has come. Each service is followed by its id, so that services may come and go; what is silent every night
goes on in the morning with what was known of it. A newly trained model goes on with the record, and with bands of its own
validation. Nothing outlives the process: after a restart the network speaks alone until it has been corrected again.

Shapes: `N` services, `F` forecast features, `H` horizon steps, `Q` quantiles, `O` of them that are not the median, `X`
simple forecasts. What is gone has `N` of its own.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.services import ServiceId, rows_of
from tidecast_predictor.config import Architecture
from tidecast_predictor.conformal import Stretches, moved
from tidecast_predictor.scaling import to_model
from tidecast_predictor.track_record import TrackRecord, beside
from tidecast_predictor.windows import Past

_REMEMBERED = 8
"""
Forecasts; of 10,000 services each takes 22 MB. Of 30 steps that is every fourth: every fifth would always fall on the same
beat of what runs every five minutes.
"""

_GONE = 1000
"""Services; of 30 steps each takes 11 kB. Names that never come again, as of jobs, must not add up for ever."""

Numbers = NDArray[np.float32]

_SAME = ("step_seconds", "horizon_steps", "forecast_features")


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """
    What there is to tell of a moment, on the model's scale.

    Attributes:
        quantiles_NFHQ: The network's.
        simple_NFX: The simple forecasts beside it; NaN where not known.
    """

    quantiles_NFHQ: Numbers
    simple_NFX: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """
    A forecast that was made, on the model's scale.

    Attributes:
        time: When, unix seconds.
        median_NFH: The network's.
        simple_NFX: The simple forecasts beside it.
        told_NFHO: The outer quantiles as they were told.
    """

    time: int
    median_NFH: Numbers
    simple_NFX: Numbers
    told_NFHO: Numbers

    def of(self, rows_N: NDArray[np.int64]) -> "Issued":
        """That of the services at *rows_N*; NaN for -1."""

        def chosen(values: Numbers) -> Numbers:
            absent = (rows_N < 0).reshape(-1, *(1,) * (values.ndim - 1))
            return np.where(absent, np.float32(np.nan), values[rows_N])

        return Issued(self.time, chosen(self.median_NFH), chosen(self.simple_NFX), chosen(self.told_NFHO))


@dataclass(frozen=True, slots=True, eq=False)
class Gone:
    """
    What was known of services when they went, for when they come back.

    Attributes:
        services: N of them, 1,000 at most, those that went last first.
        record: How far the network was believed.
        stretches: How far bands were stretched; what all services share goes on without them.
    """

    services: tuple[ServiceId, ...]
    record: TrackRecord
    stretches: Stretches

    @classmethod
    def none(cls, architecture: Architecture) -> "Gone":
        """Before any service went."""
        return cls((), *_nothing_of(0, architecture))


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """
    How forecasts are corrected after a step. It never changes: `after` makes another, so threads may share it.

    Attributes:
        architecture: Of the model whose forecasts they are.
        time: Of the newest step that was compared, unix seconds.
        services: N of them.
        record: How far the network is believed.
        stretches: How far bands are stretched.
        gone: The same of services that are not among these any more.
        issued: The forecasts that are remembered, the oldest first.
    """

    architecture: Architecture
    time: int
    services: tuple[ServiceId, ...]
    record: TrackRecord
    stretches: Stretches
    gone: Gone
    issued: tuple[Issued, ...] = ()

    @classmethod
    def begin(cls, architecture: Architecture, past: Past) -> "Corrections":
        """At the moment of *past*, when nothing has been forecast yet."""
        services = past.snapshot.services
        record, stretches = _nothing_of(len(services), architecture)
        gone = Gone.none(architecture)
        return cls(architecture, past.snapshot.end_time, services, record, stretches, gone)

    def after(self, past: Past) -> "Corrections":
        """Once the steps up to the moment of *past* have come true; those before its window are not compared."""
        snapshot = past.snapshot
        known = self._of(snapshot.services)
        record, stretches = known.record.copy(), known.stretches.copy()
        step, horizon = snapshot.step_seconds, self.architecture.horizon_steps
        new = np.flatnonzero(snapshot.times > self.time)
        truth_TNF = to_model(snapshot.values[new, :, : self.architecture.forecast_features])
        for time, truth_NF in zip(snapshot.times[new].tolist(), truth_TNF, strict=True):
            for issued in known.issued:
                ahead = (time - issued.time) // step - 1
                if 0 <= ahead < horizon:
                    at = slice(ahead, ahead + 1)
                    record.learn(ahead, beside(issued.median_NFH[..., at], issued.simple_NFX)[:, :, 0], truth_NF)
                    stretches.learn(ahead, issued.told_NFHO[:, :, ahead], truth_NF)
        kept = tuple(one for one in known.issued if snapshot.end_time - one.time < horizon * step)
        return replace(known, time=snapshot.end_time, record=record, stretches=stretches, issued=kept)

    def under(self, architecture: Architecture) -> "Corrections | None":
        """
        Where a newly trained model goes on: how far networks are believed is kept, what was told by this one is not.

        None where it forecasts other steps or features. Its bands are those of its own validation.
        """
        if any(getattr(architecture, name) != getattr(self.architecture, name) for name in _SAME):
            return None
        _, stretches = _nothing_of(len(self.services), architecture)
        _, stretches_gone = _nothing_of(len(self.gone.services), architecture)
        gone = replace(self.gone, stretches=stretches_gone)
        return replace(self, architecture=architecture, stretches=stretches, gone=gone, issued=())

    def corrected(self, said: Said) -> Numbers:
        """Quantiles on the model's scale as they are to be told, (N, F, H, Q)."""
        median_NFH = self._median(said)
        by_NFH = self.record.mixed(beside(median_NFH, said.simple_NFX)) - median_NFH
        return self.stretches.applied(moved(said.quantiles_NFHQ, by_NFH, self.architecture.quantiles))

    def remembering(self, said: Said, told_NFHQ: Numbers) -> "Corrections":
        """With the forecast of this step and what was told of it, if enough time has passed since the one before."""
        apart = -(-self.architecture.horizon_steps // _REMEMBERED) * self.architecture.step_seconds
        if self.issued and self.time - self.issued[-1].time < apart:
            return self
        issued = Issued(self.time, self._median(said).copy(), said.simple_NFX, self.stretches.outer(told_NFHQ))
        return replace(self, issued=(*self.issued, issued))

    def _median(self, said: Said) -> Numbers:
        median: Numbers = said.quantiles_NFHQ[..., self.architecture.quantiles.index(0.5)]
        return median

    def _of(self, services: tuple[ServiceId, ...]) -> "Corrections":
        """
        The same of other services, and those that left are gone; what is not known of one, here or gone, begins anew.

        Forecasts that were made of one before it went are not remembered.
        """
        if services == self.services:
            return self
        here = set(services)
        gone = tuple(one for one in (*self.services, *self.gone.services) if one not in here)[:_GONE]
        record, stretches = self._known_of(services)
        rows_N = rows_of(services, self.services)
        return replace(
            self,
            services=services,
            record=record,
            stretches=stretches,
            gone=Gone(gone, *self._known_of(gone)),
            issued=tuple(one.of(rows_N) for one in self.issued),
        )

    def _known_of(self, services: tuple[ServiceId, ...]) -> tuple[TrackRecord, Stretches]:
        """Record and stretches of these, whether they are here or gone; nothing yet of one that is neither."""
        rows_N = rows_of(services, self.services)
        record, stretches = self.record.of(rows_N), self.stretches.of(rows_N)
        gone_N = rows_of(services, self.gone.services)
        back = np.flatnonzero(gone_N >= 0)
        record.put(back, self.gone.record.of(gone_N[back]))
        stretches.of_one_NFHO[back] = self.gone.stretches.of_one_NFHO[gone_N[back]]
        return record, stretches


def _nothing_of(services: int, architecture: Architecture) -> tuple[TrackRecord, Stretches]:
    """Record and stretches of so many before anything came true."""
    shape = (services, architecture.forecast_features, architecture.horizon_steps)
    return TrackRecord.none(*shape), Stretches.none(architecture.quantiles, *shape)
