"""
Which workloads there are: from objects that kubectl wrote down, or as the labels of telemetry tell.

Nothing here asks an API server: which cluster a Prometheus belongs to, only its user knows.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidecast_contract.services import ServiceId
from tidecast_operator.discovery.workloads import Workload, WorkloadIndex, Workloads
from tidecast_operator.errors import Misconfigured
from tidecast_operator.replaying.autoscaler_reading import OwnAutoscaler, read_autoscalers
from tidecast_operator.resources import FORECAST_KIND, ForecastResource
from tidecast_operator.telemetry.observations import Observations, Peer

KUBECTL = "kubectl get namespaces,services,deployments,statefulsets,daemonsets,hpa,spf --all-namespaces --output json"
"""What writes the objects."""

_FLAG = "--objects"


@dataclass(frozen=True, slots=True)
class Objects:
    """
    What stands in a file of objects.

    Attributes:
        workloads: The workloads, Services and Namespaces.
        resources: The ServicePerformanceForecasts.
        autoscalers: The HorizontalPodAutoscalers, by what they scale.
    """

    workloads: WorkloadIndex
    resources: tuple[ForecastResource, ...]
    autoscalers: Mapping[ServiceId, OwnAutoscaler]


def read_objects(path: Path) -> Objects:
    """
    The objects in a file.

    Raises:
        Misconfigured: If it is not what kubectl writes, or holds no workload.
    """
    try:
        body = json.loads(path.read_text())
        items = body.get("items", [body])
        workloads = Workloads()
        for item in items:
            workloads.observe(None, item)
        resources = tuple(ForecastResource.parse(item) for item in items if item.get("kind") == FORECAST_KIND)
        autoscalers = read_autoscalers(items)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(
            _FLAG, f"{path} holds no Kubernetes objects ({error!r})", f"write it with: {KUBECTL}"
        ) from error
    index = workloads.index()
    if not index.workloads:
        raise Misconfigured(_FLAG, f"{path} holds no workload", f"write it with: {KUBECTL}")
    return Objects(index, resources, autoscalers)


class Labels:
    """
    Collects the workloads that telemetry names: of those whose kind no label tells it is taken to be Deployment.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], str] = {}

    def seen(self, observations: Observations) -> WorkloadIndex:
        """All workloads that were named so far, those of *observations* included."""
        for peer in sorted(_peers(observations), key=lambda each: not each.kind):
            if peer.namespace and peer.workload and "/" not in f"{peer.namespace}{peer.workload}{peer.kind}":
                self._kinds.setdefault((peer.namespace, peer.workload), peer.kind or "Deployment")
        services = [ServiceId(namespace, kind, name) for (namespace, name), kind in self._kinds.items()]
        return WorkloadIndex({each: _workload(each) for each in services}, {}, _namespaces(services))


def _peers(observations: Observations) -> Iterator[Peer]:
    for traffic in observations.traffic:
        yield from traffic.calls.callers
        yield from traffic.calls.callees
        yield from traffic.requests.peers
    for series in observations.resources.values():
        yield from series.peers


def _workload(service: ServiceId) -> Workload:
    return Workload(service.namespace, service.kind, service.name, "apps/v1", "", {"app": service.name}, 0)


def _namespaces(services: list[ServiceId]) -> Mapping[str, Mapping[str, Any]]:
    return {service.namespace: {} for service in services}
