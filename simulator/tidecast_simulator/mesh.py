"""
A mesh: which services there are, who calls whom, and what each can carry.

Knows nothing of load, time or metrics. A mesh is a value: to change one, make another.

Shapes elsewhere: `N` services and `E` calls, both in the order in which they stand here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from tidecast_contract.services import EXTERNAL, ServiceId


class Role(StrEnum):
    """What a service is to the mesh."""

    WORKLOAD = "workload"
    QUEUE = "queue"
    """A broker: what it passes on arrives later."""
    GATEWAY = "gateway"
    """Where traffic enters: reports as a caller only."""
    EXTERNAL = "external"
    """A peer outside the mesh: has no sidecar, no pods and no Kubernetes objects."""


WORKLOAD_KINDS = ("Deployment", "StatefulSet")
PROTOCOLS = ("http", "grpc")


@dataclass(frozen=True, slots=True)
class Service:
    """
    One service of the mesh.

    Attributes:
        name: Unique within its namespace; also the value of the pods' `app` label.
        namespace: Empty for an external peer.
        kind: The workload's kind, `Deployment` or `StatefulSet`; ignored for an external peer.
        role: See `Role`.
        protocol: How it is called, `http` or `grpc`.
        replicas: Ready pods.
        replica_schedule: (unix seconds, replicas) pairs, rising in time: from then on so many pods are ready.
        capacity_rps: Requests per second that one pod can carry.
        latency_seconds: Mean time of its own work on a request when idle.
        latency_spread: Sigma of the log-normal around it.
        error_ratio: Share of requests that fail with code 500 whatever the load.
        client_error_ratio: Share answered with 404: no failure of the service.
        sparse: Is called in episodes only and silent in between.
        entry_rps: Requests per second that start here when the load's factor is 1.
        cpu_seconds: CPU time of one request.
        cpu_idle_cores: CPU of one idle pod.
        memory_bytes: Of one fresh, idle pod.
        memory_bytes_per_rps: On top, for each request per second that a pod serves.
        version: The value of the pods' `version` label.
    """

    name: str
    namespace: str = ""
    kind: str = "Deployment"
    role: Role = Role.WORKLOAD
    protocol: str = "http"
    replicas: int = 2
    replica_schedule: tuple[tuple[int, int], ...] = ()
    capacity_rps: float = 100.0
    latency_seconds: float = 0.01
    latency_spread: float = 0.5
    error_ratio: float = 0.0005
    client_error_ratio: float = 0.0
    sparse: bool = False
    entry_rps: float = 0.0
    cpu_seconds: float = 0.002
    cpu_idle_cores: float = 0.005
    memory_bytes: float = 120e6
    memory_bytes_per_rps: float = 0.5e6
    version: str = "v1"

    def __post_init__(self) -> None:
        where = f"service {self.namespace}/{self.name}"
        _require(bool(self.name), where, "name", "must not be empty")
        _require(self.is_external or bool(self.namespace), where, "namespace", "must not be empty")
        _require(self.kind in WORKLOAD_KINDS, where, "kind", f"must be one of {', '.join(WORKLOAD_KINDS)}")
        _require(self.protocol in PROTOCOLS, where, "protocol", f"must be one of {', '.join(PROTOCOLS)}")
        _require(self.replicas >= 1, where, "replicas", "must be at least 1")
        for name in ("capacity_rps", "latency_seconds", "latency_spread"):
            _require(getattr(self, name) > 0, where, name, "must be above 0")
        for name in ("error_ratio", "client_error_ratio"):
            _require(0 <= getattr(self, name) < 1, where, name, "must lie in [0, 1)")
        for name in ("entry_rps", "cpu_seconds", "cpu_idle_cores", "memory_bytes", "memory_bytes_per_rps"):
            _require(getattr(self, name) >= 0, where, name, "must not be negative")
        times = [time for time, _ in self.replica_schedule]
        rising = times == sorted(times) and all(replicas >= 0 for _, replicas in self.replica_schedule)
        _require(rising, where, "replica_schedule", "must rise in time, with no negative number of replicas")

    @property
    def is_external(self) -> bool:
        """Whether it is a peer outside the mesh."""
        return self.role is Role.EXTERNAL

    @property
    def key(self) -> str:
        """Names it within a mesh file: `namespace/name`, or the bare name of an external peer."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def service_id(self) -> ServiceId:
        """Its identity in the contract."""
        return ServiceId(self.namespace, EXTERNAL if self.is_external else self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Call:
    """
    One service calls another.

    Attributes:
        caller: The key of the caller.
        callee: The key of the callee.
        fan_out: Calls for each of the caller's requests that makes any.
        share: Share of the caller's requests that make them, in (0, 1].
        drift: How far the share wanders over hours, as the sigma of its logarithm; 0 for a constant one.
        asynchronous: Through a queue: the caller does not wait, and the callee is called later.
        delay_seconds: Mean time in the queue, for an asynchronous call.
        retries: How often the caller tries again after a failure.
    """

    caller: str
    callee: str
    fan_out: float = 1.0
    share: float = 1.0
    drift: float = 0.0
    asynchronous: bool = False
    delay_seconds: float = 0.0
    retries: int = 1

    def __post_init__(self) -> None:
        where = f"call {self.caller} -> {self.callee}"
        _require(self.fan_out > 0, where, "fan_out", "must be above 0")
        _require(0 < self.share <= 1, where, "share", "must lie in (0, 1]")
        _require(self.drift >= 0, where, "drift", "must not be negative")
        _require(self.delay_seconds >= 0, where, "delay_seconds", "must not be negative")
        late = not self.delay_seconds or self.asynchronous
        _require(late, where, "delay_seconds", "is for asynchronous calls; set asynchronous, or leave it out")
        _require(0 <= self.retries <= 5, where, "retries", "must lie between 0 and 5")

    @property
    def weight(self) -> float:
        """Mean number of calls for each of the caller's requests."""
        return self.fan_out * self.share


@dataclass(frozen=True)
class Mesh:
    """
    Services and the calls between them.

    Attributes:
        name: What to call it.
        services: With unique keys; N of them.
        calls: Each pair at most once, without a cycle; E of them.

    Raises:
        ValueError: If a key stands twice, a call names no service, or the calls run in a circle.
    """

    name: str
    services: tuple[Service, ...]
    calls: tuple[Call, ...]
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {service.key: position for position, service in enumerate(self.services)}
        if len(index) != len(self.services):
            keys = [service.key for service in self.services]
            raise ValueError(f"services: {next(key for key in keys if keys.count(key) > 1)} stands twice")
        pairs = set()
        for call in self.calls:
            for end in (call.caller, call.callee):
                if end not in index:
                    raise ValueError(f"calls: {call.caller} -> {call.callee} names {end}, which is no service here")
            if (call.caller, call.callee) in pairs:
                raise ValueError(f"calls: {call.caller} -> {call.callee} stands twice; merge the two")
            pairs.add((call.caller, call.callee))
        object.__setattr__(self, "index", index)
        self.order  # noqa: B018 - raises when there is a circle

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The positions of the services, callers before callees."""
        waiting = [len(calls) for calls in self.calls_in]
        ready = [service for service, count in enumerate(waiting) if not count]
        order: list[int] = []
        while ready:
            service = ready.pop()
            order.append(service)
            for call in self.calls_out[service]:
                callee = self.ends[call][1]
                waiting[callee] -= 1
                if not waiting[callee]:
                    ready.append(callee)
        if len(order) < len(self.services):
            circle = sorted(self.services[s].key for s in set(range(len(self.services))) - set(order))
            raise ValueError(f"calls: run in a circle among {', '.join(circle)}; take one of them out")
        return tuple(order)

    @cached_property
    def ends(self) -> tuple[tuple[int, int], ...]:
        """The positions of caller and callee of each call."""
        return tuple((self.index[call.caller], self.index[call.callee]) for call in self.calls)

    @cached_property
    def calls_out(self) -> tuple[tuple[int, ...], ...]:
        """The positions of the calls that each service makes."""
        return _grouped([caller for caller, _ in self.ends], len(self.services))

    @cached_property
    def calls_in(self) -> tuple[tuple[int, ...], ...]:
        """The positions of the calls that each service receives."""
        return _grouped([callee for _, callee in self.ends], len(self.services))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of its services, sorted."""
        return tuple(sorted({service.namespace for service in self.services if service.namespace}))

    def service(self, key: str) -> Service:
        """The service of that key; KeyError when there is none."""
        return self.services[self.index[key]]

    def with_service(self, service: Service, *calls: Call) -> "Mesh":
        """The same mesh with one more service and the calls to or from it."""
        return Mesh(self.name, (*self.services, service), (*self.calls, *calls))

    def without_service(self, key: str) -> "Mesh":
        """The same mesh without a service and without the calls to or from it."""
        services = tuple(service for service in self.services if service.key != key)
        return Mesh(self.name, services, tuple(call for call in self.calls if key not in (call.caller, call.callee)))


def _grouped(groups: list[int], count: int) -> tuple[tuple[int, ...], ...]:
    members: list[list[int]] = [[] for _ in range(count)]
    for member, group in enumerate(groups):
        members[group].append(member)
    return tuple(tuple(group) for group in members)


def _require(condition: bool, where: str, name: str, what: str) -> None:  # noqa: FBT001
    if not condition:
        raise ValueError(f"{where}: {name} {what}")
