"""
A HorizontalPodAutoscaler as Kubernetes documents `autoscaling/v2`, for many workloads at once. Pure but for `Autoscaler`,
which remembers what a real one does: its recommendations and its changes.

At every sync, for each workload:

1. Outside of its bounds it goes to the nearest bound, whatever the load.
2. Without a measurement it stays.
3. The load per ready pod, in the target, times the ready pods, rounded up, is what it recommends. Pods that are still
   starting count as idle where that means more pods, and do not count where it means fewer. A ratio within the tolerance,
   or one that idle pods turn around, changes nothing.
4. Of the recommendations within the window for falling the highest counts, within the one for rising the lowest.
5. Policies bound how far it may go within a period; of several the one that allows most, or least.
6. Its bounds.

Shapes: `N` workloads.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Loads = NDArray[np.float64]

SYNC_SECONDS = 15
"""Between two syncs, as the controller manager has it."""

_ROUNDING = 1e-9  # of a replica
_LARGEST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How far replicas may change within a period.

    Attributes:
        pods: By so many, or
        percent: by so many percent of those at the beginning of the period.
        period_seconds: The period.
    """

    pods: int = 0
    percent: int = 0
    period_seconds: int = SYNC_SECONDS


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    What `spec.behavior` says, with its defaults, and the controller manager's tolerance.

    Attributes:
        tolerance: Changes of the load per pod by at most this share are ignored.
        rise_window_seconds: The lowest recommendation of so long counts before it rises.
        fall_window_seconds: The highest recommendation of so long counts before it falls.
        rise: Policies for more pods; without any it never rises.
        fall: Policies for fewer; without any it never falls.
        rises_least: Whether the policy counts that allows least, and not the one that allows most.
        falls_least: The same of the policies for fewer.
    """

    tolerance: float = 0.1
    rise_window_seconds: int = 0
    fall_window_seconds: int = 300
    rise: tuple[Policy, ...] = (Policy(percent=100), Policy(pods=4))
    fall: tuple[Policy, ...] = (Policy(percent=100),)
    rises_least: bool = False
    falls_least: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Pods:
    """
    Those of each workload.

    Attributes:
        ready: Int of shape (N,).
        starting: Not ready yet, int of shape (N,).
    """

    ready: Counts
    starting: Counts

    @property
    def replicas(self) -> Counts:
        """All of them."""
        return self.ready + self.starting

    def at(self, columns: NDArray[np.int64]) -> "Pods":
        """Those of some workloads."""
        return Pods(self.ready[columns], self.starting[columns])


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """
    `spec.minReplicas` and `spec.maxReplicas` of each workload.

    Attributes:
        lowest: Int of shape (N,), at least 1.
        highest: Int of shape (N,).
    """

    lowest: Counts
    highest: Counts

    def around(self, replicas: Counts) -> Counts:
        """The nearest numbers within."""
        return np.minimum(np.maximum(replicas, self.lowest), self.highest)

    def at(self, columns: NDArray[np.int64]) -> "Bounds":
        """Those of some workloads."""
        return Bounds(self.lowest[columns], self.highest[columns])


def recommended(pods: Pods, load: Loads, target: Loads, *, tolerance: float) -> Counts:
    """
    What the load alone asks for, int of shape (N,).

    Args:
        pods: Those there are.
        load: Of each workload in all, float of shape (N,); NaN where it was not measured.
        target: Load that one pod is to have, float of shape (N,).
        tolerance: As in `Behaviour`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = load / target
        among_ready = needed / pods.ready
        among_all = needed / pods.replicas
        rises = (among_ready > 1 + tolerance) & (among_all > 1 + tolerance)
        falls = among_ready < 1 - tolerance
        wanted = np.ceil(needed - _ROUNDING)
    changes = np.isfinite(needed) & (pods.ready > 0) & (rises | falls)
    return np.where(changes, wanted, pods.replicas).astype(np.int64)


