"""
The workloads and Services of the cluster as the last events left them.

Knows nothing of telemetry. `Workloads` is fed on the event loop; the `WorkloadIndex` it hands out is frozen and may
travel to another thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from tidecast_contract.services import ServiceId

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

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
        is_partial: Whether the cluster may have namespaces, and workloads in them, that are not known here.
    """

    workloads: Mapping[ServiceId, Workload]
    services: Mapping[tuple[str, str], KubernetesService]
    namespace_labels: Mapping[str, Mapping[str, str]]
    is_partial: bool = False


class Workloads:
    """
    The picture of the cluster, kept by events; `index` freezes it.

    Args:
        is_partial: Whether events come of some namespaces alone.
    """

    def __init__(self, *, is_partial: bool = False) -> None:
        self._is_partial = is_partial
        self._workloads: dict[ServiceId, Workload] = {}
        self._services: dict[tuple[str, str], KubernetesService] = {}
        self._namespace_labels: dict[str, Mapping[str, str]] = {}
        self._index: WorkloadIndex | None = None

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """
        Takes in one watch event of a Namespace, Deployment, StatefulSet, DaemonSet or Service; others are ignored.

        Args:
            event_type: `ADDED`, `MODIFIED`, `DELETED`, or None for an object of the first listing.
            body: The object.
        """
        kind = body.get("kind")
        if kind == "Namespace":
            name = body["metadata"]["name"]
            self._keep(self._namespace_labels, name, dict(body["metadata"].get("labels") or {}), event_type)
        elif kind == "Service":
            service = _service(body)
            self._keep(self._services, (service.namespace, service.name), service, event_type)
        elif kind in WORKLOAD_KINDS:
            workload = _workload(body)
            self._keep(self._workloads, workload.service_id, workload, event_type)

    def index(self) -> WorkloadIndex:
        """The cluster as of the last event; the same object as long as nothing changed."""
        if self._index is None:
            self._index = WorkloadIndex(
                workloads=MappingProxyType(dict(self._workloads)),
                services=MappingProxyType(dict(self._services)),
                namespace_labels=MappingProxyType(dict(self._namespace_labels)),
                is_partial=self._is_partial,
            )
        return self._index

    def _keep(self, known: dict[_Key, _Value], key: _Key, value: _Value, event_type: str | None) -> None:
        if event_type == "DELETED":
            changed = known.pop(key, None) is not None
        else:
            changed = known.get(key) != value
            known[key] = value
        if changed:
            self._index = None


def _workload(body: Mapping[str, Any]) -> Workload:
    metadata, status = body["metadata"], body.get("status") or {}
    ready = status.get("numberReady" if body["kind"] == "DaemonSet" else "readyReplicas")
    template = (body.get("spec") or {}).get("template") or {}
    return Workload(
        namespace=metadata["namespace"],
        kind=body["kind"],
        name=metadata["name"],
        api_version=body.get("apiVersion", "apps/v1"),
        uid=metadata.get("uid", ""),
        pod_labels=dict((template.get("metadata") or {}).get("labels") or {}),
        ready_replicas=int(ready or 0),
    )


def _service(body: Mapping[str, Any]) -> KubernetesService:
    selector = (body.get("spec") or {}).get("selector") or {}
    return KubernetesService(body["metadata"]["namespace"], body["metadata"]["name"], dict(selector))
