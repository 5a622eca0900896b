"""
What a simulated mesh does at each tick of the clock: requests and their outcome, latencies, CPU, memory, pods.

It is a function of absolute time: any stretch of ticks, past or future, comes out the same whenever it is asked for,
so a recording can be continued live. Knows no metric names.

Shapes: `N` services, `E` calls, `T` ticks.
"""

from dataclasses import dataclass

import numpy as np

from tidecast_simulator.flows import Clock, Flow, Flows
from tidecast_simulator.load import DAY_SECONDS, Shape
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.queueing import log_normal, waiting_factor
from tidecast_simulator.randomness import Floats, beside, normals, smooth_noise, streams, thinned, uniforms

# Memory follows the load of so many ticks.
_MEMORY_TICKS = 20
_LEAK = 0.15
_LONGEST_LATENCY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """
    A stretch of ticks.

    Attributes:
        mesh: Whose traffic it is.
        clock: Which ticks.
        requests: Of each call, retries included, whole numbers of shape (E, T).
        not_found: Of them, answered with 404, of shape (E, T).
        failed: Of them, failed with 500, of shape (E, T).
        refused: Of them, refused for overload, of shape (E, T).
        arriving: Requests that reach each service, of shape (N, T).
        log_latency_mean: Mu of the log-normal latency of each service, callees included, seconds, of shape (N, T).
        log_latency_spread: Its sigma, of shape (N, T).
        utilisation: Of the ready pods' capacity, of shape (N, T); above 1 requests are refused.
        cpu_cores: Of all pods of a service, of shape (N, T).
        memory_bytes: Of one pod, of shape (N, T).
        replicas: Ready pods, of shape (N, T).
    """

    mesh: Mesh
    clock: Clock
    requests: Floats
    not_found: Floats
    failed: Floats
    refused: Floats
    arriving: Floats
    log_latency_mean: Floats
    log_latency_spread: Floats
    utilisation: Floats
    cpu_cores: Floats
    memory_bytes: Floats
    replicas: Floats

    @property
    def latency_seconds(self) -> Floats:
        """Mean latency of each service, of shape (N, T)."""
        return np.asarray(np.exp(self.log_latency_mean + self.log_latency_spread**2 / 2))


