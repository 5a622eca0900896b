"""
The meshes of the experiments and the loads that enter them: SIMULATED, each a function of its plan.

Settings are those of an ordinary installation, not of one that suits a graph: several entries with days, campaigns and
bursts of their own, pods sized for 20 to 55 percent of their capacity at the mean load, so that some services come near
saturation at the peak of the day, and shares of traffic that wander over hours.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tidecast_simulator.load import Bursts, Campaigns, Constant, Diurnal, Noise, Product, Shape, Weekly
from tidecast_simulator.mesh import Call, Mesh, Role, Service
from tidecast_simulator.mesh_generation import GATEWAY, Blueprint, generate
from tidecast_simulator.randomness import Floats

_UTILISATION = (0.2, 0.55)
_LOWEST_CAPACITY_RPS = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a mesh of the experiments looks like.

    Attributes:
        seed: Other seeds, other meshes, other loads.
        size: Services, the entries not counted.
        depth: Levels below the entries.
        fan_out: Mean number of services that one calls, the last level not counted.
        sparse_share: Share of services that get a few requests a minute or fewer; half of these only in episodes.
        queue_share: Share of services that hand on later what they received.
        hidden_share: Share of services that nobody measures, drawn by `hidden`.
        entries: Gateways where load enters, each with a load of its own.
        entry_rps: Requests per second of all entries together, at the mean load.
        retries: How often a caller tries again after a failure.
    """

    seed: int
    size: int = 40
    depth: int = 4
    fan_out: float = 2.0
    sparse_share: float = 0.15
    queue_share: float = 0.1
    hidden_share: float = 0.05
    entries: int = 3
    entry_rps: float = 120.0
    retries: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.hidden_share < 1:
            raise ValueError(f"hidden_share must lie in [0, 1), not {self.hidden_share}")
        if self.entries < 1:
            raise ValueError(f"entries must be at least 1, not {self.entries}")


@dataclass(frozen=True, slots=True)
class ByEntry:
    """
    A load of its own for each entry.

    Attributes:
        shapes: By the key of the service where the load enters; 1 for any other.
    """

    shapes: Mapping[str, Shape]

    def factor(self, times: Floats, entry: str) -> Floats:
        """The factor of that entry's shape at these unix seconds."""
        return self.shapes.get(entry, Constant()).factor(times, entry)


def mesh_of(plan: Plan) -> Mesh:
    """The mesh of a plan: services under several gateways, some of them rarely called, pods sized for the mean load."""
    blueprint = Blueprint(
        size=plan.size,
        depth=min(plan.depth, plan.size),
        fan_out=plan.fan_out,
        sparse_share=plan.sparse_share,
        queue_share=plan.queue_share,
        entry_rps=plan.entry_rps,
        seed=plan.seed,
    )
    chance = np.random.default_rng((plan.seed, 1))
    generated = generate(blueprint)
    rare = {service.key for service in generated.services if service.sparse}
    services = [
        dataclasses.replace(service, sparse=service.sparse and bool(chance.random() < 0.5))
        for service in generated.services
        if service.role is not Role.GATEWAY
    ]
    entries = _entries(plan, chance)
    calls = _entering(entries, generated, chance)
    for call in generated.calls:
        if call.caller != GATEWAY.key:
            share = float(np.round(chance.uniform(0.002, 0.05), 4)) if call.callee in rare else call.share
            calls.append(dataclasses.replace(call, share=share, retries=plan.retries))
    return _sized(Mesh(f"experiment-{plan.seed}", (*entries, *services), tuple(calls)), chance)


def load_of(plan: Plan, *, level: Shape | None = None) -> ByEntry:
    """
    The load of a plan's mesh: for each entry its own day, week, campaigns, bursts and noise.

    Args:
        plan: Whose.
        level: Multiplies the load of all entries; left out: as it is.
    """
    chance = np.random.default_rng((plan.seed, 2))
    shapes: dict[str, Shape] = {}
    for entry in _entries(plan, np.random.default_rng(0)):
        shape = _shape_of_an_entry(int(chance.integers(1 << 30)))
        shapes[entry.key] = Product((shape, level)) if level else shape
    return ByEntry(shapes)


