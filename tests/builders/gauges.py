"""
What gauges are shown, and what a scraper reads of it.
"""

from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from builders.hints import NOW, entry
from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.outlets.gauges.facts import Facts, FloorFacts
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.trust.record import Record
from tidecast_operator.trust.skills import Skills
from tidecast_operator.trust.sums import Sums

STEP, HORIZON, EXPIRE = 60, 30, NOW + 540
ALL = tuple(feature.name for feature in FORECAST_FEATURES)


class Clock:
    """Stands still until it is set."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def services(number: int) -> tuple[ServiceId, ...]:
    """So many Deployments in the shop."""
    return tuple(ServiceId("shop", "Deployment", f"service-{n}") for n in range(number))


def forecast(
    of: tuple[ServiceId, ...] | int = 2, *, horizon: int = HORIZON, step: int = STEP, loads: Any = None
) -> Forecast:
    """
    Of each service and feature `1000 * row + 100 * feature + step`, and 0.1, 0.5 and 0.9 for the quantiles.

    With *loads* the requests are those instead, one for each service.
    """
    known = services(of) if isinstance(of, int) else of
    row, feature, ahead = np.ogrid[: len(known), : len(FORECAST_FEATURES), 1 : horizon + 1]
    values = (1000 * row + 100 * feature + ahead)[..., None] + np.array(QUANTILES)
    if loads is not None:
        values[:, 0] = np.asarray(loads, float)[:, None, None]
    kind = ModelKind.GCN_GRU
    return Forecast(NOW, step, known, QUANTILES, values.astype(np.float32), (kind,) * len(known), ModelInfo(kind))


def skills(of: tuple[ServiceId, ...] | int = 2, *, horizon: int = HORIZON, step: int = STEP, **sums: float) -> Skills:
    """Forty moments of every series, of which each sum is given or has a value that suits the others."""
    record = Record.begin(step_seconds=step, horizon_steps=horizon, time=NOW)
    record = record.of(services(of) if isinstance(of, int) else of)
    valid = {"moments": 40.0, "own": 60.0, "signed": -10.0, "last": 80.0, "inside": 32.0, "banded": 40.0} | sums
    full = {name: np.full_like(values, valid.get(name, 0.0)) for name, values in record.long.items()}
    return Skills(
        Record(
            record.step_seconds,
            record.offsets,
            record.services,
            NOW,
            Sums(**full),
            record.middle,
            record.short,
            record.drifts,
            record.kinds,
        )
    )


def measured(of: tuple[ServiceId, ...] | int = 2, *, end_time: int = NOW) -> Snapshot:
    """Two steps; of each service and feature `100 * row + feature` in the newest, and a hundredth of that before."""
    known = services(of) if isinstance(of, int) else of
    newest = 100 * np.arange(len(known))[:, None] + np.arange(len(FEATURES))
    nobody = np.zeros((2, 0), np.int64)
    values = np.stack([newest / 100, newest]).astype(np.float32)
    return Snapshot(end_time, STEP, known, values, nobody, np.zeros(0, np.float32))


def board(*entries: Entry) -> Board:
    """With these entries, or with an offered hint for the checkout."""
    shown = entries or (entry(),)
    return Board(NOW, {one.key: one for one in shown}, is_known=True)


def facts(**changes: Any) -> Facts:
    """Of two services and the checkout everything is known, and holds."""
    valid: dict[str, Any] = {
        "board": board(),
        "forecast": forecast(),
        "expire_time": EXPIRE,
        "metrics": ALL,
        "skills": skills(),
        "trusted": {("shop", "checkout"): True},
        "measured": measured(),
    }
    return Facts(**(valid | changes))


def floors(**changes: Any) -> FloorFacts:
    """Three floors are raised, and one was given back by force a minute ago."""
    valid: dict[str, Any] = {"raised": 3, "left": 0, "is_complete": True, "forced_time": NOW - 60}
    return FloorFacts(**(valid | changes))


def scraped(
    *shown: Facts, floors: FloorFacts | None = None, clock: Clock | None = None, **arguments: Any
) -> dict[tuple[str, ...], float]:
    """The series of gauges that were shown these facts."""
    gauges = Gauges(clock=clock or Clock(), **arguments)
    for each in shown:
        gauges.show(each)
    if floors is not None:
        gauges.show_floors(floors)
    return series(gauges.exposition())


def series(exposition: bytes) -> dict[tuple[str, ...], float]:
    """
    All values, by name and the values of the labels in the order of their names.

    Raises:
        ValueError: If it is no valid exposition, or says something twice.
    """
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(exposition.decode()):
        for sample in family.samples:
            key = (sample.name, *(value for _, value in sorted(sample.labels.items())))
            if key in found:
                raise ValueError(f"{key} stands there twice")
            found[key] = sample.value
    return found


def named(found: dict[tuple[str, ...], float], name: str) -> dict[tuple[str, ...], float]:
    """Those of one name, without it."""
    return {key[1:]: value for key, value in found.items() if key[0] == name}
