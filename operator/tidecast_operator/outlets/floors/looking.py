"""
Which autoscalers are read in a cycle, with few requests and without those that are none of ours.

Raised ones are found by their label, whoever raised them. What entries name besides is read one by one, or namespace by
namespace, or as one list of the whole cluster, whichever costs least. A watch would cost more: the status of every
autoscaler changes every few seconds, and what it says is not of interest here.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from tidecast_operator.autoscalers import Autoscaler
from tidecast_operator.errors import Misconfigured
from tidecast_operator.outlets.floors.claim import SELECTOR
from tidecast_operator.outlets.floors.parallel import each
from tidecast_operator.outlets.floors.plan import Key

# What a request costs, and what each autoscaler in its answer does; only their ratio matters.
_REQUEST_COST, _ITEM_COST = 10.0, 1.0


class Reads(Protocol):
    """What is needed of `Autoscalers`."""

    @property
    def is_partial(self) -> bool:
        """Whether the last list of all lacked some."""

    def pages(
        self, namespace: str = "", *, selector: str = "", is_cached: bool = False
    ) -> Iterator[Sequence[Autoscaler]]:
        """All of a namespace, or of the cluster."""

    def read(self, namespace: str, name: str) -> Autoscaler | None:
        """One of them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What one look has found.

    Attributes:
        autoscalers: By namespace and name.
        unread: Those that could not be read, and why.
        error: Of the last one that could not; None if all could.
    """

    autoscalers: dict[Key, Autoscaler] = field(default_factory=dict)
    unread: dict[Key, str] = field(default_factory=dict)
    error: Misconfigured | None = None


class Look:
    """
    Reads autoscalers. Remembers how many there are where, to choose what costs least.

    Args:
        autoscalers: Where they are.
        threads: How many requests are under way at once.
    """

    def __init__(self, autoscalers: Reads, *, threads: int) -> None:
        self._autoscalers = autoscalers
        self._threads = threads
        self._sizes: Counter[str] = Counter()

    def at_all(self, namespace: str, go_on: Callable[[], object]) -> Seen:
        """
        Every single one of a namespace, or of the cluster.

        Args:
            namespace: Which one; empty for the whole cluster.
            go_on: Called before each request; raises if there is to be none.
        """
        found: dict[Key, Autoscaler] = {}
        for page in self._autoscalers.pages(namespace):
            found |= {one.key: one for one in page}
            go_on()
        if not namespace:
            self._sizes = Counter(one.namespace for one in found.values())
        return Seen(found)

    def at_ours(self, names: Collection[Key], go_on: Callable[[], object], *, is_cached: bool) -> Seen:
        """
        All that carry the label, and all of *names*; others may be among them.

        Args:
            names: By namespace and name.
            go_on: Called before each request; raises if there is to be none.
            is_cached: Whether the list by label may be a little behind.
        """
        seen = Seen()
        for page in self._autoscalers.pages(selector=SELECTOR, is_cached=is_cached):
            seen.autoscalers.update((one.key, one) for one in page)
            go_on()
        rest: defaultdict[str, list[Key]] = defaultdict(list)
        for key in set(names) - seen.autoscalers.keys():
            rest[key[0]].append(key)
        costs = {namespace: self._cost_of(namespace, keys) for namespace, keys in rest.items()}
        if self._sizes and sum(costs.values()) > _listing_cost(self._sizes.total()):
            return self.at_all("", go_on)
        return self._named(rest, costs, seen, go_on)

    def _named(
        self, rest: Mapping[str, Sequence[Key]], costs: Mapping[str, float], seen: Seen, go_on: Callable[[], object]
    ) -> Seen:
        errors: list[Misconfigured] = []
        jobs: list[tuple[Sequence[Key], Callable[[], Iterable[Autoscaler]]]] = []
        for namespace, keys in rest.items():
            if costs[namespace] < len(keys) * _REQUEST_COST:
                jobs.append((keys, partial(self._list, namespace, go_on)))
            else:
                jobs += [([key], partial(self._read, key, go_on)) for key in keys]

        def run(job: tuple[Sequence[Key], Callable[[], Iterable[Autoscaler]]]) -> None:
            keys, read = job
            try:
                found = list(read())
            except Misconfigured as error:  # others may be allowed
                seen.unread.update(dict.fromkeys(keys, str(error)))
                errors.append(error)
            else:
                seen.autoscalers.update((one.key, one) for one in found)

        each(run, jobs, threads=self._threads)
        return Seen(seen.autoscalers, seen.unread, errors[-1] if errors else None)

    def _list(self, namespace: str, go_on: Callable[[], object]) -> Iterable[Autoscaler]:
        found: list[Autoscaler] = []
        for page in self._autoscalers.pages(namespace):
            found += page
            go_on()
        self._sizes[namespace] = len(found)
        return found

    def _read(self, key: Key, go_on: Callable[[], object]) -> Iterable[Autoscaler]:
        go_on()
        found = self._autoscalers.read(*key)
        return () if found is None else (found,)

    def _cost_of(self, namespace: str, keys: Sequence[Key]) -> float:
        """Of the cheaper way to read some of a namespace."""
        return min(len(keys) * _REQUEST_COST, _listing_cost(max(self._sizes[namespace], len(keys))))


def _listing_cost(size: int) -> float:
    return _REQUEST_COST + size * _ITEM_COST
