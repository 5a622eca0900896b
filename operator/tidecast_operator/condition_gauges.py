"""
The conditions of the Forecaster as a gauge: for alerts, and for an operator whose Forecaster has no status to read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from tidecast_operator.api_answers import Outcome
from tidecast_operator.publishing.writer import Writes
from tidecast_operator.resources import DEFAULT_FORECASTER


class ConditionGauges:
    """
    Shows what was last written as long as this replica leads.

    Args:
        leads: Whether it does; the conditions of one that does not are old.
        is_there: Whether there is a Forecaster; of one that was deleted nothing is told.
    """

    def __init__(self, *, leads: Callable[[], bool], is_there: Callable[[], bool] = lambda: True) -> None:
        self._leads = leads
        self._is_there = is_there
        self._conditions: tuple[tuple[str, str, str], ...] = ()

    def told(self, status: Mapping[str, Any]) -> None:
        """The status of the Forecaster in use, with its conditions."""
        self._conditions = tuple((one["type"], one["status"], one["reason"]) for one in status.get("conditions", ()))

    def exposition(self) -> bytes:
        """The gauge, as text; empty while another replica leads, or there is no Forecaster."""
        if not self._leads() or not self._is_there():
            self._conditions = ()  # by the time it leads again, or there is one, they are of another age
            return b""
        registry = CollectorRegistry()
        gauge = Gauge(
            "tidecast_forecaster_condition",
            "1 for the status that a condition of the Forecaster has, and for the reason of it.",
            ["type", "status", "reason"],
            registry=registry,
        )
        for condition in self._conditions:
            gauge.labels(*condition).set(1)
        return generate_latest(registry)


class StatusShown:
    """
    Writes as before, and shows the conditions of the Forecaster in use.

    Args:
        cluster: Where to.
        gauges: Where they are shown.
    """

    def __init__(self, cluster: Writes, gauges: ConditionGauges) -> None:
        self.create_forecast = cluster.create_forecast
        self.delete_forecast = cluster.delete_forecast
        self.patch_forecast_status = cluster.patch_forecast_status
        self.create_event = cluster.create_event
        self._patch_forecaster_status = cluster.patch_forecaster_status
        self._gauges = gauges

    def patch_forecaster_status(self, name: str, status: Mapping[str, Any]) -> Outcome:
        """Merges a status, and shows it."""
        if name == DEFAULT_FORECASTER:
            self._gauges.told(status)
        return self._patch_forecaster_status(name, status)
