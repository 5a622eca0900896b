"""
A shop of 20 services, small enough to read: what the demo and the end-to-end tests run on.

Traffic enters through Istio's gateway, and a little of it from partners outside the mesh (`unknown`).
Orders pass through a queue: shipping, mail and the warehouse feel a rush at the checkout some minutes later.
"""

from tidecast_simulator.mesh import Call, Mesh, Role, Service

NAMESPACE = "shop"
GATEWAY = "istio-system/istio-ingressgateway"
_MI = 2.0**20


def shop() -> Mesh:
    """The shop: 20 services, a gateway and an unknown caller."""
    return Mesh("shop", (*_outside(), *_browsing(), *_buying(), *_after_the_order()), _calls())


def _outside() -> tuple[Service, ...]:
    return (
        Service(
            "istio-ingressgateway", "istio-system", role=Role.GATEWAY, entry_rps=60, capacity_rps=200,
            latency_seconds=0.001, cpu_seconds=0.0008, memory_bytes=90 * _MI,
        ),
        Service("unknown", role=Role.EXTERNAL, entry_rps=4),
    )  # fmt: skip


def _browsing() -> tuple[Service, ...]:
    return (
        _service("frontend", 4, 45, milliseconds=9, cpu_ms=6, client_error_ratio=0.01),
        _service("search", 3, 30, milliseconds=28, cpu_ms=14),
        _service("catalogue", 4, 75, milliseconds=7, cpu_ms=3),
        _service("product-db", 3, 220, milliseconds=2.5, cpu_ms=1, kind="StatefulSet", memory_bytes=900 * _MI),
        _service("recommendation", 2, 50, milliseconds=18, cpu_ms=11, protocol="grpc"),
        _service("ads", 2, 60, milliseconds=6, cpu_ms=2, protocol="grpc"),
        _service("currency", 2, 140, milliseconds=1.5, cpu_ms=0.6, protocol="grpc"),
        _service("accounts", 2, 40, milliseconds=8, cpu_ms=3),
        _service("sessions", 2, 180, milliseconds=1.2, cpu_ms=0.4, kind="StatefulSet", memory_bytes=300 * _MI),
    )


def _buying() -> tuple[Service, ...]:
    return (
        _service("cart", 3, 24, milliseconds=5, cpu_ms=3),
        _service("cart-store", 2, 80, milliseconds=1, cpu_ms=0.5, kind="StatefulSet", memory_bytes=250 * _MI),
        _service("checkout", 3, 7, milliseconds=22, cpu_ms=12),
        _service("payment", 2, 10, milliseconds=60, cpu_ms=8, protocol="grpc", error_ratio=0.003),
        _service("fraud-check", 2, 9, milliseconds=35, cpu_ms=25),
        _service("inventory", 2, 28, milliseconds=6, cpu_ms=3),
        _service("orders", 2, 11, milliseconds=10, cpu_ms=5),
    )


def _after_the_order() -> tuple[Service, ...]:
    return (
        _service("order-queue", 2, 40, milliseconds=2, cpu_ms=1, kind="StatefulSet", role=Role.QUEUE),
        _service("shipping", 2, 7, milliseconds=45, cpu_ms=15),
        _service("mail", 1, 14, milliseconds=80, cpu_ms=9),
        _service("refunds", 1, 6, milliseconds=40, cpu_ms=20, sparse=True),
    )


def _calls() -> tuple[Call, ...]:
    return (
        _call(GATEWAY, "frontend", 1.0, drift=0),
        _call("unknown", "catalogue", 1.0, drift=0),
        _call("frontend", "catalogue", 0.70, fan_out=1.5),
        _call("frontend", "search", 0.32),
        _call("frontend", "recommendation", 0.45),
        _call("frontend", "ads", 0.55),
        _call("frontend", "cart", 0.30),
        _call("frontend", "checkout", 0.07, drift=0.15),
        _call("frontend", "accounts", 0.22),
        _call("frontend", "currency", 0.65),
        _call("search", "catalogue", 1.0, fan_out=2.0),
        _call("search", "product-db", 1.0, fan_out=2.0),
        _call("catalogue", "product-db", 0.8),
        _call("recommendation", "catalogue", 0.6),
        _call("accounts", "sessions", 1.0, fan_out=2.0),
        _call("cart", "cart-store", 1.0, fan_out=1.5),
        _call("cart", "catalogue", 0.5),
        _call("checkout", "cart", 1.0),
        _call("checkout", "payment", 0.95),
        _call("checkout", "inventory", 1.0, fan_out=2.0),
        _call("checkout", "currency", 1.0),
        _call("checkout", "orders", 0.9),
        _call("payment", "fraud-check", 0.8),
        _call("orders", "order-queue", 1.0),
        _call("orders", "product-db", 1.0),
        _call("order-queue", "shipping", 1.0, delay=420),
        _call("order-queue", "mail", 1.0, delay=180, fan_out=1.2),
        _call("shipping", "inventory", 1.0),
        _call("orders", "refunds", 0.08),
        _call("refunds", "payment", 1.0),
    )


def _service(
    name: str, replicas: int, capacity: float, *, milliseconds: float, cpu_ms: float, **others: object
) -> Service:
    settings = {"memory_bytes": 140 * _MI, **others}
    return Service(
        name, NAMESPACE, replicas=replicas, capacity_rps=capacity,
        latency_seconds=milliseconds / 1000, cpu_seconds=cpu_ms / 1000, **settings,  # type: ignore[arg-type]
    )  # fmt: skip


def _call(  # noqa: PLR0913 - a table's columns
    caller: str, callee: str, share: float, *, fan_out: float = 1.0, drift: float = 0.06, delay: float = 0
) -> Call:
    outside = caller in (GATEWAY, "unknown")
    return Call(
        caller if outside else f"{NAMESPACE}/{caller}", f"{NAMESPACE}/{callee}", fan_out=fan_out, share=share,
        drift=drift, asynchronous=delay > 0, delay_seconds=delay,
    )  # fmt: skip
