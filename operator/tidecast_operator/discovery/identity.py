"""
Many labels, one workload: which node of the service graph a peer is.

A peer that no workload can be found for becomes a node of its own, kind `External`: its traffic is what drives the
rest of the graph, so it is not dropped. Of the ways to name a workload the surest comes first: the workload's own
name, the Service that was called, the name that a program reports about itself.
"""

import ipaddress
from dataclasses import dataclass
from typing import TypeGuard

from tidecast_contract.services import EXTERNAL, ServiceId
from tidecast_operator.discovery.names import ANYWHERE, Names
from tidecast_operator.discovery.workloads import Workload, WorkloadIndex
from tidecast_operator.telemetry.observations import Peer

UNKNOWN = "unknown"
"""The node, one for each namespace, that stands for all peers nothing is known of."""
ADDRESSES = "ip-addresses"
"""The node, one for each namespace, that stands for all peers of which only an address is known."""

# What Istio writes for traffic that it lets pass without knowing where to.
_PASSING = ("PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster")
# What a service graph writes for a caller that sends no spans, such as a browser.
_VIRTUAL_CALLER = "user"
_LONGEST_NAME = 253  # that the schema of the resources lets pass


@dataclass(frozen=True, slots=True)
class Attribution:
    """
    The node a peer was found to be.

    Attributes:
        service: The node.
        is_certain: Whether it is known who that is: a workload, a host outside the cluster, somebody who sends no
            telemetry by nature. If not, its requests count as unattributed.
    """

    service: ServiceId
    is_certain: bool


@dataclass(frozen=True, slots=True)
class _Nameless:
    """
    A peer without a name of its own: its node stands beside the other side of the call.
    """

    name: str
    is_certain: bool = False

    def beside(self, namespace: str) -> Attribution:
        return Attribution(_external(namespace, self.name), self.is_certain)


class Identity:
    """
    Finds the nodes of peers. It remembers them, so one serves many peers of the same moment.
    """

    def __init__(self, index: WorkloadIndex) -> None:
        self._names = Names(index)
        self._is_partial = index.is_partial
        self._found: dict[tuple[Peer, str], Attribution | _Nameless] = {}

    def of(self, peer: Peer, *, beside: str = "") -> Attribution:
        """
        The node that *peer* is.

        Args:
            peer: As the telemetry describes it.
            beside: The namespace of the other side of the call: there live the nodes of nameless peers, and there alone
                are those looked for that only the other side has seen, and without a namespace.
        """
        # All other peers are the same beside whomever.
        key = peer, beside if peer.is_virtual else ""
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(*key)
        return found if isinstance(found, Attribution) else found.beside(beside)

    def _find(self, peer: Peer, beside: str) -> "Attribution | _Nameless":
        if peer.workload:
            return self._by_workload(peer)
        application = "" if peer.is_virtual and peer.application == _VIRTUAL_CALLER else peer.application
        called = self._by_service(peer) if peer.service else None
        if _is_workload(called):
            return called
        named = self._by_application(peer, application, beside) if application else None
        if _is_workload(named) or (named and not called):
            return named
        # A virtual caller is somebody outside, as expected; a peer without any label is a gap in the telemetry.
        return called or _Nameless(UNKNOWN, is_certain=peer.is_virtual)

    def _by_workload(self, peer: Peer) -> Attribution:
        candidates = self._names.workloads(peer.namespace, peer.workload) if peer.namespace else []
        if peer.kind:
            candidates = [workload for workload in candidates if workload.kind == peer.kind]
        if len(candidates) == 1:
            return _certainly(candidates[0])
        # None: a workload that is gone, or of a kind or a namespace that is not watched. Several: no way to tell.
        return Attribution(_external(peer.namespace, peer.workload), is_certain=not candidates)

    def _by_service(self, peer: Peer) -> "Attribution | _Nameless":
        host = _without_port(peer.service)
        if host.startswith(_PASSING):
            return _Nameless(host)
        if _is_address(host):
            return _Nameless(ADDRESSES)
        name, namespace = self._split(host, peer.service_namespace or peer.namespace)
        services = self._names.services(namespace, name) if namespace else []
        selected = self._names.selected(services)
        if len(selected) == 1:
            return _certainly(selected[0])
        is_known = bool(services) or "." not in name
        # Several: the Service is in front of more than one workload, and none of them says that it was called.
        return Attribution(_external(namespace if is_known else "", name), is_certain=not selected)

    def _by_application(self, peer: Peer, application: str, beside: str) -> "Attribution | _Nameless":
        host = _without_port(application)
        if _is_address(host):
            return _Nameless(ADDRESSES)
        name, namespace = self._split(host, peer.namespace or peer.service_namespace)
        is_known = namespace in self._names.namespaces or bool(namespace and self._is_partial)
        # One of Kubernetes that is no more, or of another cluster, is not here. What a tracer calls a namespace need
        # not be one of the cluster, as far as all of them are known.
        if not is_known and not peer.namespace:
            namespace = ANYWHERE
        # "redis" that sends no spans is what its caller calls so, and no other team's.
        place = beside if peer.is_virtual and namespace == ANYWHERE else namespace
        for candidates in (
            self._names.workloads(place, name),
            self._names.selected(self._names.services(place, name)),
            self._names.labelled(place, name),
        ):
            if len(candidates) == 1:
                return _certainly(candidates[0])
            if candidates:
                return Attribution(_external(namespace, name), is_certain=False)
        return Attribution(_external(namespace, name), is_certain=peer.is_virtual)

    def _split(self, host: str, namespace: str) -> tuple[str, str]:
        """Name and namespace of a Service by its DNS name, such as cart.shop.svc.cluster.local; else as they are."""
        parts = host.split(".")
        if "svc" in parts[2:4]:  # before them the Service and its namespace, and maybe one of its pods
            end = parts.index("svc", 2)
            return parts[end - 2], parts[end - 1]
        if len(parts) == 2 and parts[1] in self._names.namespaces:
            return parts[0], parts[1]
        return host, namespace


def _is_workload(found: Attribution | _Nameless | None) -> TypeGuard[Attribution]:
    return isinstance(found, Attribution) and not found.service.is_external


def _certainly(workload: Workload) -> Attribution:
    return Attribution(workload.service_id, is_certain=True)


def _external(namespace: str, name: str) -> ServiceId:
    # Telemetry may hold any text; what it means for one peer must not be the end of the graph.
    return ServiceId(
        namespace.replace("/", "_")[:_LONGEST_NAME], EXTERNAL, name.replace("/", "_")[:_LONGEST_NAME] or UNKNOWN
    )


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