class Autoscaler:
    """
    One HorizontalPodAutoscaler for each of N workloads. Not safe to use from several threads at once.

    Args:
        behaviour: Of all of them.
    """

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self._behaviour = behaviour or Behaviour()
        self._lowest: deque[tuple[float, Counts]] = deque()
        self._highest: deque[tuple[float, Counts]] = deque()
        self._changed: deque[tuple[float, Counts]] = deque()
        policies = (*self._behaviour.rise, *self._behaviour.fall)
        self._longest_period = max((policy.period_seconds for policy in policies), default=0)

    def sync(self, time: float, pods: Pods, load: Loads, target: Loads, bounds: Bounds) -> Counts:
        """
        How many replicas there are to be from now on, int of shape (N,).

        Args:
            time: Seconds; rises from call to call.
            pods: Those there are.
            load: As it sees it, float of shape (N,); NaN where it sees none.
            target: Load that one pod is to have.
            bounds: At this moment.
        """
        current = pods.replicas
        inside = (current >= bounds.lowest) & (current <= bounds.highest)
        judged = inside & np.isfinite(load) & (pods.ready > 0)
        said = recommended(pods, load, target, tolerance=self._behaviour.tolerance)
        self._remember(time, said, judged)
        stable = self._stabilised(current)
        wanted = self._within_policies(time, current, stable)
        replicas = bounds.around(np.where(judged, wanted, current))
        self._changed.append((time, replicas - current))
        return replicas

    def _remember(self, time: float, said: Counts, judged: NDArray[np.bool_]) -> None:
        _forget(self._lowest, time - self._behaviour.rise_window_seconds)
        _forget(self._highest, time - self._behaviour.fall_window_seconds)
        _forget(self._changed, time - self._longest_period)
        # What was not judged counts for neither.
        self._lowest.append((time, np.where(judged, said, _LARGEST)))
        self._highest.append((time, np.where(judged, said, 0)))

    def _stabilised(self, current: Counts) -> Counts:
        """Where it goes once the past is heard: up to the lowest word, down to the highest."""
        low = np.minimum.reduce([said for _, said in self._lowest])
        high = np.maximum.reduce([said for _, said in self._highest])
        return np.where(current < low, low, np.where(current > high, high, current))

    def _within_policies(self, time: float, current: Counts, wanted: Counts) -> Counts:
        rise = [self._reach(time, current, policy, 1) for policy in self._behaviour.rise]
        fall = [self._reach(time, current, policy, -1) for policy in self._behaviour.fall]
        # Where a period is used up already it stays as it is; it is not taken back.
        farthest_up = np.min if self._behaviour.rises_least else np.max
        farthest_down = np.max if self._behaviour.falls_least else np.min
        highest = np.maximum(farthest_up(rise, axis=0), current) if rise else current
        lowest = np.minimum(farthest_down(fall, axis=0), current) if fall else current
        return np.where(wanted > current, np.minimum(wanted, highest), np.maximum(wanted, lowest))

    def _reach(self, time: float, current: Counts, policy: Policy, sign: int) -> Counts:
        """The farthest number that one policy allows."""
        began = current.copy()
        for when, change in self._changed:
            if when > time - policy.period_seconds:
                began -= change
        if policy.pods:
            return began + sign * policy.pods
        share = began * (1 + sign * policy.percent / 100)
        reach: Counts = (np.ceil(share) if sign > 0 else np.floor(share)).astype(np.int64)
        return reach


class Autoscalers:
    """
    The same for workloads that do not all behave alike: the method is that of `Autoscaler`.

    Args:
        behaviours: Of each of the N workloads.
    """

    def __init__(self, behaviours: Sequence[Behaviour]) -> None:
        self._alike = [
            (np.flatnonzero([one == behaviour for one in behaviours]), Autoscaler(behaviour))
            for behaviour in dict.fromkeys(behaviours)
        ]

    def sync(self, time: float, pods: Pods, load: Loads, target: Loads, bounds: Bounds) -> Counts:
        """As in `Autoscaler`."""
        replicas = pods.replicas
        for columns, autoscaler in self._alike:
            replicas[columns] = autoscaler.sync(
                time, pods.at(columns), load[columns], target[columns], bounds.at(columns)
            )
        return replicas


def _forget(past: deque[tuple[float, Counts]], until: float) -> None:
    while past and past[0][0] <= until:
        past.popleft()