class Simulation:
    """
    A mesh under a load.

    Args:
        mesh: The services and calls.
        shape: The load over time.
        tick_seconds: The finest time at which anything changes.
        seed: Other seeds, other chance.

    Raises:
        ValueError: If `tick_seconds` is not positive.
    """

    def __init__(self, mesh: Mesh, shape: Shape, *, tick_seconds: float = 60.0, seed: int = 0) -> None:
        if tick_seconds <= 0:
            raise ValueError(f"tick_seconds must be above 0, not {tick_seconds}")
        self.mesh = mesh
        self.shape = shape
        self.tick_seconds = tick_seconds
        self.seed = seed
        self._flows = Flows(mesh, shape, seed=seed)
        self._warm_up = self._flows.queue_ticks(tick_seconds) + _MEMORY_TICKS
        self._outcome_streams = streams(*((seed, "outcome", call.caller, call.callee) for call in mesh.calls))
        self._latency_streams, self._cpu_streams, self._memory_streams = (
            streams(*((seed, name, service.key) for service in mesh.services)) for name in ("latency", "cpu", "memory")
        )

    def between(self, first_tick: int, end_tick: int) -> Traffic:
        """The traffic of the ticks from `first_tick` up to, not including, `end_tick`."""
        wide = Clock(np.arange(first_tick - self._warm_up, end_tick, dtype=np.int64), self.tick_seconds)
        flow = self._flows.between(wide)
        memory = self._memory(flow, wide)[:, self._warm_up :]
        clock = Clock(wide.ticks[self._warm_up :], self.tick_seconds)
        flow = _since(flow, self._warm_up)
        mu, sigma = self._latency(flow, clock)
        not_found, failed, refused = self._outcomes(flow, clock)
        return Traffic(
            mesh=self.mesh,
            clock=clock,
            requests=flow.requests,
            not_found=not_found,
            failed=failed,
            refused=refused,
            arriving=flow.arriving,
            log_latency_mean=mu,
            log_latency_spread=sigma,
            utilisation=flow.utilisation,
            cpu_cores=self._cpu(flow, clock),
            memory_bytes=memory,
            replicas=flow.replicas,
        )

    def _outcomes(self, flow: Flow, clock: Clock) -> tuple[Floats, Floats, Floats]:
        """Requests of each call answered with 404, failed with 500 and refused, each of shape (E, T)."""
        callees = [callee for _, callee in self.mesh.ends]
        number = self._outcome_streams
        refusing = flow.refused[callees]
        refused = thinned(flow.requests, refusing, number, clock.ticks)
        taken = flow.requests - refused
        failing = np.clip((flow.failing[callees] - refusing) / np.maximum(1 - refusing, 1e-9), 0, 1)
        failed = thinned(taken, failing, beside(number, 1), clock.ticks)
        missing = np.array([[self.mesh.services[callee].client_error_ratio] for callee in callees]).reshape(-1, 1)
        missing = np.broadcast_to(missing, taken.shape)
        return thinned(taken - failed, missing, beside(number, 2), clock.ticks), failed, refused

    def _latency(self, flow: Flow, clock: Clock) -> tuple[Floats, Floats]:
        """Mu and sigma of the log-normal latency of each service, its callees' included, each of shape (N, T)."""
        number = self._latency_streams
        wander = 0.06 * smooth_noise(number, clock.times, 600.0) + 0.03 * normals(number, clock.ticks)
        waiting = waiting_factor(flow.utilisation, flow.replicas)
        mean = self._column("latency_seconds") * (1 + waiting) * np.exp(wander)
        variance = mean**2 * np.expm1(self._column("latency_spread") ** 2)
        for position in reversed(self.mesh.order):
            for call in self.mesh.calls_out[position]:
                if not self.mesh.calls[call].asynchronous:
                    callee = self.mesh.ends[call][1]
                    weight = self.mesh.calls[call].weight
                    mean[position] += weight * mean[callee]
                    variance[position] += (
                        weight * variance[callee] + (weight % 1) * (1 - weight % 1) * mean[callee] ** 2
                    )
        return log_normal(np.minimum(mean, _LONGEST_LATENCY_SECONDS), variance)

    def _cpu(self, flow: Flow, clock: Clock) -> Floats:
        served = flow.arriving * (1 - flow.refused) / clock.tick_seconds
        wander = np.exp(0.03 * normals(self._cpu_streams, clock.ticks))
        idle = self._column("cpu_idle_cores") * flow.replicas
        return np.asarray(idle + served * self._column("cpu_seconds") * wander)

    def _memory(self, flow: Flow, clock: Clock) -> Floats:
        """Of one pod: it leaks slowly until a rollout every few days, and grows with what the pod serves."""
        number = self._memory_streams
        days, offset = np.split(uniforms(number, np.arange(2)), 2, axis=1)
        age = np.mod(clock.times / ((2 + 4 * days) * DAY_SECONDS) + offset, 1.0)
        each = flow.arriving / (clock.tick_seconds * np.maximum(flow.replicas, 1))
        recent = each.copy()
        for lag in range(1, min(_MEMORY_TICKS, each.shape[1])):
            recent[:, lag:] += each[:, :-lag]
        wander = 1 + _LEAK * age + 0.01 * smooth_noise(number, clock.times, 900.0)
        load = self._column("memory_bytes_per_rps") * recent / _MEMORY_TICKS
        return np.rint(self._column("memory_bytes") * wander + load)

    def _column(self, name: str) -> Floats:
        """One number of each service, of shape (N, 1)."""
        return np.array([[getattr(service, name)] for service in self.mesh.services], dtype=np.float64).reshape(-1, 1)


def _since(flow: Flow, tick: int) -> Flow:
    return Flow(*(getattr(flow, name)[:, tick:] for name in Flow.__slots__))
