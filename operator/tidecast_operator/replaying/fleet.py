"""
The pods of many workloads: new ones need a while until they are ready, and the newest go first.

Shapes: `N` workloads.
"""

from collections import deque

import numpy as np

from tidecast_operator.replaying.autoscaler import Counts, Pods


class Fleet:
    """
    Not safe to use from several threads at once.

    Args:
        replicas: Ready ones at the beginning, int of shape (N,).
        start_ticks: How many ticks a pod takes from being asked for to being ready.
    """

    def __init__(self, replicas: Counts, *, start_ticks: int) -> None:
        self._ready = self._all = replicas.astype(np.int64)
        self._starting: deque[Counts] = deque(np.zeros_like(self._ready) for _ in range(start_ticks))

    @property
    def pods(self) -> Pods:
        """Those there are."""
        return Pods(self._ready, self._all - self._ready)

    def tick(self) -> None:
        """A tick passes: those that have started become ready."""
        if self._starting:
            self._ready = self._ready + self._starting.popleft()
            self._starting.append(np.zeros_like(self._ready))

    def scale(self, replicas: Counts) -> None:
        """So many there are to be: new ones start, and of too many those go first that started last."""
        change = replicas - self._all
        if not change.any():
            return
        self._all = self._all + change
        surplus = np.maximum(-change, 0)
        for place in reversed(range(len(self._starting))):
            gone = np.minimum(self._starting[place], surplus)
            self._starting[place] = self._starting[place] - gone
            surplus = surplus - gone
        self._ready = self._ready - surplus
        more = np.maximum(change, 0)
        if self._starting:
            self._starting[-1] = self._starting[-1] + more
        else:
            self._ready = self._ready + more
