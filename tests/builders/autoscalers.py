"""
HorizontalPodAutoscalers that behave as those of an API server, hints that ask for floors, and what may go wrong between.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
OURS = {"manager": FIELD_MANAGER, "operation": "Apply"}
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


def hint(replicas: int) -> Hint:
    """One that asks for so many."""
    return Hint(replicas, 2, 100.0 * replicas, Capacity(100.0), NOW + 180, "as the test says")


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
        calls: What was called, by name.
        writes: How many writes took effect.
        before: Called with the number of each call, from 1, before it takes effect; it may raise, or edit.
        after: Called with the number of each call after it took effect; it may raise.
    """

    objects: dict[tuple[str, str], Autoscaler] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    writes: int = 0
    before: Callable[[int], None] = lambda _: None
    after: Callable[[int], None] = lambda _: None

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

    def pages(self, namespace: str = "") -> Iterator[Sequence[Autoscaler]]:
        """As `Autoscalers` does, two a page."""
        number = self._called("pages")
        found = [one for one in self.objects.values() if namespace in ("", one.namespace)]
        self.after(number)
        for start in range(0, len(found), 2):
            yield found[start : start + 2]

    def read(self, namespace: str, name: str) -> Autoscaler | None:
        """As `Autoscalers` does."""
        number = self._called("read")
        found = self.objects.get((namespace, name))
        self.after(number)
        return found

    def apply(self, autoscaler: Autoscaler, floor: int, annotations: Mapping[str, str]) -> Autoscaler | Outcome:
        """As `Autoscalers` does."""
        others = [one for one in autoscaler.managers if one["manager"] != FIELD_MANAGER]
        changes = {"min_replicas": floor, "managers": (*others, OURS)}
        return self._write("apply", autoscaler, changes, dict(annotations))

    def release(self, autoscaler: Autoscaler, annotations: Sequence[str]) -> Autoscaler | Outcome:
        """As `Autoscalers` does."""
        others = tuple(one for one in autoscaler.managers if one["manager"] != FIELD_MANAGER)
        return self._write("release", autoscaler, {"managers": others}, dict.fromkeys(annotations))

    def _write(self, verb: str, read: Autoscaler, changes: dict, annotations: dict) -> Autoscaler | Outcome:
        number = self._called(verb)
        found = self.objects.get(read.key)
        if found is None or (found.uid, found.version) != (read.uid, read.version):
            return Outcome.CONFLICT
        merged = {**found.annotations, **annotations}
        changes["annotations"] = {name: text for name, text in merged.items() if text is not None}
        made = replace(found, version=str(int(found.version) + 1), **changes)
        if not 1 <= made.min_replicas <= made.max_replicas:
            raise WriteRefused(f"spec.minReplicas: {made.min_replicas}")
        self.objects[made.key] = made
        self.writes += 1
        self.after(number)
        return made

    def _called(self, verb: str) -> int:
        self.calls.append(verb)
        self.before(len(self.calls))
        return len(self.calls)


def unavailable(*_: int) -> None:
    """The API server does not answer."""
    raise ApiServerUnavailable("says the fake")
