"""
Reads forecasts and calls out of ServicePerformanceForecast resources, and what came true out of Prometheus.

Shapes: `S` steps ahead, `T` times.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidecast_simulator.testbed.prometheus import PrometheusServer

Floats = NDArray[np.float64]
DAY_SECONDS = 86400
STEP_SECONDS = 60
_UNITS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class RequestForecast:
    """
    What one resource says about the requests per second of its workload.

    Attributes:
        name: Of the workload.
        method: Which model spoke.
        issued_time: Of the last measurement it was made from, unix seconds.
        times: What each step speaks of, unix seconds, shape (S,).
        low: The 10th percentile, 1/s, shape (S,); NaN where the spread is not known, as in `high`.
        median: 1/s, shape (S,).
        high: The 90th percentile, 1/s, shape (S,).
    """

    name: str
    method: str
    issued_time: float
    times: Floats
    low: Floats
    median: Floats
    high: Floats

    def median_at(self, time: float) -> float:
        """The median at a time, 1/s; NaN when it does not speak of it."""
        matches = self.median[np.abs(self.times - time) < 1]
        return float(matches[0]) if matches.size else float("nan")


def read_forecasts(resources: Iterable[Mapping[str, Any]]) -> tuple[RequestForecast, ...]:
    """The request forecasts of resources that have one, by rising name of the workload."""
    found = []
    for resource in resources:
        status = resource.get("status", {})
        series = [entry for entry in status.get("forecasts", []) if entry["metric"] == "RequestsPerSecond"]
        if series:
            found.append(_read(resource["spec"]["targetRef"]["name"], status, series[0]))
    return tuple(sorted(found, key=lambda forecast: forecast.name))


def _read(name: str, status: Mapping[str, Any], series: Mapping[str, Any]) -> RequestForecast:
    rows = {
        float(row["quantile"]): np.array([quantity(value) for value in row["values"]]) for row in series["quantiles"]
    }
    median = rows[0.5]
    unknown = np.full_like(median, np.nan)
    return RequestForecast(
        name=name,
        method=status["model"]["kind"],
        issued_time=unix(status["issuedTime"]),
        times=unix(series["startTime"]) + np.arange(median.size, dtype=np.float64) * float(series["stepSeconds"]),
        low=rows.get(0.1, unknown),
        median=median,
        high=rows.get(0.9, unknown),
    )


@dataclass(frozen=True, slots=True)
class DiscoveredCall:
    """
    A call that the resources tell of.

    Attributes:
        caller: Name of the calling workload or peer.
        callee: Name of the called one.
        requests_per_second: The mean over the window of the forecast.
    """

    caller: str
    callee: str
    requests_per_second: float


def read_calls(resources: Iterable[Mapping[str, Any]]) -> tuple[DiscoveredCall, ...]:
    """All calls among the neighbourhoods of the resources, each once."""
    rates: dict[tuple[str, str], float] = {}
    for resource in resources:
        name = resource["spec"]["targetRef"]["name"]
        status = resource.get("status", {})
        for caller in status.get("callers", []):
            rates[caller["name"], name] = quantity(caller["requestsPerSecond"])
        for callee in status.get("callees", []):
            rates[name, callee["name"]] = quantity(callee["requestsPerSecond"])
    return tuple(DiscoveredCall(*pair, rate) for pair, rate in sorted(rates.items()))


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """
    Requests per second as Prometheus has them, before and after a forecast was issued.

    Attributes:
        start_time: Of the first value, unix seconds.
        values: By name of the workload, 1/s, each of shape (T,), a minute apart; NaN where there is no sample.
    """

    start_time: int
    values: Mapping[str, Floats]

    @property
    def times(self) -> Floats:
        """Unix seconds, shape (T,)."""
        length = max((series.size for series in self.values.values()), default=0)
        return np.asarray(self.start_time + np.arange(length, dtype=np.float64) * STEP_SECONDS)

    def at(self, name: str, time: float) -> float:
        """The value nearest to a time; NaN when there is none."""
        series = self.values.get(name)
        index = round((time - self.start_time) / STEP_SECONDS)
        return float("nan") if series is None or not 0 <= index < series.size else float(series[index])


def measure(prometheus: PrometheusServer, namespace: str, *, start: int, end: int, range_seconds: int) -> Measured:
    """Requests per second of every workload of a namespace, each as a rate over *range_seconds*."""
    selector = f'reporter="destination", destination_workload_namespace="{namespace}"'
    query = f"sum by (destination_workload) (rate(istio_requests_total{{{selector}}}[{range_seconds}s]))"
    length = (end - start) // STEP_SECONDS + 1
    values = {}
    for series in prometheus.query_range(query, start=start, end=end, step=STEP_SECONDS):
        row = np.full(length, np.nan)
        for time, value in series["values"]:
            row[round((float(time) - start) / STEP_SECONDS)] = float(value)
        values[series["metric"]["destination_workload"]] = row
    return Measured(start, values)


def quantity(text: str) -> float:
    """
    The number that a Kubernetes quantity means.

    Raises:
        ValueError: If it is none.
    """
    match = re.fullmatch(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)([numkMGT]|[KMGT]i)?", text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    return float(match[1]) * _UNITS[match[2] or ""]


def unix(text: str) -> float:
    """The unix seconds of a time as Kubernetes writes it."""
    return dt.datetime.fromisoformat(text).timestamp()


def methods(forecasts: Sequence[RequestForecast]) -> dict[str, int]:
    """How many forecasts each method made."""
    names = [forecast.method for forecast in forecasts]
    return {name: names.count(name) for name in sorted(set(names))}
