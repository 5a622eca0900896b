"""
The gauges: their names, labels and meanings. docs/metrics.md has the same table, and a test keeps both equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tidecast_contract.features import CPU, ERRORS, LATENCY_P50, LATENCY_P95, MEMORY, READY_REPLICAS, REQUESTS

SERVICE = ("namespace", "kind", "service")
"""A service of the graph, as `ServiceId` has it."""

RESOURCE = ("namespace", "name")
"""A ServicePerformanceForecast."""

_AHEAD = (*SERVICE, "quantile", "offset_seconds")
_PAST = (*SERVICE, "metric", "offset_seconds")
_MODE = (*RESOURCE, "mode")


@dataclass(frozen=True, slots=True)
class Family:
    """
    All series of one name; they are gauges.

    Attributes:
        name: With the unit in it, as Prometheus wants it.
        help: In words; no backslash and no line end.
        labels: Their names, in the order in which they are written.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()


FORECASTS: Mapping[str, Family] = {
    REQUESTS.name: Family("tidecast_forecast_requests_per_second", "Requests that are forecast.", _AHEAD),
    LATENCY_P50.name: Family("tidecast_forecast_latency_p50_seconds", "Median latency that is forecast.", _AHEAD),
    LATENCY_P95.name: Family("tidecast_forecast_latency_p95_seconds", "95th percentile of latency, forecast.", _AHEAD),
    ERRORS.name: Family("tidecast_forecast_error_ratio", "Share of failing requests that is forecast.", _AHEAD),
    CPU.name: Family("tidecast_forecast_cpu_cores", "CPU use that is forecast.", _AHEAD),
    MEMORY.name: Family("tidecast_forecast_memory_bytes", "Memory use that is forecast.", _AHEAD),
}
"""By the name of the feature."""

MEASURED: Mapping[str, Family] = {
    REQUESTS.name: Family("tidecast_measured_requests_per_second", "Requests of the newest step.", SERVICE),
    LATENCY_P50.name: Family("tidecast_measured_latency_p50_seconds", "Median latency of the newest step.", SERVICE),
    LATENCY_P95.name: Family(
        "tidecast_measured_latency_p95_seconds", "95th percentile of latency of the newest step.", SERVICE
    ),
    ERRORS.name: Family("tidecast_measured_error_ratio", "Share of failing requests of the newest step.", SERVICE),
    CPU.name: Family("tidecast_measured_cpu_cores", "CPU use of the newest step.", SERVICE),
    MEMORY.name: Family("tidecast_measured_memory_bytes", "Memory use of the newest step.", SERVICE),
    READY_REPLICAS.name: Family("tidecast_measured_ready_replicas", "Ready replicas at the newest step.", SERVICE),
}
"""By the name of the feature: what forecasts are made from, so both can be drawn in one picture."""

ISSUED = Family("tidecast_forecast_issued_timestamp_seconds", "Up to when the newest forecast knew measurements.")
EXPIRE = Family("tidecast_forecast_expire_timestamp_seconds", "From when on the newest forecast is not shown any more.")
STEP = Family("tidecast_forecast_step_seconds", "Time between two steps, and between two cycles.")
SERVICES_LEFT_OUT = Family(
    "tidecast_forecast_services_left_out", "Services with a forecast that is not shown, to keep the number bounded."
)

SKILL = Family("tidecast_forecast_skill_ratio", "1 - error / naive error of past forecasts.", _PAST)
ERROR = Family("tidecast_forecast_error", "Mean absolute error of past medians, in the metric's unit.", _PAST)
NAIVE_ERROR = Family("tidecast_forecast_naive_error", "The same of the better naive forecast.", _PAST)
BIAS = Family("tidecast_forecast_bias", "Mean of past medians minus what came true, in the metric's unit.", _PAST)
COVERAGE = Family(
    "tidecast_forecast_coverage_ratio", "Share of what came true from the lowest quantile to the highest.", _PAST
)
SAMPLES = Family("tidecast_forecast_samples", "Moments that were compared; older ones count in part.", _PAST)

TRUSTED = Family("tidecast_forecast_trusted", "Whether the forecasts of the resource are trusted.", RESOURCE)
REPLICAS = Family("tidecast_hint_replicas", "Replicas that the forecast asks for.", _MODE)
LOAD = Family("tidecast_hint_load", "The load to be carried, in the signal's unit.", (*_MODE, "signal"))
PER_REPLICA = Family("tidecast_hint_per_replica", "What one replica carries, in the signal's unit.", (*_MODE, "signal"))
OFFERED = Family("tidecast_hint_offered", "Whether autoscalers may be told the hint now.", _MODE)
RESOURCES_LEFT_OUT = Family(
    "tidecast_forecast_resources_left_out",
    "ServicePerformanceForecasts that are not shown, to keep the number bounded.",
)

FLOORS_RAISED = Family("tidecast_floors_raised", "HorizontalPodAutoscalers whose floor is raised now.")
FLOORS_LEFT = Family("tidecast_floors_left", "Floors that are still to be written or given back.")
FLOORS_COMPLETE = Family("tidecast_floors_complete", "Whether all floors are as they should be, as far as is known.")
FLOORS_FORCED = Family(
    "tidecast_floors_forced_timestamp_seconds",
    "When a floor was last given back because its hint must not be acted on any more.",
)

FAMILIES = (
    *FORECASTS.values(),
    *MEASURED.values(),
    *(ISSUED, EXPIRE, STEP, SERVICES_LEFT_OUT),
    *(SKILL, ERROR, NAIVE_ERROR, BIAS, COVERAGE, SAMPLES),
    *(TRUSTED, REPLICAS, LOAD, PER_REPLICA, OFFERED, RESOURCES_LEFT_OUT),
    *(FLOORS_RAISED, FLOORS_LEFT, FLOORS_COMPLETE, FLOORS_FORCED),
)
"""All of them."""
