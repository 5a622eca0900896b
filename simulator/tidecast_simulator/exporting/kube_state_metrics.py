"""
What kube-state-metrics exports about the workloads of a mesh and their pods.
"""

import numpy as np

from tidecast_simulator.exporting.emission import Emission, Family, Kind, Series, batch
from tidecast_simulator.exporting.pods import Pod, alive, pods_of, replica_set_name
from tidecast_simulator.mesh import Mesh, Service
from tidecast_simulator.traffic import Traffic

POD_INFO = Family("kube_pod_info", Kind.GAUGE, "Information about pod.")
POD_OWNER = Family("kube_pod_owner", Kind.GAUGE, "Information about the Pod's owner.")
REPLICASET_OWNER = Family("kube_replicaset_owner", Kind.GAUGE, "Information about the ReplicaSet's owner.")
_REPLICAS = {
    "Deployment": (
        Family("kube_deployment_status_replicas_ready", Kind.GAUGE, "The number of ready replicas per deployment."),
        Family("kube_deployment_spec_replicas", Kind.GAUGE, "Number of desired pods for a deployment."),
    ),
    "StatefulSet": (
        Family("kube_statefulset_status_replicas_ready", Kind.GAUGE, "The number of ready replicas per StatefulSet."),
        Family("kube_statefulset_replicas", Kind.GAUGE, "Number of desired pods for a StatefulSet."),
    ),
}


class KubeStateMetrics:
    """kube-state-metrics of the cluster that a mesh runs in."""

    def __init__(self, mesh: Mesh) -> None:
        self._pods = pods_of(mesh)
        self._workloads = [n for n, service in enumerate(mesh.services) if not service.is_external]
        services = [mesh.services[position] for position in self._workloads]
        self._replica_sets = [
            Series.of(REPLICASET_OWNER, _replica_set_labels(one)) for one in services if one.kind == "Deployment"
        ]
        self._ready, self._desired = (
            [Series.of(_REPLICAS[one.kind][place], _workload_labels(one)) for one in services] for place in (0, 1)
        )
        self._info = [Series.of(POD_INFO, _pod_labels(mesh, pod)) for pod in self._pods]
        self._owners = [Series.of(POD_OWNER, _owner_labels(mesh, pod)) for pod in self._pods]

    def emit(self, traffic: Traffic) -> Emission:
        """Owners, pods and replicas; gauges only."""
        ticks = len(traffic.clock.ticks)
        here = alive(self._pods, traffic.replicas)
        replicas = traffic.replicas[self._workloads]
        parts = [
            (self._replica_sets, np.ones((len(self._replica_sets), ticks))),
            (self._ready, replicas),
            (self._desired, replicas),
            (self._info, here),
            (self._owners, here),
        ]
        return Emission(batch([], ticks), batch(parts, ticks))


def _workload_labels(service: Service) -> dict[str, str]:
    return {"namespace": service.namespace, service.kind.lower(): service.name}


def _replica_set_labels(service: Service) -> dict[str, str]:
    owner = {"owner_kind": "Deployment", "owner_name": service.name, "owner_is_controller": "true"}
    return {"namespace": service.namespace, "replicaset": replica_set_name(service), **owner}


def _pod_labels(mesh: Mesh, pod: Pod) -> dict[str, str]:
    kind, name = _owner(mesh.services[pod.service])
    created = {"created_by_kind": kind, "created_by_name": name}
    return {"namespace": pod.namespace, "pod": pod.name, "node": pod.node, "pod_ip": pod.address, **created}


def _owner_labels(mesh: Mesh, pod: Pod) -> dict[str, str]:
    kind, name = _owner(mesh.services[pod.service])
    owner = {"owner_kind": kind, "owner_name": name, "owner_is_controller": "true"}
    return {"namespace": pod.namespace, "pod": pod.name, **owner}


def _owner(service: Service) -> tuple[str, str]:
    """The kind and name of what made a service's pods."""
    if service.kind == "Deployment":
        return "ReplicaSet", replica_set_name(service)
    return service.kind, service.name
