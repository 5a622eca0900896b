"""
What would have been measured on a recording's mesh, had chance been another one from some moment on: SIMULATED.

Shapes: `S` origins, `N` services, `F` features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import catalogue
import numpy as np
from meshes import Plan, load_of, mesh_of
from numpy.typing import NDArray
from observing import STEP_SECONDS, Counts
from parting import Fan, Guess, PartedFlows, PartedLoad, parted_noise
from watching import watchers

from tidecast_simulator.flows import Clock, Flows
from tidecast_simulator.load import Shape
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import Floats, Indices, smooth_noise
from tidecast_simulator.traffic import Simulation, Traffic

FIRST_TICK = catalogue.START // STEP_SECONDS
# How a service's latency wanders in the simulator: the sigma of its logarithm, and over how long.
_WANDER, _WANDER_SECONDS = 0.06, 600.0
# Ticks of all stretches that are simulated at once, for bounded memory.
_CHUNK_TICKS = 24_000


class Known(StrEnum):
    """What a forecaster knows, besides all laws and all that happened up to the origin."""

    CLAIRVOYANT = "clairvoyant"
    """All that will happen but for the counting: which requests come and into which bucket each falls."""
    INFORMED = "informed"
    """The state at the origin: noise up to its next knot, shares, episodes, the bursts that have begun."""
    WATCHING = "watching"
    """The same, but of the noise of the load and of a burst under way only what requests counted at the entries tell."""


class World(Simulation):
    """
    The simulation of a recording that goes on from each origin of a fan by other chance.

    Args:
        mesh: Of the recording.
        load: Of the recording.
        seed: Of the recording.
        fan: The stretches.
        guessed: As of `PartedLoad`; None if all that happens stays as it was, and only the counting does not.
    """

    def __init__(
        self,
        mesh: Mesh,
        load: Shape,
        *,
        seed: int,
        fan: Fan,
        guessed: Mapping[str, Guess] | None,
    ) -> None:
        super().__init__(mesh, load, tick_seconds=float(STEP_SECONDS), seed=seed)
        self._fan = fan
        self._state: Clock = fan.happened
        self._other_wander: Floats = np.ones((len(mesh.services), len(fan.ticks)))
        if guessed is not None:
            self._flows, self._state = PartedFlows(mesh, PartedLoad(load, fan, guessed), seed=seed), fan
            number = self._latency_streams
            wander = parted_noise(number, fan, _WANDER_SECONDS)
            self._other_wander = np.exp(_WANDER * (wander - smooth_noise(number, fan.times, _WANDER_SECONDS)))

    def traffic(self) -> Traffic:
        """The traffic of the fan's ticks; failures and memory are left out."""
        flow = self._flows.between(self._fan)
        mu, sigma = self._latency(flow, self._state)
        unknown_calls, unknown = np.full_like(flow.requests, np.nan), np.full_like(flow.arriving, np.nan)
        return Traffic(
            mesh=self.mesh,
            clock=self._fan,
            requests=flow.requests,
            not_found=unknown_calls,
            failed=unknown_calls,
            refused=unknown_calls,
            arriving=flow.arriving,
            log_latency_mean=mu,
            log_latency_spread=sigma,
            utilisation=flow.utilisation,
            cpu_cores=self._cpu(flow, self._state),
            memory_bytes=unknown,
            replicas=flow.replicas,
        )

    def _column(self, name: str) -> Floats:
        """The latency of a service's own work wanders otherwise in another world."""
        column = super()._column(name)
        return column * self._other_wander if name == "latency_seconds" else column


@dataclass(frozen=True, slots=True)
class Worlds:
    """
    What would have been measured, had chance been another one from some moment on.

    Attributes:
        plan: Of the recording's mesh and load.
        draws: How many other worlds there are for each origin.
    """

    plan: Plan
    draws: int

    def measured(self, origins: NDArray[np.int64], steps: Sequence[int], known: Known) -> Floats:
        """
        Measurements so many steps after each origin in each world, of shape (S, draws, N, F, len(steps)).

        Args:
            origins: Steps of the recording, S of them.
            steps: Ahead, positive.
            known: What stays as it was after an origin.
        """
        mesh, load, seed = mesh_of(self.plan), load_of(self.plan), self.plan.seed
        before = Flows(mesh, load, seed=seed).queue_ticks(STEP_SECONDS)
        length = before + 1 + max(steps)
        ticks = FIRST_TICK + origins
        watching = watchers(mesh, load, ticks, seed=seed, draws=self.draws) if known is Known.WATCHING else {}
        size = max(1, _CHUNK_TICKS // (self.draws * length))
        parts = []
        for begin in range(0, len(origins), size):
            some = np.repeat(ticks[begin : begin + size], self.draws)
            fan = Fan.of(some, 1 + begin * self.draws + np.arange(len(some)), before=before, ahead=max(steps))
            guessed = {entry: each.guess(slice(begin, begin + size), length) for entry, each in watching.items()}
            other = None if known is Known.CLAIRVOYANT else guessed
            traffic = World(mesh, load, seed=seed, fan=fan, guessed=other).traffic()
            # A measurement is about two ticks, of which the first may lie before the origin.
            first = np.arange(len(some))[:, None] * length + before + np.array(steps) - 1
            counted = Counts.of(_at(traffic, np.stack([first, first + 1], axis=2).ravel()), seed)
            values = counted.measured()[::2]
            parts.append(values.reshape(-1, self.draws, len(steps), *values.shape[1:]))
        return np.moveaxis(np.concatenate(parts), 2, 4)


def _at(traffic: Traffic, places: Indices) -> Traffic:
    """The traffic of some of its ticks."""
    rows = {name: getattr(traffic, name)[:, places] for name in Traffic.__slots__ if name not in ("mesh", "clock")}
    return Traffic(mesh=traffic.mesh, clock=Clock(traffic.clock.ticks[places], traffic.clock.tick_seconds), **rows)
