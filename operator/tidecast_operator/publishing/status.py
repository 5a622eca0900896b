"""
A forecast as the status of one ServicePerformanceForecast. Pure.

What is not known is left out, never 0; numbers have three significant digits; everything together stays below 6 KiB.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import (
    CPU,
    ERRORS,
    FORECAST_FEATURES,
    LATENCY_P50,
    LATENCY_P95,
    MEMORY,
    READY_REPLICAS,
    REQUESTS,
    Feature,
    index_of,
)
from tidecast_contract.forecast import Forecast, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.published import to_time
from tidecast_operator.publishing.quantities import binary, milli, quantity
from tidecast_operator.trust.skills import Skill

MAX_STEPS = 12
MAX_NEIGHBOURS = 10
MAX_BYTES = 6 * 1024
VALID_STEPS = 10
"""A forecast expires this many steps after it was issued, unless an API server is too slow to renew all by then."""

_CONDITIONS_BYTES = 2400  # six conditions with the longest texts of `conditions`

_FORMATS: Mapping[Feature, Callable[[float], str | None]] = {CPU: milli, MEMORY: binary}
_CURRENT = {
    "requestsPerSecond": REQUESTS,
    "latencyP50Seconds": LATENCY_P50,
    "latencyP95Seconds": LATENCY_P95,
    "errorRatio": ERRORS,
    "cpuCores": CPU,
    "memoryBytes": MEMORY,
}
_OUTLOOK = (
    ("requestsPerSecondIn5Minutes", REQUESTS, 300),
    ("requestsPerSecondIn30Minutes", REQUESTS, 1800),
    ("latencyP95SecondsIn5Minutes", LATENCY_P95, 300),
)
# A merge leaves what is not named: these are removed where a new status lacks them.
_NESTED = {
    "current": (*_CURRENT, "readyReplicas"),
    "outlook": (*(name for name, _, _ in _OUTLOOK), "requestsPerSecond", "latencyP95Seconds", "readyReplicas"),
    "model": ("version", "trainedTime"),
    "peak": ("p90",),
    "skill": ("skill", "coverage"),
    "hint": ("currentReplicas", "limitedBy", "evidence"),
}
_FIELDS = ("forecasts", "peak", "callers", "callees", "skill", "hint")


class Statuses:
    """
    The statuses of all services of one forecast.

    Args:
        window: What the forecast was made from.
        forecast: Of the same services.
        metrics: The names of the features to publish.
        valid_steps: How long the forecasts stand; not beyond their horizon, unless that is shorter than `VALID_STEPS`.
    """

    def __init__(
        self, window: Snapshot, forecast: Forecast, *, metrics: Sequence[str], valid_steps: int = VALID_STEPS
    ) -> None:
        self._window = window
        self._forecast = forecast
        self._features = tuple(feature for feature in FORECAST_FEATURES if feature.name in metrics)
        self._rows = {service: row for row, service in enumerate(forecast.services)}
        self._measured = {service: row for row, service in enumerate(window.services)}
        self._neighbours = _Neighbours(window)
        self._median = int(np.argmin(np.abs(np.array(forecast.quantiles) - 0.5)))
        self._quantiles = [f"{quantile:g}" for quantile in forecast.quantiles]
        self._times = [to_time(seconds) for seconds in forecast.times.tolist()]
        self._issued = to_time(forecast.issued_time)
        valid_steps = max(VALID_STEPS, min(valid_steps, forecast.horizon_steps))
        self._expires = to_time(forecast.issued_time + valid_steps * forecast.step_seconds)
        horizon = forecast.horizon_steps
        self._every = -(-horizon // MAX_STEPS)
        # Counted from the end, so that the far end of the horizon is always there.
        self._steps = np.arange(horizon - 1, -1, -self._every)[::-1]

    def of(self, service: ServiceId, *, reserved: int = 0) -> dict[str, Any] | None:
        """
        The status of one service, without its conditions; None if there is no forecast for it.

        Args:
            service: Which.
            reserved: Bytes that are to be left for what is added later, the conditions aside.
        """
        row = self._rows.get(service)
        if row is None or self._forecast.kinds[row] is ModelKind.NONE:
            return None
        forecasts = [found for feature in self._features if (found := self._series(row, feature)) is not None]
        if not forecasts:
            return None
        current = self._current(service)
        status = {
            "issuedTime": self._issued,
            "expireTime": self._expires,
            "model": self._model(row),
            "current": current,
            "outlook": {"target": f"{service.kind}/{service.name}", **self._outlook(row, current)},
            "forecasts": forecasts,
            **self._peak(row),
        }
        room = MAX_BYTES - _CONDITIONS_BYTES - reserved - len(json.dumps(status, separators=(",", ":")))
        return status | self._neighbours.of(self._measured.get(service), room=room)

    def _model(self, row: int) -> dict[str, Any]:
        kind, model = self._forecast.kinds[row], self._forecast.model
        if kind is not ModelKind.GCN_GRU:
            return {"kind": kind.value}
        trained = {} if model.trained_time is None else {"trainedTime": to_time(model.trained_time)}
        return {"kind": kind.value, "version": model.version, **trained}

    def _current(self, service: ServiceId) -> dict[str, Any]:
        row = self._measured.get(service)
        if row is None:
            return {}
        last = self._window.values[-1, row]
        written = {
            name: text
            for name, feature in _CURRENT.items()
            if (text := _format(feature)(float(last[index_of(feature)]))) is not None
        }
        replicas = last[index_of(READY_REPLICAS)]
        return written | ({"readyReplicas": round(float(replicas))} if np.isfinite(replicas) else {})

    def _outlook(self, row: int, current: Mapping[str, Any]) -> dict[str, Any]:
        shown = {
            name: current[name]
            for name in ("requestsPerSecond", "latencyP95Seconds", "readyReplicas")
            if name in current
        }
        for name, feature, seconds in _OUTLOOK:
            step = round(seconds / self._forecast.step_seconds) - 1
            if 0 <= step < self._forecast.horizon_steps and feature in self._features:
                value = self._forecast.values[row, FORECAST_FEATURES.index(feature), step, self._median]
                if (text := _format(feature)(float(value))) is not None:
                    shown[name] = text
        return shown

    def _series(self, row: int, feature: Feature) -> dict[str, Any] | None:
        values = self._forecast.values[row, FORECAST_FEATURES.index(feature)][self._steps]
        known = np.isfinite(values).all(axis=0)
        if not known[self._median]:
            return None
        write = _format(feature)
        return {
            "metric": feature.name,
            "startTime": self._times[self._steps[0]],
            "stepSeconds": self._every * self._forecast.step_seconds,
            "quantiles": [
                {"quantile": quantile, "values": [write(value) for value in values[:, q].tolist()]}
                for q, quantile in enumerate(self._quantiles)
                if known[q]
            ],
        }

    def _peak(self, row: int) -> dict[str, Any]:
        values = self._forecast.values[row, FORECAST_FEATURES.index(REQUESTS)]
        median = values[:, self._median]
        if REQUESTS not in self._features or not np.isfinite(median).any():
            return {}
        step = int(np.nanargmax(median))
        peak = {
            "metric": REQUESTS.name,
            "time": self._times[step],
            "p50": quantity(float(median[step])),
        }
        if 0.9 in self._forecast.quantiles:
            upper = quantity(float(values[step, self._forecast.quantiles.index(0.9)]))
            peak |= {} if upper is None else {"p90": upper}
        return {"peak": peak}


class _Neighbours:
    """Who calls whom, the busiest calls first."""

    def __init__(self, window: Snapshot) -> None:
        self._window = window
        self._callers: dict[int, list[int]] = defaultdict(list)
        self._callees: dict[int, list[int]] = defaultdict(list)
        for call in np.argsort(-window.rates, kind="stable").tolist():
            caller, callee = window.calls[:, call].tolist()
            self._callers[callee].append(call)
            self._callees[caller].append(call)

    def of(self, row: int | None, *, room: int) -> dict[str, Any]:
        """At most ten in each direction, fewer where their names would need more than *room* bytes."""
        if row is None:
            return {}
        found = {
            "callers": self._named(self._callers.get(row, ()), self._window.calls[0]),
            "callees": self._named(self._callees.get(row, ()), self._window.calls[1]),
        }
        while len(json.dumps(found, separators=(",", ":"))) > room and any(found.values()):
            max(found.values(), key=len).pop()
        return {name: neighbours for name, neighbours in found.items() if neighbours}

    def _named(self, calls: Sequence[int], side: NDArray[np.int64]) -> list[dict[str, Any]]:
        named = []
        for call in calls[:MAX_NEIGHBOURS]:
            service = self._window.services[int(side[call])]
            place = {"namespace": service.namespace} if service.namespace else {}
            named.append(
                {**place, "name": service.name, "requestsPerSecond": quantity(float(self._window.rates[call]))}
            )
        return named


def skill_block(skill: Skill | None) -> dict[str, Any]:
    """How good past forecasts were, as a part of a status; {} where nothing came true yet."""
    if skill is None:
        return {}
    write = _format(skill.feature)
    told = {
        "metric": skill.feature.name,
        "offsetSeconds": skill.offset_seconds,
        "error": write(skill.error),
        "naiveError": write(skill.naive_error),
        "bias": write(skill.bias),
        "skill": None if skill.skill is None else quantity(skill.skill),
        "coverage": None if skill.coverage is None else quantity(skill.coverage),
        "samples": round(skill.samples),
        "windowSeconds": skill.window_seconds,
    }
    return {"skill": {name: value for name, value in told.items() if value is not None}}


def merged(status: Mapping[str, Any]) -> dict[str, Any]:
    """
    The patch after which exactly *status* stands there: with None for every field that it lacks.
    """
    patch: dict[str, Any] = dict.fromkeys(_FIELDS) | dict(status)
    for name, fields in _NESTED.items():
        if patch.get(name) is not None:
            patch[name] = dict.fromkeys(fields) | patch[name]
    return patch


def _format(feature: Feature) -> Callable[[float], str | None]:
    return _FORMATS.get(feature, quantity)
