"""
Keeps the record of past forecasts from cycle to cycle, and goes on after a restart from what the resources tell.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tidecast_contract.features import FORECAST_FEATURES, Feature
from tidecast_contract.forecast import Forecast
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.published import PublishedSkill
from tidecast_operator.resources import ForecastResource
from tidecast_operator.trust.comparing import WINDOW_SECONDS, advance, aged
from tidecast_operator.trust.record import Record
from tidecast_operator.trust.skills import Skills
from tidecast_operator.trust.storing import Store

Pasts = Callable[[], Mapping[tuple[ServiceId, Feature], PublishedSkill]]
"""Says what was told of past forecasts before a restart; asked when nothing else is known."""

_SAVING_STEPS = 10


class Keeper:
    """
    Not safe to use from several threads at once.

    Args:
        store: Where the record outlives a restart; None for nowhere.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._saved_time = 0
        self._record: Record | None = None

    def after(self, window: Snapshot, forecast: Forecast | None, pasts: Pasts) -> Skills | None:
        """
        How good forecasts were, once *window* was measured and *forecast* was made from it; None before the first one.

        Args:
            window: What was measured.
            forecast: What was forecast from it; None if nothing was.
            pasts: Says what was told before a restart; asked when nothing else is known.
        """
        record = self._record
        if forecast is not None and (record is None or not _fits(record, forecast)):
            record = self._begin(window, forecast, pasts)
        if record is None or record.step_seconds != window.step_seconds:
            return None
        self._record = advance(record, window, forecast)
        self._save(self._record)
        return Skills(self._record)

    def forget(self) -> None:
        """Another replica leads: when this one leads again, it begins from what that one has told by then."""
        self._record = None

    def _begin(self, window: Snapshot, forecast: Forecast, pasts: Pasts) -> Record:
        stored = None if self._store is None or self._record is not None else self._store.load()
        if stored is not None and _fits(stored, forecast) and stored.time <= window.end_time:
            return aged(stored, until=window.end_time).with_past(pasts())
        new = Record.begin(
            step_seconds=forecast.step_seconds, horizon_steps=forecast.horizon_steps, time=window.end_time
        )
        return new.with_past(pasts())

    def _save(self, record: Record) -> None:
        if self._store is not None and record.time - self._saved_time >= _SAVING_STEPS * record.step_seconds:
            self._store.save(record)
            self._saved_time = record.time


def pasts_of(resources: Iterable[ForecastResource], *, time: int) -> dict[tuple[ServiceId, Feature], PublishedSkill]:
    """
    What the statuses of *resources* tell of past forecasts, as much as is left of it at *time*, unix seconds.

    What does not say when it was written is not believed. Of how long its steps were it says nothing: it is worth as little
    as with short ones.
    """
    features = {feature.name: feature for feature in FORECAST_FEATURES}
    pasts = {}
    for resource in resources:
        told, written = resource.published.skill, resource.published.issued_time
        if told is None or written is None or resource.target is None or told.metric not in features:
            continue
        # One from the future is of another clock: how old it is nobody knows.
        left = math.exp(-2 * abs(time - written) / WINDOW_SECONDS)
        pasts[resource.target, features[told.metric]] = replace(told, samples=told.samples * left)
    return pasts


def _fits(record: Record, forecast: Forecast) -> bool:
    asked = Record.begin(step_seconds=forecast.step_seconds, horizon_steps=forecast.horizon_steps, time=0)
    return (record.step_seconds, record.offsets) == (asked.step_seconds, asked.offsets)
