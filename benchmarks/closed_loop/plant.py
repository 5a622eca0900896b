"""
The simulated services for many runs at once: the simulator's queueing and retries, without its chance.

Shapes: `V` runs that go on side by side, `N` services.
"""

from dataclasses import dataclass

import numpy as np
from scene import p95_of

from tidecast_simulator.mesh import Mesh
from tidecast_simulator.queueing import attempts, log_normal, refused_share, waiting_factor
from tidecast_simulator.randomness import Floats

_ROUNDS = 3
_LONGEST_LATENCY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Strain:
    """
    What a load does to the services during a tick.

    Attributes:
        arriving: Requests per second that reach each service, retries included, of shape (V, N).
        refused: Requests per second that each refuses, of shape (V, N).
        cores: CPU of all pods of each, of shape (V, N).
        p95: Latency of each, callees included, seconds, of shape (V, N).
    """

    arriving: Floats
    refused: Floats
    cores: Floats
    p95: Floats


class Plant:
    """
    The services of a mesh whose calls do not drift and do not queue.

    Args:
        mesh: The services.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._entry, self._capacity, self._latency, self._spread, self._cpu, self._idle, self._errors = (
            np.array([getattr(service, name) for service in mesh.services])
            for name in (
                "entry_rps", "capacity_rps", "latency_seconds", "latency_spread", "cpu_seconds", "cpu_idle_cores",
                "error_ratio",
            )
        )  # fmt: skip

    def demand(self) -> Floats:
        """Requests per second that reach each service at a load of factor 1, when nothing fails, of shape (N,)."""
        nothing = np.zeros((1, len(self._entry)))
        return np.asarray(self._carried(self._entry[None], nothing, np.ones((1, len(self._mesh.calls))))[0])

    def under(self, factor: Floats, ready: Floats) -> Strain:
        """
        What a load does.

        Args:
            factor: Of the load, of shape (V,).
            ready: Pods of each service, of shape (V, N).
        """
        capacity = np.maximum(ready * self._capacity, 1e-6)
        entering = factor[:, None] * self._entry
        refused = np.zeros_like(capacity)
        retried = np.ones((len(capacity), len(self._mesh.calls)))
        for _ in range(_ROUNDS):
            arriving = self._carried(entering, refused, retried)
            refused = refused_share(arriving / capacity)
            failing = self._failing(refused)
            for call, (_, callee) in enumerate(self._mesh.ends):
                retried[:, call] = attempts(failing[:, callee], self._mesh.calls[call].retries)
        arriving = self._carried(entering, refused, retried)
        utilisation = arriving / capacity
        refused = refused_share(utilisation)
        cores = self._idle * ready + arriving * (1 - refused) * self._cpu
        return Strain(arriving, arriving * refused, cores, self._p95(utilisation, ready))

    def _carried(self, entering: Floats, refused: Floats, retried: Floats) -> Floats:
        rates = entering.copy()
        for service in self._mesh.order:
            served = rates[:, service] * (1 - refused[:, service])
            for call in self._mesh.calls_out[service]:
                rates[:, self._mesh.ends[call][1]] += served * self._mesh.calls[call].weight * retried[:, call]
        return rates

    def _failing(self, refused: Floats) -> Floats:
        failing = np.empty_like(refused)
        for service in reversed(self._mesh.order):
            good = (1 - self._errors[service]) * (1 - refused[:, service])
            for position in self._mesh.calls_out[service]:
                call = self._mesh.calls[position]
                good = good * (1 - failing[:, self._mesh.ends[position][1]] ** (call.retries + 1)) ** call.weight
            failing[:, service] = 1 - good
        return failing

    def _p95(self, utilisation: Floats, ready: Floats) -> Floats:
        mean = self._latency * (1 + waiting_factor(utilisation, ready))
        variance = mean**2 * np.expm1(self._spread**2)
        for position in reversed(self._mesh.order):
            for call in self._mesh.calls_out[position]:
                callee, weight = self._mesh.ends[call][1], self._mesh.calls[call].weight
                mean[:, position] += weight * mean[:, callee]
                variance[:, position] += (
                    weight * variance[:, callee] + (weight % 1) * (1 - weight % 1) * mean[:, callee] ** 2
                )
        return p95_of(*log_normal(np.minimum(mean, _LONGEST_LATENCY_SECONDS), variance))
