"""
The pods of a mesh: names as Kubernetes makes them, and which are there at a tick.
"""

from dataclasses import dataclass

import numpy as np

from tidecast_simulator.mesh import Mesh, Service
from tidecast_simulator.randomness import Floats, stream

# Kubernetes' alphabet for generated names: no vowels, nothing that is easily mistaken.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Pod:
    """
    One pod.

    Attributes:
        service: Position of its service in the mesh.
        ordinal: Which of the service's pods.
        namespace: As of the service.
        name: `deployment-hash-suffix` or `statefulset-ordinal`.
        node: The node it runs on.
        address: Its IP.
    """

    service: int
    ordinal: int
    namespace: str
    name: str
    node: str
    address: str


def replica_set_name(service: Service) -> str:
    """The name of a Deployment's present ReplicaSet."""
    return f"{service.name}-{_code('replicaset', service.key, service.version, length=9)}"


def pods_of(mesh: Mesh) -> tuple[Pod, ...]:
    """All pods that a mesh ever has, service by service; external peers have none."""
    pods = []
    for position, service in enumerate(mesh.services):
        if not service.is_external:
            most = max([service.replicas, *(replicas for _, replicas in service.replica_schedule)])
            pods += [_pod(position, service, ordinal) for ordinal in range(most)]
    return tuple(pods)


def alive(pods: tuple[Pod, ...], replicas: Floats) -> Floats:
    """1 where a pod is there and NaN where it is not, of shape (P, T); replicas of shape (N, T)."""
    services = np.array([pod.service for pod in pods], dtype=np.int64)
    ordinals = np.array([pod.ordinal for pod in pods])
    return np.where(ordinals[:, None] < replicas[services], 1.0, np.nan)


def _pod(position: int, service: Service, ordinal: int) -> Pod:
    number = stream("pod", service.key, ordinal)
    name = f"{service.name}-{ordinal}"
    if service.kind == "Deployment":
        name = f"{replica_set_name(service)}-{_code('pod', service.key, ordinal, length=5)}"
    address = f"10.{244 + number % 4}.{number // 4 % 254}.{number // 1024 % 253 + 1}"
    return Pod(position, ordinal, service.namespace, name, f"node-{number % 5 + 1}", address)


def _code(*names: object, length: int) -> str:
    number, text = stream(*names), ""
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        text += _ALPHABET[digit]
    return text
