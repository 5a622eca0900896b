"""
What the simulator knows and an observer can only estimate: the calls with their rates, and every feature of every
service, for scoring discovered graphs and forecasts.

Rates, errors, CPU and memory are what happened, counted. Latency quantiles are those of the distribution that requests
were drawn from; an observer who reads them off a histogram sees them through its buckets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import (
    CPU,
    ERRORS,
    FEATURES,
    LATENCY_P50,
    LATENCY_P95,
    MEMORY,
    READY_REPLICAS,
    REQUESTS,
    Feature,
    index_of,
)
from tidecast_contract.services import ServiceId
from tidecast_simulator.randomness import Floats
from tidecast_simulator.traffic import Simulation, Traffic

# Standard normal quantiles.
_Z = {LATENCY_P50: 0.0, LATENCY_P95: 1.6448536269514722}


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """
    The features of all services over time.

    Attributes:
        times: The end of each step, unix seconds, int64 of shape (T,).
        services: N of them, in the mesh's order.
        values: float32 of shape (T, N, F), in the order and units of the contract's `FEATURES`; NaN where there is
            nothing to know: the latency of no request, the pods of an external peer, the requests of a service
            that no call of the mesh leads to.
    """

    times: NDArray[np.int64]
    services: tuple[ServiceId, ...]
    values: NDArray[np.float32]

    def of(self, service: ServiceId, feature: Feature) -> NDArray[np.float32]:
        """One feature of one service over time, float32 of shape (T,); ValueError if there is no such service."""
        return self.values[:, self.services.index(service), index_of(feature)]


def features(simulation: Simulation, *, start: int, end: int, step_seconds: int = 60) -> Truth:
    """
    The features of all services at the steps from `start` to `end`, both included.

    Args:
        simulation: Whose.
        start: Unix seconds; a step at time t speaks of (t - step_seconds, t].
        end: Unix seconds; may lie in the future.
        step_seconds: A multiple of the simulation's tick.

    Raises:
        ValueError: If the times are no multiples of the step, or the step none of the tick.
    """
    ticks = round(step_seconds / simulation.tick_seconds)
    if ticks < 1 or ticks * simulation.tick_seconds != step_seconds:
        raise ValueError(f"step_seconds {step_seconds} must be a multiple of the tick, {simulation.tick_seconds} s")
    if start % step_seconds or end % step_seconds or end < start:
        raise ValueError(f"start {start} and end {end} must be multiples of {step_seconds} s, in this order")
    first = round((start - step_seconds) / simulation.tick_seconds)
    steps = (end - start) // step_seconds + 1
    traffic = simulation.between(first, first + steps * ticks)
    values = np.stack([_feature(traffic, feature, ticks) for feature in FEATURES], axis=2)
    services = tuple(service.service_id for service in simulation.mesh.services)
    times = start + np.arange(steps, dtype=np.int64) * step_seconds
    return Truth(times, services, values.transpose(1, 0, 2).astype(np.float32))


def call_rates(simulation: Simulation, *, start: int, end: int) -> Mapping[tuple[ServiceId, ServiceId], float]:
    """
    Requests per second of each (caller, callee) between two times, unix seconds, rounded outwards to whole ticks.

    Calls that no request took are left out: nobody could have seen them.
    """
    first = int(np.floor(start / simulation.tick_seconds))
    traffic = simulation.between(first, max(int(np.ceil(end / simulation.tick_seconds)), first + 1))
    rates = traffic.requests.mean(axis=1) / simulation.tick_seconds
    services = [service.service_id for service in simulation.mesh.services]
    pairs = [(services[caller], services[callee]) for caller, callee in simulation.mesh.ends]
    return {pair: rate for pair, rate in zip(pairs, rates.tolist(), strict=True) if rate > 0}


def _feature(traffic: Traffic, feature: Feature, ticks: int) -> Floats:
    """One feature of all services, of shape (N, steps)."""
    received = np.array([_summed(traffic.requests, calls) for calls in traffic.mesh.calls_in])
    external = np.array([[service.is_external] for service in traffic.mesh.services])
    called = np.array([[bool(calls)] for calls in traffic.mesh.calls_in])
    if feature is CPU:
        return np.where(external, np.nan, _stepped(traffic.cpu_cores, ticks).mean(axis=2))
    if feature is MEMORY:
        return np.where(external, np.nan, _stepped(traffic.memory_bytes * traffic.replicas, ticks)[:, :, -1])
    if feature is READY_REPLICAS:
        return np.where(external, np.nan, _stepped(traffic.replicas, ticks)[:, :, -1])
    counts = _stepped(received, ticks)
    total = counts.sum(axis=2)
    if feature is REQUESTS:
        return np.where(called, total / (ticks * traffic.clock.tick_seconds), np.nan)
    with np.errstate(invalid="ignore"):
        if feature is ERRORS:
            failed = np.array([_summed(traffic.failed + traffic.refused, calls) for calls in traffic.mesh.calls_in])
            return np.asarray(_stepped(failed, ticks).sum(axis=2) / total)
        quantiles = np.exp(traffic.log_latency_mean + _Z[feature] * traffic.log_latency_spread)
        return np.asarray((_stepped(quantiles, ticks) * counts).sum(axis=2) / total)


def _summed(rows: Floats, calls: tuple[int, ...]) -> Floats:
    return np.asarray(rows[list(calls)].sum(axis=0)) if calls else np.zeros(rows.shape[1])


def _stepped(rows: Floats, ticks: int) -> Floats:
    """Rows of shape (N, T) as (N, steps, ticks)."""
    return rows.reshape(len(rows), -1, ticks)
