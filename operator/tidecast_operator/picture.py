"""
The cluster as the last watch events left it: workloads, namespaces and Tidecast's own resources.

Fed on the event loop; what it hands out is frozen. Knows neither kopf nor the API server.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidecast_operator.discovery.workloads import WorkloadIndex, Workloads
from tidecast_operator.resources import FORECAST_KIND, FORECASTER_KIND, ForecasterResource, ForecastResource


class Picture:
    """
    What the cycle knows of the cluster.

    Args:
        is_partial: Whether it is shown some namespaces alone.

    Attributes:
        on_forecaster_change: Called when the spec of a Forecaster is new, so that nobody waits for the next step.
    """

    def __init__(self, *, is_partial: bool = False) -> None:
        self.on_forecaster_change: Callable[[], None] = lambda: None
        self._workloads = Workloads(is_partial=is_partial)
        self._forecasts: dict[tuple[str, str], ForecastResource] = {}
        self._forecasters: dict[str, ForecasterResource] = {}

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """
        Takes in one watch event.

        Args:
            event_type: `ADDED`, `MODIFIED`, `DELETED`, or None for an object of the first listing.
            body: The object.
        """
        if body.get("kind") == FORECAST_KIND:
            self._observe_forecast(event_type, body)
        elif body.get("kind") == FORECASTER_KIND:
            self._observe_forecaster(event_type, body)
        else:
            self._workloads.observe(event_type, body)

    def workloads(self) -> WorkloadIndex:
        """All workloads, Services and namespaces."""
        return self._workloads.index()

    def forecasts(self) -> tuple[ForecastResource, ...]:
        """All ServicePerformanceForecasts."""
        return tuple(self._forecasts.values())

    def forecasters(self) -> tuple[ForecasterResource, ...]:
        """All Forecasters."""
        return tuple(self._forecasters.values())

    def names(self) -> Mapping[str, frozenset[tuple[str, str]]]:
        """Namespace and name of every object, by kind."""
        index = self._workloads.index()
        names: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for service in index.workloads:
            names[service.kind].add((service.namespace, service.name))
        names["Service"] |= index.services.keys()
        names["Namespace"] |= {("", name) for name in index.namespace_labels}
        names[FORECAST_KIND] |= self._forecasts.keys()
        names[FORECASTER_KIND] |= {("", name) for name in self._forecasters}
        return {kind: frozenset(found) for kind, found in names.items()}

    def forget(self, kind: str, names: Iterable[tuple[str, str]]) -> None:
        """Objects whose deletion was missed."""
        for namespace, name in names:
            self.observe("DELETED", {"kind": kind, "metadata": {"namespace": namespace, "name": name}})

    def _observe_forecast(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        resource = ForecastResource.parse(body)
        if event_type == "DELETED":
            self._forecasts.pop(resource.key, None)
        else:
            self._forecasts[resource.key] = resource

    def _observe_forecaster(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        resource = ForecasterResource.parse(body)
        old = self._forecasters.pop(resource.name, None)
        if event_type != "DELETED":
            self._forecasters[resource.name] = resource
        if old is None or event_type == "DELETED" or old.generation != resource.generation:
            self.on_forecaster_change()
