"""
Which workloads get a ServicePerformanceForecast, and which resource speaks for a workload. Pure.

A resource that a user wrote is never touched; one of the operator's own gives way to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidecast_contract.services import ServiceId
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.resources import ForecastResource, managed_forecast
from tidecast_operator.selectors import Selector


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What has to change for the resources to fit the cluster.

    Attributes:
        create: Objects to make.
        delete: Resources of the operator's own that nobody wants any more.
    """

    create: tuple[Mapping[str, Any], ...] = ()
    delete: tuple[ForecastResource, ...] = ()


def speakers(resources: Iterable[ForecastResource]) -> Mapping[ServiceId, ForecastResource]:
    """
    The one resource that speaks for each workload: written by a user before managed, then the oldest.
    """
    by_target: dict[ServiceId, ForecastResource] = {}
    for resource in sorted(resources, key=lambda one: (one.is_managed, one.creation_time, one.key)):
        if resource.target is not None:
            by_target.setdefault(resource.target, resource)
    return by_target


def asking(resources: Sequence[ForecastResource]) -> tuple[ForecastResource, ...]:
    """Those that ask for a hint and speak for their workload."""
    speaking = speakers(resources)
    return tuple(
        resource
        for resource in resources
        if resource.scaling is not None
        and resource.target is not None
        and speaking[resource.target].key == resource.key
    )


def plan(
    resources: Sequence[ForecastResource],
    receivers: Iterable[ServiceId],
    workloads: WorkloadIndex,
    *,
    namespaces: Selector,
) -> Plan:
    """
    What to make and what to delete.

    Args:
        resources: All that there are.
        receivers: The services that are called, whether they are workloads or not.
        workloads: The cluster.
        namespaces: Selects the namespaces that have opted in.
    """
    chosen = {name for name, labels in workloads.namespace_labels.items() if namespaces.matches(labels)}
    speaking = speakers(resources)
    # A namespace that is not known is no namespace that has opted out.
    unwanted = tuple(
        resource
        for resource in resources
        if resource.is_managed
        and resource.target is not None
        and (
            (resource.namespace in workloads.namespace_labels and resource.namespace not in chosen)
            or speaking[resource.target].key != resource.key
        )
    )
    wanted = sorted(
        service
        for service in set(receivers)
        if service.namespace in chosen and service in workloads.workloads and service not in speaking
    )
    return Plan(tuple(_made(wanted, resources, workloads)), unwanted)


def _made(
    wanted: Sequence[ServiceId],
    resources: Sequence[ForecastResource],
    workloads: WorkloadIndex,
) -> Iterable[Mapping[str, Any]]:
    taken: dict[str, set[str]] = defaultdict(set)
    for resource in resources:
        # What is about to be deleted still bears its name for a moment.
        taken[resource.namespace].add(resource.name)
    for service in wanted:
        name = service.name
        if name in taken[service.namespace]:
            name = f"{service.name}-{service.kind.lower()}"
        if name in taken[service.namespace]:
            continue
        taken[service.namespace].add(name)
        workload = workloads.workloads[service]
        yield managed_forecast(name, service, {"apiVersion": workload.api_version, "uid": workload.uid})
