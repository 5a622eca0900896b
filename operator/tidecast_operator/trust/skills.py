"""
How good past forecasts were, series by series, as read from the record. Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES, Feature
from tidecast_contract.services import ServiceId
from tidecast_operator.trust.comparing import WINDOW_SECONDS, window_seconds
from tidecast_operator.trust.record import Record

FEWEST_LATELY = 15.0
"""Moments from which on the last hour, and the highest quantile, are judged."""


@dataclass(frozen=True, slots=True)
class Skill:
    """
    How good the forecasts of one series were, at one offset, over about the last day, or longer where steps are long.

    Attributes:
        feature: Whose.
        offset_seconds: How far ahead.
        samples: Moments that were compared; a faded one counts in part.
        error: Mean absolute error of the median, in the feature's unit.
        naive_error: The same of the better of last value and seasonal naive.
        bias: Mean of the median minus what came true.
        coverage: Share of what came true between the lowest and the highest quantile; None without a band.
        drifts: Whether it has gone wrong lately.
        lately: Error in that of the better naive method, over about the last hour; None if too little was compared.
        cap: Pinball loss of the highest quantile in that of a naive one, over a day or the last hour, whichever is
            worse; None if too little was compared. Far above 1 it promises too much, or too little.
        window_seconds: The time all but the last hour tells of; the weight of a moment falls by e over half of it.
    """

    feature: Feature
    offset_seconds: int
    samples: float
    error: float
    naive_error: float
    bias: float
    coverage: float | None
    drifts: bool
    lately: float | None = None
    cap: float | None = None
    window_seconds: int = WINDOW_SECONDS

    @property
    def skill(self) -> float | None:
        """1 - error / naive_error; None where naive forecasts do not err either."""
        return 1 - self.error / self.naive_error if self.naive_error > 0 else None


class Skills:
    """
    A record, asked series by series.

    Args:
        record: What came of past forecasts.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._rows = {service: row for row, service in enumerate(record.services)}
        self._error, self._naive = record.long.error, record.long.naive
        self._lately = _where(record.middle.moments >= FEWEST_LATELY, record.middle.error_ratio(record.long))
        self._cap = np.fmax(
            _where(record.long.capped >= FEWEST_LATELY, record.long.cap_ratio(record.long)),
            _where(record.middle.capped >= FEWEST_LATELY, record.middle.cap_ratio(record.long)),
        )

    def of(self, service: ServiceId, feature: Feature, seconds: float) -> Skill | None:
        """
        What came of the forecasts of a series *seconds* ahead, or at the nearest offset that reaches so far.

        None if nothing was compared.
        """
        place, row = self._record.offset_of(seconds), self._rows.get(service)
        if row is None:
            return None
        at = (row, FORECAST_FEATURES.index(feature), place)
        sums = self._record.long
        moments, banded = float(sums.moments[at]), float(sums.banded[at])
        if moments <= 0:
            return None
        return Skill(
            feature=feature,
            offset_seconds=self._record.offsets[place] * self._record.step_seconds,
            samples=moments,
            error=float(self._error[at]),
            naive_error=float(self._naive[at]),
            bias=float(sums.signed[at]) / moments,
            coverage=float(sums.inside[at]) / banded if banded > 0 else None,
            drifts=bool(self._record.drifts[at]),
            lately=_known(self._lately[at]),
            cap=_known(self._cap[at]),
            window_seconds=window_seconds(self._record.step_seconds),
        )


def _where(enough: NDArray[np.bool_], ratios: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(enough, ratios, np.float32(np.nan))


def _known(ratio: np.float32) -> float | None:
    return None if np.isnan(ratio) else float(ratio)
