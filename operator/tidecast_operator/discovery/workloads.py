"""
The workloads and Services of the cluster as the last events left them.

Knows nothing of telemetry. `Workloads` is fed on the event loop; the `WorkloadIndex` it hands out is frozen and may
travel to another thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidecast_contract.services import ServiceId

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, slots=True)
class Workload:
    """
    What runs a service.

    Attributes:
        namespace: Where it lives.
        kind: `Deployment`, `StatefulSet` or `DaemonSet`.
        name: Unique in its namespace and kind.
        api_version: As an owner reference needs it.
        uid: As an owner reference needs it.
        pod_labels: The labels of its pod template, which Services select.
        ready_replicas: Ready pods now; 0 when its status says nothing.
    """

    namespace: str
    kind: str
    name: str
    api_version: str
    uid: str
    pod_labels: Mapping[str, str]
    ready_replicas: int

    @property
    def service_id(self) -> ServiceId:
        """Its node in the service graph."""
        return ServiceId(self.namespace, self.kind, self.name)


@dataclass(frozen=True, slots=True)
class KubernetesService:
    """
    A Service of the API: a name and the pods it selects.

    Attributes:
        namespace: Where it lives.
        name: Unique in its namespace.
        selector: The labels it selects pods by; empty for a Service whose endpoints others write.
    """

    namespace: str
    name: str
    selector: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WorkloadIndex:
    """
    The cluster at one moment.

    Attributes:
        workloads: By identity.
        services: By (namespace, name).
        namespace_labels: The labels of every namespace, by its name.
    """

    workloads: Mapping[ServiceId, Workload]
    services: Mapping[tuple[str, str], KubernetesService]
    namespace_labels: Mapping[str, Mapping[str, str]]


class Workloads:
    """
    The picture of the cluster, kept by events; `index` freezes it.
    """

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """
        Takes in one watch event of a Namespace, Deployment, StatefulSet, DaemonSet or Service.

        Args:
            event_type: `ADDED`, `MODIFIED`, `DELETED`, or None for an object of the first listing.
            body: The object.
        """
        raise NotImplementedError

    def index(self) -> WorkloadIndex:
        """The cluster as of the last event; the same object as long as nothing changed."""
        raise NotImplementedError
