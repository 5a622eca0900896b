"""
Meshes from a seed, of any size: levels of services, each called by the level above.
"""

import dataclasses
import itertools
import math
from dataclasses import dataclass

import numpy as np

from tidecast_simulator.mesh import Call, Mesh, Role, Service

GATEWAY = Service("istio-ingressgateway", "istio-system", role=Role.GATEWAY, capacity_rps=1000, latency_seconds=0.001)
# Pods are sized for this utilisation at the mean load, so that peaks strain them and rarely break them.
_MEAN_UTILISATION = 0.4


@dataclass(frozen=True, slots=True)
class Blueprint:
    """
    What a mesh from a seed should look like.

    Attributes:
        size: Services, the gateway not counted.
        depth: Levels below the gateway.
        fan_out: Mean number of services that one calls, the last level not counted.
        sparse_share: Share of services that are called in episodes only.
        queue_share: Share of services that are queues.
        namespaces: Over how many namespaces the services are spread.
        entry_rps: Requests per second at the gateway.
        seed: Other seeds, other meshes.

    Raises:
        ValueError: If a value does not fit.
    """

    size: int = 50
    depth: int = 5
    fan_out: float = 2.0
    sparse_share: float = 0.1
    queue_share: float = 0.05
    namespaces: int = 1
    entry_rps: float = 200.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= self.size:
            raise ValueError(f"depth must lie between 1 and size {self.size}, not {self.depth}")
        if self.fan_out < 0:
            raise ValueError(f"fan_out must not be negative, not {self.fan_out}")
        for name in ("sparse_share", "queue_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {getattr(self, name)}")
        if self.namespaces < 1 or self.entry_rps <= 0:
            raise ValueError("namespaces must be at least 1 and entry_rps above 0")


def generate(blueprint: Blueprint) -> Mesh:
    """A mesh of that kind: the same one for the same blueprint."""
    chance = np.random.default_rng(blueprint.seed)
    levels = _levels(blueprint, chance)
    services = [_service(position, blueprint, chance) for position in range(blueprint.size)]
    services = [_leaf(service) if position in levels[-1] else service for position, service in enumerate(services)]
    calls = [Call(GATEWAY.key, services[position].key, share=1 / len(levels[0])) for position in levels[0]]
    for above, below in itertools.pairwise(levels):
        calls += _calls_between(services, (above, below), blueprint, chance)
    gateway = dataclasses.replace(GATEWAY, entry_rps=blueprint.entry_rps)
    return _sized(Mesh(f"generated-{blueprint.seed}", (gateway, *services), tuple(calls)))


def _levels(blueprint: Blueprint, chance: np.random.Generator) -> list[list[int]]:
    """Positions by level; each level has at least one."""
    extra = chance.integers(0, blueprint.depth, blueprint.size - blueprint.depth)
    level_of = np.sort(np.concatenate([np.arange(blueprint.depth), extra]))
    return [np.flatnonzero(level_of == level).tolist() for level in range(blueprint.depth)]


def _service(position: int, blueprint: Blueprint, chance: np.random.Generator) -> Service:
    queue = bool(chance.random() < blueprint.queue_share)
    sparse = bool(chance.random() < blueprint.sparse_share)
    return Service(
        f"service-{position:0{len(str(blueprint.size - 1))}d}",
        f"mesh-{position % blueprint.namespaces}" if blueprint.namespaces > 1 else "mesh",
        kind="StatefulSet" if queue else "Deployment",
        role=Role.QUEUE if queue else Role.WORKLOAD,
        protocol="grpc" if chance.random() < 0.25 else "http",
        latency_seconds=float(np.round(np.exp(chance.normal(math.log(0.008), 0.9)), 5)),
        cpu_seconds=float(np.round(np.exp(chance.normal(math.log(0.004), 0.7)), 6)),
        memory_bytes=float(np.round(np.exp(chance.normal(math.log(150e6), 0.5)))),
        sparse=sparse and not queue,
    )


def _leaf(service: Service) -> Service:
    """A queue at the end of the mesh would hand on to nobody."""
    return dataclasses.replace(service, role=Role.WORKLOAD) if service.role is Role.QUEUE else service


def _calls_between(
    services: list[Service], levels: tuple[list[int], list[int]], blueprint: Blueprint, chance: np.random.Generator
) -> list[Call]:
    """Every service below gets a caller; callers get `fan_out` callees on average."""
    above, below = levels
    pairs = {(above[int(chance.integers(len(above)))], position) for position in below}
    for caller in above:
        for callee in chance.choice(below, min(len(below), int(chance.poisson(blueprint.fan_out))), replace=False):
            if sum(pair[0] == caller for pair in pairs) < blueprint.fan_out:
                pairs.add((caller, int(callee)))
    return [_call(services[caller], services[callee], chance) for caller, callee in sorted(pairs)]


def _call(caller: Service, callee: Service, chance: np.random.Generator) -> Call:
    queued = caller.role is Role.QUEUE
    share = 0.05 if callee.sparse else float(np.round(chance.uniform(0.2, 1.0), 2))
    return Call(
        caller.key,
        callee.key,
        share=share,
        drift=float(np.round(chance.uniform(0.0, 0.15), 2)),
        asynchronous=queued,
        delay_seconds=float(chance.integers(2, 11) * 60) if queued else 0.0,
    )


def _sized(mesh: Mesh) -> Mesh:
    """The same mesh with as many pods as its mean load needs."""
    rates = [service.entry_rps for service in mesh.services]
    for position in mesh.order:
        for call in mesh.calls_out[position]:
            rates[mesh.ends[call][1]] += rates[position] * mesh.calls[call].weight
    services = []
    for service, rate in zip(mesh.services, rates, strict=True):
        replicas = max(1, min(20, math.ceil(math.sqrt(rate) / 2)))
        capacity = max(rate / (_MEAN_UTILISATION * replicas), 1.0)
        services.append(dataclasses.replace(service, replicas=replicas, capacity_rps=round(capacity, 3)))
    return Mesh(mesh.name, tuple(services), mesh.calls)
