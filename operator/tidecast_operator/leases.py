"""
Leases at the Kubernetes API: read, taken and renewed, each within a few seconds or not at all.

A client of its own: a renewal must neither wait behind thousands of writes, nor be held back by the fence that they
pass, nor hang on a connection that is dead. Synchronous: call it in a thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubernetes import client

from tidecast_operator.api_answers import Outcome, found, written

_TIMEOUT = (3, 3)  # seconds to connect, and to answer


@dataclass(frozen=True, slots=True)
class Lease:
    """
    A Lease of `coordination.k8s.io`.

    Attributes:
        namespace: Where it lives.
        name: Its name.
        holder: Who holds it; empty for nobody.
        duration_seconds: How long it holds without being renewed.
        acquire_time: Since when its holder has it.
        transitions: How often it changed hands.
        version: Changes with every renewal; empty for one that is still to be created.
        labels: Those of whoever made it, which a renewal keeps.
        annotations: The same.
    """

    namespace: str
    name: str
    holder: str
    duration_seconds: int
    acquire_time: datetime
    transitions: int = 0
    version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class Leases:
    """
    Both methods raise `ApiServerUnavailable` when the API server does not answer soon, `Misconfigured` when the
    operator lacks a permission, and `WriteRefused` when a write is not valid.

    Args:
        configuration: From `cluster.load_configuration`; this object's own.
    """

    def __init__(self, configuration: client.Configuration) -> None:
        # Whoever asks tries again by itself, knowing how much time is left.
        configuration.retries = False
        # Typed in some of the versions that are supported, and not in others.
        self._client: Any = client.ApiClient(configuration)
        self._coordination: Any = client.CoordinationV1Api(self._client)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def read_lease(self, namespace: str, name: str) -> Lease | None:
        """A Lease; None if it is not there."""
        lease = found(lambda: self._coordination.read_namespaced_lease(name, namespace, _request_timeout=_TIMEOUT))
        if lease is None:
            return None
        spec = lease.spec or client.V1LeaseSpec()  # an installer makes it without
        return Lease(
            namespace=namespace,
            name=name,
            holder=spec.holder_identity or "",
            duration_seconds=spec.lease_duration_seconds or 0,
            acquire_time=spec.acquire_time or datetime.now(UTC),
            transitions=spec.lease_transitions or 0,
            version=lease.metadata.resource_version,
            labels=lease.metadata.labels or {},
            annotations=lease.metadata.annotations or {},
        )

    def write_lease(self, lease: Lease) -> Outcome:
        """
        Creates a Lease without a version, and renews one with: `CONFLICT` if it exists, or changed since it was read.
        """
        body = client.V1Lease(
            metadata=client.V1ObjectMeta(
                name=lease.name,
                namespace=lease.namespace,
                resource_version=lease.version or None,
                labels=dict(lease.labels),
                annotations=dict(lease.annotations),
            ),
            spec=client.V1LeaseSpec(
                holder_identity=lease.holder,
                lease_duration_seconds=lease.duration_seconds,
                acquire_time=lease.acquire_time,
                renew_time=datetime.now(UTC),
                lease_transitions=lease.transitions,
            ),
        )
        if lease.version:
            return written(
                lambda: self._coordination.replace_namespaced_lease(
                    lease.name, lease.namespace, body, _request_timeout=_TIMEOUT
                )
            )
        return written(
            lambda: self._coordination.create_namespaced_lease(lease.namespace, body, _request_timeout=_TIMEOUT)
        )
