"""
Requests on their way along the calls of a mesh: rates first, then whole numbers of requests.

Callers come before callees, so one sweep over the services carries a load to the leaves. Errors travel the other way,
and callers try again after a failure, which is more load: a few rounds of both settle it.
An asynchronous call carries what came in earlier, spread over the time in the queue.

Shapes: `N` services, `E` calls, `T` ticks of the clock.
"""

import math
from dataclasses import dataclass

import numpy as np

from tidecast_simulator.load import Shape
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.queueing import attempts, refused_share
from tidecast_simulator.randomness import Floats, Indices, poisson, smooth_noise, stream, streams, thinned, uniforms

_ROUNDS = 3
_DRIFT_SECONDS = 3 * 3600.0
_EPISODE_SECONDS = 900.0
_EPISODE_PROBABILITY = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """
    A stretch of ticks; tick k covers (k * tick_seconds, (k + 1) * tick_seconds], in unix seconds.

    Attributes:
        ticks: Their numbers, consecutive, int64 of shape (T,).
        tick_seconds: How long one lasts.
    """

    ticks: Indices
    tick_seconds: float

    @property
    def times(self) -> Floats:
        """The middle of each tick, unix seconds, of shape (T,)."""
        return np.asarray((self.ticks + 0.5) * self.tick_seconds, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """
    What goes on in a mesh during a stretch of ticks.

    Attributes:
        entered: Requests that start at each service, whole numbers of shape (N, T).
        requests: Requests of each call, retries included, whole numbers of shape (E, T).
        arriving: Requests that reach each service, whole numbers of shape (N, T).
        utilisation: Of the pods' capacity, before anything is refused, of shape (N, T).
        refused: Share that a service refuses for overload, of shape (N, T).
        failing: Share of requests that fail, refused ones and failing callees included, of shape (N, T).
        replicas: Ready pods, of shape (N, T).
    """

    entered: Floats
    requests: Floats
    arriving: Floats
    utilisation: Floats
    refused: Floats
    failing: Floats
    replicas: Floats


class Flows:
    """Carries the load of a shape along the calls of a mesh."""

    def __init__(self, mesh: Mesh, shape: Shape, *, seed: int) -> None:
        self._mesh = mesh
        self._shape = shape
        self._seed = seed
        self._drifts = streams(*((seed, "drift", call.caller, call.callee) for call in mesh.calls))

    def between(self, clock: Clock) -> Flow:
        """What goes on during these ticks; queues start empty, so the first `queue_ticks` of them are too quiet."""
        replicas = self._replicas(clock)
        capacity = np.maximum(replicas * np.array([[service.capacity_rps] for service in self._mesh.services]), 1e-6)
        entering = self._entering(clock)
        weights = self._weights(clock)
        retried, refused = self._settled(entering, weights, capacity, clock)
        entered, requests, arriving = self._counted(entering, weights * retried, refused, clock)
        utilisation = arriving / (clock.tick_seconds * capacity)
        refused = refused_share(utilisation)
        return Flow(entered, requests, arriving, utilisation, refused, self._failing(refused), replicas)

    def queue_ticks(self, tick_seconds: float) -> int:
        """
        How many ticks before a stretch of time bear on it.

        A request can spend so many in the queues of the longest path, once for each round of refusals and retries
        and once when all is counted.
        """
        spent = [0] * len(self._mesh.services)
        for service in self._mesh.order:
            for call in self._mesh.calls_out[service]:
                late = len(queue_kernel(self._mesh.calls[call].delay_seconds, tick_seconds)) - 1
                callee = self._mesh.ends[call][1]
                spent[callee] = max(spent[callee], spent[service] + late)
        return (_ROUNDS + 1) * max(spent, default=0)

    def _replicas(self, clock: Clock) -> Floats:
        rows = []
        for service in self._mesh.services:
            levels = np.array([service.replicas, *(replicas for _, replicas in service.replica_schedule)], dtype=float)
            changes = [time for time, _ in service.replica_schedule]
            rows.append(levels[np.searchsorted(changes, clock.times, side="right")])
        return np.array(rows)

    def _entering(self, clock: Clock) -> Floats:
        """Requests per second that start at each service, of shape (N, T)."""
        rates = np.zeros((len(self._mesh.services), len(clock.ticks)))
        for position, service in enumerate(self._mesh.services):
            if service.entry_rps:
                rates[position] = service.entry_rps * self._shape.factor(clock.times, service.key)
        return rates

    def _weights(self, clock: Clock) -> Floats:
        """Calls for each of the caller's requests, of shape (E, T)."""
        calls = self._mesh.calls
        weight, drift = (np.array([[getattr(call, name)] for call in calls]) for name in ("weight", "drift"))
        noise = smooth_noise(self._drifts, clock.times, _DRIFT_SECONDS)
        weights: Floats = weight.reshape(-1, 1) * np.exp(drift.reshape(-1, 1) * noise - drift.reshape(-1, 1) ** 2 / 2)
        episode = np.floor(clock.times / _EPISODE_SECONDS).astype(np.int64)
        for position, call in enumerate(calls):
            if self._mesh.service(call.callee).sparse:
                weights[position] *= uniforms(self._stream("episode", call.callee), episode) < _EPISODE_PROBABILITY
        return weights

    def _settled(self, entering: Floats, weights: Floats, capacity: Floats, clock: Clock) -> tuple[Floats, Floats]:
        """The attempts for each call, of shape (E, T), and the refused share of each service, of shape (N, T)."""
        retried = np.ones_like(weights)
        refused = np.zeros_like(entering)
        for _ in range(_ROUNDS):
            rates = entering.copy()
            for service in self._mesh.order:
                served = rates[service] * (1 - refused[service])
                for call in self._mesh.calls_out[service]:
                    carried = served * weights[call] * retried[call]
                    delay = self._mesh.calls[call].delay_seconds
                    rates[self._mesh.ends[call][1]] += delayed(carried, queue_kernel(delay, clock.tick_seconds))
            refused = refused_share(rates / capacity)
            failing = self._failing(refused)
            for call, (_, callee) in enumerate(self._mesh.ends):
                retried[call] = attempts(failing[callee], self._mesh.calls[call].retries)
        return retried, refused

    def _failing(self, refused: Floats) -> Floats:
        """Share of each service's requests that fail, its own failures and its callees', of shape (N, T)."""
        failing = np.empty_like(refused)
        for service in reversed(self._mesh.order):
            good = (1 - self._mesh.services[service].error_ratio) * (1 - refused[service])
            for position in self._mesh.calls_out[service]:
                call = self._mesh.calls[position]
                if not call.asynchronous:
                    failed = failing[self._mesh.ends[position][1]] ** (call.retries + 1)
                    good = good * (1 - failed) ** call.weight
            failing[service] = 1 - good
        return failing

    def _counted(
        self, entering: Floats, weights: Floats, refused: Floats, clock: Clock
    ) -> tuple[Floats, Floats, Floats]:
        """Requests that start at each service (N, T), of each call (E, T), and that reach each service (N, T)."""
        entered = np.zeros_like(entering)
        for position, service in enumerate(self._mesh.services):
            if service.entry_rps:
                mean = entering[position] * clock.tick_seconds
                entered[position] = poisson(mean, self._stream("entry", service.key), clock.ticks)
        arriving = entered.copy()
        requests = np.zeros_like(weights)
        for caller in self._mesh.order:
            served = arriving[caller] - np.rint(arriving[caller] * refused[caller])
            for call in self._mesh.calls_out[caller]:
                requests[call] = self._along(call, served, weights[call], clock)
                arriving[self._mesh.ends[call][1]] += requests[call]
        return entered, requests, arriving

    def _along(self, position: int, served: Floats, weight: Floats, clock: Clock) -> Floats:
        """The requests of one call, for those that its caller served; whole numbers of shape (T,)."""
        call = self._mesh.calls[position]
        number = self._stream("call", call.caller, call.callee)
        if call.asynchronous:
            kernel = queue_kernel(call.delay_seconds, clock.tick_seconds)
            return poisson(delayed(served * weight, kernel), number, clock.ticks)
        whole = np.floor(weight)
        return np.asarray(served * whole + thinned(served, weight - whole, number, clock.ticks))

    def _stream(self, *names: object) -> int:
        return stream(self._seed, *names)


def queue_kernel(delay_seconds: float, tick_seconds: float) -> Floats:
    """How a request's arrival spreads over the ticks after it was queued; sums to 1. Erlang-2 around the mean."""
    if not delay_seconds:
        return np.ones(1)
    lags = np.arange(math.ceil(3 * delay_seconds / tick_seconds) + 1) + 0.5
    kernel = lags * np.exp(-2 * lags * tick_seconds / delay_seconds)
    return np.asarray(kernel / kernel.sum())


def delayed(rates: Floats, kernel: Floats) -> Floats:
    """
    What leaves a queue when this enters it, of the rates' shape (T,).

    Lag by lag and not by a library's convolution: the same sum in the same order for every stretch of time.
    """
    if len(kernel) == 1:
        return rates
    result: Floats = rates * kernel[0]
    for lag in range(1, min(len(kernel), len(rates))):
        result[lag:] += kernel[lag] * rates[:-lag]
    return result
