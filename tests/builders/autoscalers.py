"""
HorizontalPodAutoscalers that behave as those of an API server, hints that ask for floors, and what may go wrong between.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidecast_contract.services import ServiceId
from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.autoscalers import FIELD_MANAGER, Autoscaler
from tidecast_operator.errors import ApiServerUnavailable
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.hint import Hint
from tidecast_operator.scaling import Mode, Scaling

NOW = 1_700_000_000
OURS = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:minReplicas": {}}}}
MARKS_ALONE = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {}}}}
OWNERS = {"manager": "helm", "operation": "Update"}


def autoscaler(name: str = "checkout", *, floor: int = 2, ceiling: int = 20, **changes) -> Autoscaler:
    """One that scales the Deployment of its name in the namespace shop."""
    made = Autoscaler(
        namespace="shop",
        name=name,
        uid=f"uid-of-{name}",
        version="1",
        target_group="apps",
        target_kind="Deployment",
        target_name=name,
        min_replicas=floor,
        max_replicas=ceiling,
        annotations={},
        managers=(OWNERS,),
    )
    return replace(made, **changes)


def entry(
    name: str = "checkout",
    replicas: int | None = 9,
    *,
    mode: Mode = Mode.ACTIVE,
    autoscaler: str = "checkout",
    **changes,
) -> Entry:
    """A ServicePerformanceForecast of the namespace shop that names an autoscaler."""
    made = Entry(
        namespace="shop",
        name=name,
        uid=f"uid-of-spf-{name}",
        target=ServiceId("shop", "Deployment", changes.pop("workload", autoscaler)),
        scaling=Scaling(mode=mode, autoscaler=autoscaler),
        hint=None if replicas is None else hint(replicas),
        issued_time=NOW,
        expire_time=NOW + 600,
    )
    return replace(made, **changes)


def hint(replicas: int, *, floor: int | None = None) -> Hint:
    """One that asks for so many, and holds a floor, its own replicas unless it is higher."""
    return Hint(replicas, floor or replicas, 2, 100.0 * replicas, Capacity(100.0), NOW + 180, "as the test says")


def board(*entries: Entry) -> Board:
    """After a cycle has completed."""
    return Board(NOW, {one.key: one for one in entries}, is_known=True)


class Crash(Exception):
    """The process ends."""


@dataclass
class FakeAutoscalers:
    """
    As `Autoscalers` with an API server behind it.

    Attributes:
        objects: By namespace and name.
        cache: What the API server remembers while it is behind; None while it is not.
        calls: What was called, by name; a list by label is `labelled`.
        reading: Namespace and name of the last one that was read.
        writes: How many writes took effect.
        before: Called with the number of each call, from 1, before it takes effect; it may raise, or edit.
        after: Called with the number of each call after it took effect; it may raise.
        is_partial: Whether some namespaces may not be looked into.
    """

    objects: dict[tuple[str, str], Autoscaler] = field(default_factory=dict)
    cache: dict[tuple[str, str], Autoscaler] | None = None
    calls: list[str] = field(default_factory=list)
    reading: tuple[str, str] = ("", "")
    writes: int = 0
    before: Callable[[int], None] = lambda _: None
    after: Callable[[int], None] = lambda _: None
    is_partial: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def put(self, *autoscalers: Autoscaler) -> "FakeAutoscalers":
        """What users create."""
        self.objects |= {one.key: one for one in autoscalers}
        return self

    def edit(self, name: str = "checkout", **changes) -> None:
        """What users and controllers change."""
        old = self.objects["shop", name]
        self.objects["shop", name] = replace(old, version=str(int(old.version) + 1), **changes)

    def __getitem__(self, name: str) -> Autoscaler:
        return self.objects["shop", name]

    def pages(
        self, namespace: str = "", *, selector: str = "", is_cached: bool = False
    ) -> Iterator[Sequence[Autoscaler]]:
        """As `Autoscalers` does, two a page."""
        number = self._called("labelled" if selector else f"pages of {namespace}" if namespace else "pages")
        objects = self.cache if is_cached and self.cache is not None else self.objects
        found = [one for one in objects.values() if namespace in ("", one.namespace) and _matches(one, selector)]
        self.after(number)
        for start in range(0, len(found), 2):
            yield found[start : start + 2]

    def read(self, namespace: str, name: str) -> Autoscaler | None:
        """As `Autoscalers` does."""
        self.reading = namespace, name
        number = self._called("read")
        found = self.objects.get((namespace, name))
        self.after(number)
        return found

    def apply(
        self, autoscaler: Autoscaler, floor: int, *, annotations: Mapping[str, str], labels: Mapping[str, str]
    ) -> Autoscaler | Outcome:
        """As `Autoscalers` does."""
        others = [one for one in autoscaler.managers if one["manager"] != FIELD_MANAGER]
        changes = {"min_replicas": floor, "managers": (*others, OURS)}
        return self._write("apply", autoscaler, changes, {"annotations": annotations, "labels": labels})

    def release(
        self, autoscaler: Autoscaler, *, annotations: Sequence[str], labels: Collection[str]
    ) -> Autoscaler | Outcome:
        """As `Autoscalers` does."""
        others = tuple(one for one in autoscaler.managers if one["manager"] != FIELD_MANAGER)
        marks = {"annotations": dict.fromkeys(annotations), "labels": dict.fromkeys(labels)}
        return self._write("release", autoscaler, {"managers": others}, marks)

    def _write(self, verb: str, read: Autoscaler, changes: dict, marks: dict) -> Autoscaler | Outcome:
        number = self._called(verb)
        with self._lock:
            found = self.objects.get(read.key)
            if found is None or (found.uid, found.version) != (read.uid, read.version):
                return Outcome.CONFLICT
            for where, names in marks.items():
                merged = {**getattr(found, where), **names}
                changes[where] = {name: text for name, text in merged.items() if text is not None}
            made = replace(found, version=str(int(found.version) + 1), **changes)
            # Where its owner may write 0, so that it stands there, other fields may be written too.
            if not min(1, found.min_replicas) <= made.min_replicas <= made.max_replicas:
                raise WriteRefused(f"spec.minReplicas: {made.min_replicas}")
            self.objects[made.key] = made
            self.writes += 1
        self.after(number)
        return made

    def _called(self, verb: str) -> int:
        with self._lock:
            self.calls.append(verb)
            number = len(self.calls)
        self.before(number)
        return number


def _matches(autoscaler: Autoscaler, selector: str) -> bool:
    wanted = (one.partition("=") for one in selector.split(",") if one)
    return all(autoscaler.labels.get(name) == text for name, _, text in wanted)


def unavailable(*_: int) -> None:
    """The API server does not answer."""
    raise ApiServerUnavailable("says the fake")
