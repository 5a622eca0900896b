"""
What the closed loop runs on: a small mesh, its loads, its targets, and how quick everything around it is.

SIMULATED. All times are in seconds of the model's world; a real run divides them by its factor.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from tidecast_simulator.flows import Clock
from tidecast_simulator.load import Bursts, Campaigns, Diurnal, Noise, Product, Shape
from tidecast_simulator.mesh import Call, Mesh, Role, Service
from tidecast_simulator.randomness import Floats
from tidecast_simulator.traffic import Simulation

NAMESPACE = "loop"
GATEWAY = "istio-system/istio-ingressgateway"
LOADS = ("rhythm", "spikes")

HIGHEST_REPLICAS = 40
LEAST_REPLICAS = 2
TARGET_UTILISATION = 0.7
"""Of the requested CPU: what the HorizontalPodAutoscaler aims at."""

SLOWER = 2.5
"""The target of a service's p95 latency, in those of an idle mesh."""

P95 = 1.6448536269514722  # standard deviations of a normal distribution
_RUSH_HOURS = tuple(0.5 + 1.5 * number for number in range(16))
_RUSHES = Campaigns(hours=_RUSH_HOURS, height=2.0, duration_seconds=1200)  # up to the top in four minutes


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How quick things are, in seconds of the model's world.

    Attributes:
        start_up: From a pod's creation until it is ready.
        sync: Between two looks of the HorizontalPodAutoscaler.
        stabilisation: It scales down only to the highest of what it wanted in so long.
        initialisation: So long the CPU of a young pod may be passed over.
        readiness: So long a young pod that is not ready counts as never having been.
        metric: CPU is a mean over so long.
        step: Between two cycles of the operator.
        scrape: Between two scrapes of Prometheus.
    """

    start_up: float = 60.0
    sync: float = 15.0
    stabilisation: float = 300.0
    initialisation: float = 300.0
    readiness: float = 30.0
    metric: float = 30.0
    step: float = 60.0
    scrape: float = 30.0


def mesh() -> Mesh:
    """Eight services behind a gateway, without anything that drifts: what differs between runs is the scaler alone."""
    gateway = Service(
        "istio-ingressgateway", "istio-system", role=Role.GATEWAY, entry_rps=600, capacity_rps=2000, replicas=4,
        latency_seconds=0.001, cpu_seconds=0.0002,
    )  # fmt: skip
    services = (
        _service("frontend", 250, 9), _service("catalogue", 300, 7), _service("search", 125, 28),
        _service("recommendation", 200, 18), _service("cart", 150, 5), _service("accounts", 150, 8),
        _service("checkout", 50, 22), _service("payment", 50, 60),
    )  # fmt: skip
    calls = (
        Call(GATEWAY, _key("frontend"), retries=0), _call("frontend", "catalogue", 0.9), _call("frontend", "search", 0.35),
        _call("frontend", "recommendation", 0.5), _call("frontend", "cart", 0.3), _call("frontend", "accounts", 0.25),
        _call("frontend", "checkout", 0.12), _call("search", "catalogue", 1.0), _call("checkout", "payment", 1.0),
        _call("checkout", "cart", 1.0),
    )  # fmt: skip
    return Mesh("loop", (gateway, *services), calls)


def load(name: str, seed: int) -> Shape:
    """
    Its shape over the model's time.

    `rhythm`: days with a rush every hour and a half, at the same hours every day; `spikes`: the same days with rushes
    of the same kind, as many, at moments that nothing announces.

    Raises:
        ValueError: If there is no load of that name.
    """
    usual = (Diurnal(amplitude=0.4), Noise(sigma=0.06, seed=seed))
    if name == "rhythm":
        return Product((*usual, _RUSHES))
    if name == "spikes":
        return Product((*usual, Bursts(per_day=len(_RUSH_HOURS), height=3.0, duration_seconds=1200, seed=seed)))
    raise ValueError(f"there is no load {name}; there are {', '.join(LOADS)}")


def announced(name: str) -> Shape:
    """The part of a load that recurs every day."""
    days = Diurnal(amplitude=0.4)
    return days if name == "spikes" else Product((days, _RUSHES))


def scaled(mesh: Mesh) -> tuple[int, ...]:
    """The positions of the services that are scaled: all but the gateway."""
    return tuple(position for position, service in enumerate(mesh.services) if service.role is Role.WORKLOAD)


def requested_cores(service: Service) -> float:
    """The CPU that a pod requests: what it takes at full capacity."""
    return service.cpu_idle_cores + service.capacity_rps * service.cpu_seconds


def p95_of(log_mean: Floats, log_spread: Floats) -> Floats:
    """The p95 of log-normal latencies, seconds."""
    return np.asarray(np.exp(log_mean + P95 * log_spread))


@cache
def targets() -> tuple[float, ...]:
    """The most that the p95 of each service of the mesh may be, seconds."""
    idle = Simulation(mesh(), Product(()) * _Silence(), tick_seconds=60.0).between(0, 60)
    p95 = p95_of(idle.log_latency_mean, idle.log_latency_spread)
    return tuple((SLOWER * np.median(p95, axis=1)).tolist())


class _Silence:
    def factor(self, times: Floats, entry: str) -> Floats:  # noqa: ARG002 - the same everywhere
        return np.zeros_like(times)


def factors(shape: Shape, start: float, end: float, every: float) -> Floats:
    """The load's factor in the middle of each stretch of *every* seconds."""
    ticks = np.arange(round(start / every), round(end / every))
    return np.asarray(shape.factor(Clock(ticks, every).times, GATEWAY))


def _key(name: str) -> str:
    return f"{NAMESPACE}/{name}"


def _service(name: str, capacity_rps: float, milliseconds: float) -> Service:
    # A pod at full capacity takes one core.
    return Service(
        name, NAMESPACE, capacity_rps=capacity_rps, latency_seconds=milliseconds / 1000, cpu_seconds=1 / capacity_rps,
        replicas=LEAST_REPLICAS,
    )  # fmt: skip


def _call(caller: str, callee: str, share: float) -> Call:
    return Call(_key(caller), _key(callee), share=share)
