"""
The HorizontalPodAutoscaler's algorithm as rules on arrays, as of Kubernetes 1.20 to 1.36 without a `behavior` of its own.

Shapes: `V` runs that go on side by side, `N` services.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scene import HIGHEST_REPLICAS, TARGET_UTILISATION, Pace

from tidecast_simulator.randomness import Floats

Counts = NDArray[np.int64]

TOLERANCE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Pods:
    """
    The pods of all services.

    Attributes:
        ready: Of shape (V, N).
        starting: By the number of ticks until they are ready, soonest first, of shape (V, N, K).
    """

    ready: Counts
    starting: Counts

    @property
    def all(self) -> Counts:
        """Ready and starting ones, of shape (V, N)."""
        return np.asarray(self.ready + self.starting.sum(axis=-1))

    def later(self) -> "Pods":
        """A tick later."""
        starting = np.zeros_like(self.starting)
        starting[..., :-1] = self.starting[..., 1:]
        return Pods(self.ready + self.starting[..., 0], starting)

    def scaled(self, wanted: Counts, start_up_ticks: Counts) -> "Pods":
        """With so many; those that are not ready are the first to go, the youngest of them first."""
        starting, surplus = self.starting.copy(), np.maximum(self.all - wanted, 0)
        for place in range(starting.shape[-1] - 1, -1, -1):
            taken = np.minimum(starting[..., place], surplus)
            starting[..., place] -= taken
            surplus = surplus - taken
        more = np.maximum(wanted - self.all, 0)
        runs = np.arange(len(wanted))
        starting[runs, :, start_up_ticks - 1] += more
        return Pods(self.ready - surplus, starting)


class Autoscaler:
    """
    One HorizontalPodAutoscaler for each service of each run.

    Args:
        shape: (V, N).
        pace: How often it looks, and how long it stabilises.
    """

    def __init__(self, shape: tuple[int, int], pace: Pace) -> None:
        self._wanted = np.zeros((math.ceil(pace.stabilisation / pace.sync), *shape), dtype=np.int64)
        self._place = 0

    def replicas(self, pods: Pods, utilisation: Floats, least: Counts, asked: Counts | None = None) -> Counts:
        """
        How many it asks for.

        Args:
            pods: As they are.
            utilisation: CPU of the ready pods over what they request, of shape (V, N).
            least: The floors, of shape (V, N).
            asked: What a metric of its own asks for beside CPU, of shape (V, N); the greater one counts.
        """
        now, starting = pods.all, pods.starting.sum(axis=-1)
        ratio = utilisation / TARGET_UTILISATION
        plain = np.where(np.abs(1 - ratio) <= TOLERANCE, now, np.ceil(ratio * pods.ready - 1e-9))
        # On the way up, pods that are not ready yet count as idle ones.
        diluted = ratio * pods.ready / np.maximum(now, 1)
        more = np.maximum(np.ceil(diluted * now - 1e-9), now)
        careful = np.where(diluted <= 1 + TOLERANCE, now, more)
        raw = np.where((starting > 0) & (ratio > 1), careful, plain).astype(np.int64)
        raw = raw if asked is None else np.maximum(raw, asked)
        self._wanted[self._place] = raw
        self._place = (self._place + 1) % len(self._wanted)
        stable = np.maximum(self._wanted.max(axis=0), raw)
        bounded = np.clip(stable, least, np.minimum(np.maximum(2 * now, 4), HIGHEST_REPLICAS))
        return np.where(now < least, least, bounded)
