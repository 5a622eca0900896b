"""
What an observer sees of a simulated mesh, with the noise of counting: rates and quantiles as Prometheus makes them of
counters and histograms over the last two steps, not what the simulator knows.

Shapes: `N` services, `E` calls, `T` steps, `F` features, `B` buckets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_simulator.exporting.istio import LEAN_BOUNDS
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import Floats, normal_cdf
from tidecast_simulator.traffic import Simulation, Traffic

FEATURES = ("rps", "p50_ms", "p95_ms", "error_rate", "cpu", "mem", "replicas")
STEP_SECONDS = 60
_BOUNDS_MS = np.array([float(bound) for bound in LEAN_BOUNDS])
# Steps that are simulated at once, for bounded memory.
_CHUNK = 720


@dataclass(frozen=True, slots=True)
class Stage:
    """
    A mesh as it is from some moment on.

    Attributes:
        simulation: Of which it is the traffic; with the same services as any other stage of the recording.
        begin: The first step of the recording that it holds for.
    """

    simulation: Simulation
    begin: int = 0


def observe(stages: Sequence[Stage], *, start: int, steps: int, seed: int) -> NDArray[np.float32]:
    """
    The features of all services as measured at each of so many steps.

    Requests, errors, CPU and latency are those of the two steps up to the measurement, as `rate()` over three scrapes
    gives them; memory and replicas are those of the moment. Latency quantiles are read off a histogram with Istio's
    buckets into which each request fell by chance.

    Args:
        stages: Rising in `begin`; the first begins at 0.
        start: Unix seconds at which the first step begins, a multiple of the step.
        steps: How many.
        seed: Of what fell into which bucket.

    Returns:
        float32 of shape (T, N, F) in the order of `FEATURES`, in requests per second, milliseconds, shares, millicores,
        MiB and pods; NaN where nothing can be known: the latency and errors of no request, the requests of entries.

    Raises:
        ValueError: If the start does not fit or the stages do not rise from 0.
    """
    begins = [stage.begin for stage in stages]
    if start % STEP_SECONDS or not stages or begins[0] or begins != sorted(set(begins)):
        raise ValueError(f"start {start} must be a multiple of {STEP_SECONDS} and stages rise from 0, not {begins}")
    first = start // STEP_SECONDS
    parts, before = [], None
    for stage, end in zip(stages, [*begins[1:], steps], strict=True):
        for begin in range(stage.begin, end, _CHUNK):
            # The step before the first one is only there to look back on.
            ahead = 1 if before is None else 0
            traffic = stage.simulation.between(first + begin - ahead, first + min(begin + _CHUNK, end))
            counted = Counts.of(traffic, seed)
            if before is not None:
                counted = counted.after(before)
            before = counted.last()
            parts.append(counted.measured())
    return np.concatenate(parts).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What happened in each step: requests (N, T), failures (N, T), buckets (N, T, B), CPU (N, T), gauges (N, T)."""

    mesh: Mesh
    requests: Floats
    failures: Floats
    buckets: NDArray[np.int64]
    cpu: Floats
    memory: Floats
    replicas: Floats

    @classmethod
    def of(cls, traffic: Traffic, seed: int) -> "Counts":
        """Count a stretch of traffic; requests that no call carried are seen by nobody."""
        callees = np.array([callee for _, callee in traffic.mesh.ends], dtype=np.int64)
        requests = np.zeros_like(traffic.arriving)
        failures = np.zeros_like(traffic.arriving)
        np.add.at(requests, callees, traffic.requests)
        np.add.at(failures, callees, traffic.failed + traffic.refused)
        return cls(
            traffic.mesh,
            requests,
            failures,
            _fallen(requests, traffic, seed),
            traffic.cpu_cores,
            traffic.memory_bytes * traffic.replicas,
            traffic.replicas,
        )

    def last(self) -> "Counts":
        """The last step alone."""
        return Counts(self.mesh, *(getattr(self, name)[:, -1:] for name in self.__slots__[1:]))

    def after(self, before: "Counts") -> "Counts":
        """The same, with what was before it in front."""
        joined = (np.concatenate([getattr(before, n), getattr(self, n)], axis=1) for n in self.__slots__[1:])
        return Counts(self.mesh, *joined)

    def measured(self) -> Floats:
        """All features, (T - 1, N, F): the first step has none before it."""
        called = np.array([[bool(calls)] for calls in self.mesh.calls_in])
        total = self.requests[:, 1:] + self.requests[:, :-1]
        failed = self.failures[:, 1:] + self.failures[:, :-1]
        buckets = self.buckets[:, 1:] + self.buckets[:, :-1]
        with np.errstate(invalid="ignore"):
            errors = failed / total
        columns = [
            np.where(called, total / (2 * STEP_SECONDS), np.nan),
            histogram_quantile(0.5, buckets),
            histogram_quantile(0.95, buckets),
            errors,
            (self.cpu[:, 1:] + self.cpu[:, :-1]) * 500.0,
            self.memory[:, 1:] * 2.0**-20,
            self.replicas[:, 1:],
        ]
        return np.stack(columns, axis=2).transpose(1, 0, 2)


def histogram_quantile(q: float, buckets: NDArray[np.int64]) -> Floats:
    """
    A quantile of histograms in milliseconds, as Prometheus reads it: a straight line within a bucket.

    Args:
        q: In (0, 1).
        buckets: Requests in each bucket (not cumulative) of Istio's lean bounds, of shape (..., B).

    Returns:
        Of shape (...); NaN of no requests; the highest finite bound if it lies above that.
    """
    below = buckets.cumsum(axis=-1)
    total = below[..., -1]
    rank = q * total
    place = np.minimum((below < rank[..., None]).sum(axis=-1), len(_BOUNDS_MS) - 1)
    inside = np.take_along_axis(buckets, place[..., None], axis=-1)[..., 0]
    under = np.take_along_axis(below, place[..., None], axis=-1)[..., 0] - inside
    lower = np.concatenate([[0.0], _BOUNDS_MS[:-1]])
    upper = np.concatenate([_BOUNDS_MS[:-1], _BOUNDS_MS[-2:-1]])
    with np.errstate(invalid="ignore", divide="ignore"):
        value = lower[place] + (upper[place] - lower[place]) * (rank - under) / inside
    return np.where(total > 0, np.where(place == len(_BOUNDS_MS) - 1, _BOUNDS_MS[-2], value), np.nan)


def _fallen(requests: Floats, traffic: Traffic, seed: int) -> NDArray[np.int64]:
    """
    Into which bucket each request fell, counts of shape (N, T, B).

    Chance is drawn anew for each step, so that two recordings that part at some moment are the same up to it.
    """
    finite = np.log(_BOUNDS_MS[:-1] / 1000)
    mu, sigma = traffic.log_latency_mean[..., None], traffic.log_latency_spread[..., None]
    below = np.concatenate([np.zeros_like(mu), normal_cdf((finite - mu) / sigma), np.ones_like(mu)], axis=-1)
    shares, counts = np.diff(below, axis=-1), requests.astype(np.int64)
    drawn = [
        np.random.default_rng((seed, 4, tick)).multinomial(counts[:, step], shares[:, step])
        for step, tick in enumerate(traffic.clock.ticks.tolist())
    ]
    return np.stack(drawn, axis=1)
