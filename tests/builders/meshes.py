"""
Small meshes and loads for the simulator's tests.
"""

from typing import Any

from tidecast_simulator.load import Constant, Shape
from tidecast_simulator.mesh import Call, Mesh, Role, Service
from tidecast_simulator.traffic import Simulation

# 2026-11-02 00:00 UTC, a Monday.
MONDAY = 1_793_577_600


def service(name: str, **changes: Any) -> Service:
    return Service(name, **{"namespace": "shop", "error_ratio": 0.0, "replicas": 2, "capacity_rps": 1000.0, **changes})


def chain(*, entry_rps: float = 50.0, call: dict[str, Any] | None = None, **callee: Any) -> Mesh:
    """A caller `front` that calls `back` once for each request; `callee` changes `back`."""
    front = service("front", entry_rps=entry_rps)
    return Mesh("chain", (front, service("back", **callee)), (Call("shop/front", "shop/back", **(call or {})),))


def gateway_chain() -> Mesh:
    """A gateway that calls `front`, which calls `back`; and an unknown peer that calls `back`."""
    outside = Service("gate", "istio-system", role=Role.GATEWAY, entry_rps=40.0, capacity_rps=1000)
    unknown = Service("unknown", role=Role.EXTERNAL, entry_rps=5.0)
    services = (outside, unknown, service("front"), service("back"))
    pairs = (("istio-system/gate", "shop/front"), ("shop/front", "shop/back"), ("unknown", "shop/back"))
    return Mesh("gateway", services, tuple(Call(*pair) for pair in pairs))


def simulation(mesh: Mesh, shape: Shape | None = None, **changes: Any) -> Simulation:
    return Simulation(mesh, shape or Constant(), **changes)
