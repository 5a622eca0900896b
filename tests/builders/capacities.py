"""
Loads and latencies of services whose capacity is known, as snapshots.

Shapes: `T` steps, `N` services.
"""

from typing import Any

import numpy as np

from tidecast_contract.features import CPU, ERRORS, FEATURES, LATENCY_P95, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot

STEP = 60
END = 1_800_014_400
"""A multiple of every step that the tests use."""

CAPACITY = 100.0
"""Requests per second that a replica can carry."""

CORES_PER_REQUEST = 0.004


def service(name: str) -> ServiceId:
    return ServiceId("shop", "Deployment", name)


def a_wandering_load(rng: np.random.Generator, *, steps: int = 3000, lowest: float = 5.0, highest: float = 60.0) -> Any:
    """Load per replica that wanders between two values, (T,)."""
    wave = 0.5 - 0.5 * np.cos(np.arange(steps) * 2 * np.pi / 720)
    return (lowest + (highest - lowest) * wave) * np.exp(0.05 * rng.standard_normal(steps))


def queueing(load: Any, rng: np.random.Generator, *, idle: float = 0.02, noise: float = 0.1) -> Any:
    """p95 of a queue in front of one server: 1 / (1 - utilisation) of that at rest, as far as it was measured."""
    utilisation = np.clip(load / CAPACITY, 0, 0.98)
    return idle / (1 - utilisation) * np.exp(noise * rng.standard_normal(np.shape(load)))


def measured(
    services: dict[ServiceId, dict[str, Any]],
    *,
    end: int = END,
    step: int = STEP,
    calls: list[tuple[ServiceId, ServiceId, float]] | None = None,
) -> Snapshot:
    """
    A snapshot of services with a `load` per replica, a `p95`, and `replicas` (2) and `errors` (0) where they are given.
    """
    names = tuple(services)
    steps = max(len(np.atleast_1d(each["load"])) for each in services.values())
    values = np.full((steps, len(names), len(FEATURES)), np.nan, np.float32)
    for row, each in enumerate(services.values()):
        replicas = np.broadcast_to(np.asarray(each.get("replicas", 2.0), dtype=float), steps)
        values[:, row, index_of(REQUESTS)] = each["load"] * replicas
        values[:, row, index_of(CPU)] = each["load"] * replicas * CORES_PER_REQUEST
        values[:, row, index_of(LATENCY_P95)] = each["p95"]
        values[:, row, index_of(READY_REPLICAS)] = replicas
        values[:, row, index_of(ERRORS)] = each.get("errors", 0.0)
    pairs = np.array([(names.index(a), names.index(b)) for a, b, _ in calls or []], dtype=np.int64).reshape(-1, 2)
    rates = np.array([rate for _, _, rate in calls or []], dtype=np.float32)
    return Snapshot(end, step, names, values, np.ascontiguousarray(pairs.T), rates)
