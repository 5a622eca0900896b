"""
What is remembered of past forecasts: those that wait for their moments, and sums over the moments that came.

Shapes: `N` services, `F` forecast features, `K` offsets, `Q` quantiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES, Feature
from tidecast_contract.forecast import ModelKind
from tidecast_contract.services import ServiceId, rows_of
from tidecast_operator.published import PublishedSkill
from tidecast_operator.trust.sums import Sums, taken

OFFSETS_SECONDS = (60, 300, 900, 1800)
"""How far ahead forecasts are judged, rounded to steps, as far as the horizon has it; one step always."""


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """
    A forecast that waits for its moments.

    Attributes:
        time: When it was made, unix seconds.
        values: The quantiles at the offsets, float32 of shape (N, F, K, Q).
        last: What had been measured then, (N, F).
        seasonal: What had been measured a day before each moment, (N, F, K).
    """

    time: int
    values: NDArray[np.float32]
    last: NDArray[np.float32]
    seasonal: NDArray[np.float32]

    def of(self, rows: NDArray[np.int64]) -> "Issued":
        """For the services at *rows*; -1 is one it did not speak of."""
        return Issued(self.time, *(taken(part, rows, np.nan) for part in (self.values, self.last, self.seasonal)))


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """
    What came of past forecasts.

    Attributes:
        step_seconds: Between two steps.
        offsets: How many steps ahead each of the K offsets is, rising.
        services: N of them; rows of everything else.
        time: Moments up to this one were compared, unix seconds.
        long: Over about a day, or longer where steps are long; without the moments at which a series drifted.
        middle: Over about the last hour; after a drift anew.
        short: Over the last steps.
        drifts: Where forecasts have gone wrong lately, bool of shape (N, F, K).
        kinds: Which method it is that all of this speaks of; N of them, `NONE` where it is not known.
        issued: Forecasts that wait, the oldest first.
    """

    step_seconds: int
    offsets: tuple[int, ...]
    services: tuple[ServiceId, ...]
    time: int
    long: Sums
    middle: Sums
    short: Sums
    drifts: NDArray[np.bool_]
    kinds: tuple[ModelKind, ...]
    issued: tuple[Issued, ...] = ()

    @classmethod
    def begin(cls, *, step_seconds: int, horizon_steps: int, time: int) -> "Record":
        """Without any past."""
        steps = {1, *(max(1, round(seconds / step_seconds)) for seconds in OFFSETS_SECONDS)}
        offsets = tuple(sorted(step for step in steps if step <= horizon_steps))
        shape = (0, len(FORECAST_FEATURES), len(offsets))
        nothing = Sums.none(shape)
        return cls(step_seconds, offsets, (), time, nothing, nothing, nothing, np.zeros(shape, np.bool_), ())

    def of(self, services: tuple[ServiceId, ...]) -> "Record":
        """That of *services*, in this order; of those not known yet nothing."""
        if services == self.services:
            return self
        rows = rows_of(services, self.services)
        return replace(
            self,
            services=services,
            long=self.long.of(rows),
            middle=self.middle.of(rows),
            short=self.short.of(rows),
            drifts=taken(self.drifts.astype(np.float32), rows, 0).astype(np.bool_),
            kinds=tuple(self.kinds[row] if row >= 0 else ModelKind.NONE for row in rows.tolist()),
            issued=tuple(one.of(rows) for one in self.issued),
        )

    def spoken_for(self, kinds: Mapping[ServiceId, ModelKind]) -> "Record":
        """
        Once *kinds* speak for services: what is known of another method says nothing of the one that speaks now.

        A service for which nobody can speak at the moment keeps what is known.
        """
        now = tuple(
            before if (kind := kinds.get(service, ModelKind.NONE)) is ModelKind.NONE else kind
            for service, before in zip(self.services, self.kinds, strict=True)
        )
        if now == self.kinds:
            return self
        changed = [before not in (ModelKind.NONE, kind) for before, kind in zip(self.kinds, now, strict=True)]
        rows = np.where(changed, -1, np.arange(len(now)))
        return replace(
            self,
            long=self.long.of(rows),
            middle=self.middle.of(rows),
            short=self.short.of(rows),
            drifts=self.drifts & ~np.array(changed, np.bool_)[:, None, None],
            kinds=now,
            issued=tuple(one.of(rows) for one in self.issued),
        )

    def with_past(self, pasts: Mapping[tuple[ServiceId, Feature], PublishedSkill]) -> "Record":
        """
        With what was known of single series at one offset before, where that is more than is known here.

        That of offsets it has not is left out. What is known here of another method is given up, for whatever was told
        of the one that speaks now is newer.
        """
        record = self.of(tuple(dict.fromkeys((*self.services, *(service for service, _ in pasts)))))
        record = record.spoken_for({service: past.kind for (service, _), past in pasts.items()})
        rows = {service: row for row, service in enumerate(record.services)}
        sums, drifts = {name: values.copy() for name, values in record.long.items()}, record.drifts.copy()
        kinds = list(record.kinds)
        for (service, feature), past in pasts.items():
            if past.offset_seconds % self.step_seconds or past.offset_seconds // self.step_seconds not in self.offsets:
                continue
            place = self.offsets.index(past.offset_seconds // self.step_seconds)
            at = (rows[service], FORECAST_FEATURES.index(feature), place)
            if past.samples < sums["moments"][at]:
                continue
            for name, value in _sums_of(past).items():
                sums[name][at] = value
            drifts[at] = past.drifts
            kinds[rows[service]] = past.kind
        return replace(record, long=Sums(**sums), drifts=drifts, kinds=tuple(kinds))

    @property
    def is_sound(self) -> bool:
        """Whether all its shapes fit each other, and the features of today."""
        shape = (len(self.services), len(FORECAST_FEATURES), len(self.offsets))
        arrays = (self.drifts, *(values for sums in (self.long, self.middle, self.short) for _, values in sums.items()))
        return len(self.kinds) == len(self.services) and all(values.shape == shape for values in arrays)

    def offset_of(self, seconds: float) -> int:
        """Which of the offsets reaches *seconds* ahead, or else the farthest."""
        reaching = [place for place, steps in enumerate(self.offsets) if steps * self.step_seconds >= seconds]
        return reaching[0] if reaching else len(self.offsets) - 1


def _sums_of(past: PublishedSkill) -> Mapping[str, float]:
    """The sums of which it tells the means; which of the naive methods was the better one is not known any more."""
    banded = 0.0 if past.coverage is None else past.samples
    return {
        "moments": past.samples,
        "own": past.error * past.samples,
        "signed": past.bias * past.samples,
        "last": past.naive_error * past.samples,
        "inside": banded * (past.coverage or 0.0),
        "banded": banded,
    }
