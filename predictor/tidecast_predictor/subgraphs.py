"""
Connected parts of a graph that is too large to be looked at as a whole: services, and those around them.

As a part is cut out, its rim loses neighbours. What is near each other stays together, so most services keep theirs
(arXiv:1905.07953 and arXiv:1907.04931 train on such parts and find that enough).
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.snapshot import Snapshot


class Neighbourhoods:
    """
    Draws connected parts, another one each time, until every service was in one; then begins anew.

    Args:
        calls: Callers and callees, int64 of shape (2, E).
        services: How many there are.
        limit: How many a part holds at most.
        seed: Of the order.
    """

    def __init__(self, calls: NDArray[np.int64], services: int, *, limit: int, seed: int) -> None:
        self._services, self._limit = services, min(limit, services)
        self._generator = np.random.default_rng(seed)
        ends = np.concatenate([calls, calls[::-1]], axis=1)
        order = np.argsort(ends[0], kind="stable")
        self._neighbours = ends[1][order]
        self._begins = np.searchsorted(ends[0][order], np.arange(services + 1))
        self._waiting: list[int] = []
        self._drawn = np.zeros(services, dtype=bool)

    def draw(self) -> NDArray[np.int64]:
        """The services of the next part, rising; as many as the limit allows."""
        if self._limit == self._services:
            return np.arange(self._services)
        chosen: dict[int, None] = {}
        while len(chosen) < self._limit:
            self._grow(chosen, self._next())
        part = np.sort(np.fromiter(chosen, np.int64, len(chosen)))
        self._drawn[part] = True
        return part

    def _next(self) -> int:
        """A service that was in no part yet since all of them were."""
        while self._waiting:
            service = self._waiting.pop()
            if not self._drawn[service]:
                return service
        self._drawn[:] = False
        self._waiting = self._generator.permutation(self._services).tolist()
        return self._waiting.pop()

    def _grow(self, chosen: dict[int, None], start: int) -> None:
        """Add *start*, its neighbours, their neighbours and so on, in random order, until the part is full."""
        waiting = [start]
        for service in waiting:
            if len(chosen) == self._limit:
                return
            if service not in chosen:
                chosen[service] = None
                around = self._neighbours[self._begins[service] : self._begins[service + 1]]
                # Of the thousands that call a hub, no more than fit.
                waiting += self._generator.permutation(around)[: self._limit].tolist()


def calls_among(
    services: NDArray[np.int64], calls: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """
    The calls between the chosen of *count* services.

    Returns:
        Callers and callees as positions in *services*, and which of *calls* they are.
    """
    positions = np.full(count, -1, dtype=np.int64)
    positions[services] = np.arange(len(services))
    among = positions[calls]
    kept = np.logical_and(*(among >= 0))
    return among[:, kept], kept


def among(snapshot: Snapshot, services: NDArray[np.int64]) -> Snapshot:
    """*snapshot* with the chosen services only, and the calls between them; all of them cost no copy."""
    if len(services) == len(snapshot.services):
        return snapshot
    calls, kept = calls_among(services, snapshot.calls, len(snapshot.services))
    return Snapshot(
        end_time=snapshot.end_time,
        step_seconds=snapshot.step_seconds,
        services=tuple(snapshot.services[index] for index in services.tolist()),
        values=np.ascontiguousarray(snapshot.values.swapaxes(0, 1)[services]).swapaxes(0, 1),
        calls=calls,
        rates=snapshot.rates[kept],
    )


def sample(snapshot: Snapshot, limit: int, *, patch: int, seed: int) -> NDArray[np.int64]:
    """
    At most *limit* services from all over the graph, in connected patches of about *patch* services; rising.

    One part of that size would show one corner of a large cluster, single services would show no calls.
    """
    count = len(snapshot.services)
    if count <= limit:
        return np.arange(count)
    patches = Neighbourhoods(snapshot.calls, count, limit=min(patch, limit), seed=seed)
    chosen: dict[int, None] = {}
    while len(chosen) < limit:
        chosen.update(dict.fromkeys(patches.draw().tolist()))
    return np.sort(np.fromiter(chosen, np.int64, len(chosen))[:limit])