def hidden(plan: Plan) -> tuple[str, ...]:
    """The keys of the services of a plan's mesh that nobody measures; entries are always measured."""
    services = [service.key for service in mesh_of(plan).services if service.role is not Role.GATEWAY]
    count = round(plan.hidden_share * len(services))
    return tuple(sorted(np.random.default_rng((plan.seed, 3)).choice(services, count, replace=False).tolist()))


def _shape_of_an_entry(seed: int) -> Shape:
    chance = np.random.default_rng(seed)
    hours = np.sort(chance.uniform(6, 23, int(chance.integers(1, 4))))
    return Product(
        (
            Diurnal(amplitude=float(chance.uniform(0.35, 0.6)), peak_hour=float(chance.uniform(9, 20))),
            Weekly(weekend=float(chance.uniform(0.6, 0.95))),
            Campaigns(
                hours=tuple(hours.tolist()),
                height=float(chance.uniform(0.1, 0.4)),
                duration_seconds=float(chance.uniform(2400, 6000)),
            ),
            Bursts(
                per_day=float(chance.uniform(1, 4)),
                height=float(chance.uniform(1.2, 1.8)),
                duration_seconds=float(chance.uniform(1200, 4800)),
                seed=seed,
            ),
            Noise(
                sigma=float(chance.uniform(0.06, 0.14)),
                correlation_seconds=float(chance.uniform(1200, 5400)),
                seed=seed,
            ),
        )
    )


def _entries(plan: Plan, chance: np.random.Generator) -> list[Service]:
    rates = plan.entry_rps * chance.dirichlet(np.full(plan.entries, 3.0))
    return [
        dataclasses.replace(GATEWAY, name=f"gateway-{place}", entry_rps=float(np.round(max(rate, 1.0), 3)))
        for place, rate in enumerate(rates)
    ]


def _entering(entries: list[Service], generated: Mesh, chance: np.random.Generator) -> list[Call]:
    """The calls of the entries: each service of the first level has one, a third of them have a second."""
    first = [call.callee for call in generated.calls if call.caller == GATEWAY.key]
    chosen: list[list[str]] = [[] for _ in entries]
    for place, callee in enumerate(first):
        chosen[place % len(entries)].append(callee)
        other = int(chance.integers(len(entries)))
        if callee not in chosen[other] and chance.random() < 1 / 3:
            chosen[other].append(callee)
    calls = []
    for entry, callees in zip(entries, chosen, strict=True):
        shares = chance.dirichlet(np.full(len(callees), 2.0)) if callees else np.zeros(0)
        for callee, share in zip(callees, shares, strict=True):
            drift = float(np.round(chance.uniform(0.0, 0.15), 2))
            calls.append(Call(entry.key, callee, share=float(np.clip(share, 0.01, 1.0)), drift=drift))
    return calls


def _sized(mesh: Mesh, chance: np.random.Generator) -> Mesh:
    """The same mesh with pods for its mean load, each service at a utilisation of its own."""
    rates = np.array([service.entry_rps for service in mesh.services])
    for position in mesh.order:
        for call in mesh.calls_out[position]:
            rates[mesh.ends[call][1]] += rates[position] * mesh.calls[call].weight
    services = []
    for service, rate in zip(mesh.services, rates.tolist(), strict=True):
        if service.role is Role.GATEWAY:
            services.append(service)
            continue
        replicas = int(np.clip(np.ceil(np.sqrt(rate) / 2), 1, 20))
        capacity = max(rate / (chance.uniform(*_UTILISATION) * replicas), _LOWEST_CAPACITY_RPS)
        services.append(dataclasses.replace(service, replicas=replicas, capacity_rps=round(capacity, 3)))
    return Mesh(mesh.name, tuple(services), mesh.calls)
