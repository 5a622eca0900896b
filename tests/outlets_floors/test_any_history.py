"""
Whatever happens, and wherever it stops: a floor is never below the original, never above the ceiling, never 0, is
always given back, and bears its label for as long as it is raised.
"""

import contextlib
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.autoscalers import NOW, OWNERS, Crash, FakeAutoscalers, autoscaler, board, entry
from tidecast_operator.errors import ApiServerUnavailable
from tidecast_operator.hints.board import Board
from tidecast_operator.hints.hint import HOLD_SECONDS
from tidecast_operator.outlets.floors.claim import ANNOTATIONS, FLOOR, RAISED, SELECTOR
from tidecast_operator.outlets.floors.floors import Floors
from tidecast_operator.scaling import Mode

NAMES = ("checkout", "cart")
any_name = st.sampled_from(NAMES)
any_floor = st.integers(1, 15)
any_asking = st.one_of(
    st.none(),
    st.integers(1, 40),
    st.sampled_from(["no hint", "withheld", "expired", "preview", "not valid", "names the other"]),
)


@dataclass(frozen=True)
class Cycle:
    """Boards are shown and followed. The fault falls at one call, before or after it takes effect."""

    asking: tuple
    is_known: bool = True
    is_leader: bool = True
    fault_at: int = 0
    is_after: bool = False
    fault: object = "unavailable"  # "unavailable", "crash", "deposed", "touched", or the floor that a user writes


@dataclass(frozen=True)
class Edit:
    """What a user or a controller does."""

    name: str
    what: str
    value: int = 0


any_cycle = st.builds(
    Cycle,
    asking=st.tuples(*(any_asking for _ in NAMES)),
    is_known=st.sampled_from([True, True, True, False]),
    is_leader=st.sampled_from([True, True, True, False]),
    fault_at=st.integers(0, 7),
    is_after=st.booleans(),
    fault=st.one_of(st.sampled_from(["unavailable", "crash", "deposed", "touched"]), any_floor),
)
any_edit = st.builds(
    Edit,
    name=any_name,
    what=st.sampled_from(
        ["floor", "ceiling", "restart", "recreate", "retarget", "touch", "delete", "unlabel", "fall behind", "catch up"]
    ),
    value=st.integers(0, 25),
)


@dataclass
class World:
    """
    Two autoscalers, their users, and processes that come and go.

    `originals` is what users want the floors to be, `unlabelled` where they took our label away. The API server may
    answer a list by label from a memory of earlier.
    """

    fake: FakeAutoscalers = field(default_factory=FakeAutoscalers)
    originals: dict[str, int] = field(default_factory=dict)
    unlabelled: set[str] = field(default_factory=set)
    may_write: bool = True
    now: float = NOW
    made: int = 0

    def __post_init__(self) -> None:
        for name in NAMES:
            self.create(name, 2)
        self.start()

    def start(self) -> None:
        self.floors = Floors(self.fake, may_write=lambda: self.may_write, clock=lambda: self.now, threads=1)

    def create(self, name: str, floor: int) -> None:
        self.made += 1
        self.originals[name] = floor
        self.unlabelled.discard(name)
        self.fake.put(autoscaler(name, floor=floor, uid=f"uid-{self.made}", version=str(1000 * self.made)))

    def edit(self, edit: Edit) -> None:
        found = self.fake.objects.get(("shop", edit.name))
        if edit.what == "restart":
            self.start()
        elif edit.what == "fall behind":
            self.fake.cache = dict(self.fake.objects)
        elif edit.what == "catch up":
            self.fake.cache = None
        elif found is None or edit.what == "recreate":
            self.create(edit.name, max(1, min(edit.value, 15)))
        elif edit.what == "delete":
            del self.fake.objects["shop", edit.name], self.originals[edit.name]
        elif edit.what == "floor":
            self.write_floor(edit.name, edit.value)
        elif edit.what == "ceiling":
            # The API server refuses a ceiling below the floor.
            self.fake.edit(edit.name, max_replicas=max(edit.value, found.min_replicas, 1))
        elif edit.what == "unlabel":
            self.fake.edit(edit.name, labels={})
            self.unlabelled.add(edit.name)
        elif edit.what == "retarget":
            self.fake.edit(edit.name, target_name=NAMES[edit.value % 2])
        else:
            self.fake.edit(edit.name)

    def write_floor(self, name: str, floor: int) -> None:
        found = self.fake.objects.get(("shop", name))
        # The very number that we wrote says nothing of who wants it; and the API server refuses what is over the ceiling.
        if found is None or str(floor) == found.annotations.get(FLOOR) or floor > found.max_replicas:
            return
        self.originals[name] = floor
        self.fake.edit(name, min_replicas=floor)

    def run(self, cycle: Cycle) -> None:
        self.may_write = cycle.is_leader
        self.fake.calls.clear()
        wanted = Board() if not cycle.is_known else board(*map(asking, NAMES, cycle.asking))
        fault = lambda number: self.fail(cycle) if number == cycle.fault_at else None  # noqa: E731
        self.fake.before, self.fake.after = (self.check, fault) if cycle.is_after else (fault, self.check)
        with contextlib.suppress(Crash):
            self.floors.follow(wanted)
        self.fake.before = self.fake.after = lambda _: None
        self.may_write = True
        self.check()

    def fail(self, cycle: Cycle) -> None:
        if cycle.fault == "unavailable":
            raise ApiServerUnavailable("at the worst moment")
        if cycle.fault == "crash":
            self.check()
            self.start()
            raise Crash
        if cycle.fault == "deposed":
            self.may_write = False
        elif cycle.fault == "touched":
            for name in self.originals:
                self.fake.edit(name)
        else:
            for name in self.originals:
                self.write_floor(name, cycle.fault)
        self.check()

    def check(self, _: int = 0) -> None:
        for name, original in self.originals.items():
            found = self.fake[name]
            assert original <= found.min_replicas <= found.max_replicas
            assert found.min_replicas > 0 or original == 0
            is_raised = found.min_replicas != original
            assert found.labels in ({}, RAISED)
            if found.labels:
                self.unlabelled.discard(name)
            assert found.labels == RAISED or not is_raised or name in self.unlabelled

    def assert_restored(self) -> None:
        for name, original in self.originals.items():
            found = self.fake[name]
            assert (found.min_replicas, set(found.annotations) & set(ANNOTATIONS)) == (original, set())
            assert (found.labels, found.managers) == ({}, (OWNERS,))


def asking(name, what):
    """The entry of a workload that asks for so many replicas, or in such a way for nothing."""
    changes = {
        "no hint": {"replicas": None},
        "withheld": {"withheld": "not trusted"},
        "expired": {"expire_time": NOW},
        "preview": {"mode": Mode.PREVIEW},
        "not valid": {"scaling": None},
        "names the other": {"autoscaler": NAMES[1 - NAMES.index(name)], "workload": name},
    }
    if what is None:
        return entry(name, autoscaler="", workload=name)
    if isinstance(what, int):
        return entry(name, what, autoscaler=name)
    return entry(name, **({"autoscaler": name} | changes[what]))


any_history = st.lists(st.one_of(any_cycle, any_edit), min_size=1, max_size=14)
thorough = settings(max_examples=150, deadline=None, database=None, derandomize=True)


def lived(history):
    world = World()
    for event in history:
        world.run(event) if isinstance(event, Cycle) else world.edit(event)
        world.check()
    return world


@given(any_history)
@thorough
def test_in_any_history_all_floors_keep_their_bounds_and_are_given_back_when_everything_is_released(history):
    world = lived(history)
    world.start()

    assert world.floors.release_all().is_complete
    world.assert_restored()


@given(any_history)
@thorough
def test_after_any_history_one_good_cycle_with_nothing_asked_gives_everything_back(history):
    world = lived(history)

    assert world.floors.follow(board()).is_complete
    world.assert_restored()


@given(any_history, st.integers(1, 40))
@thorough
def test_after_any_history_good_cycles_lower_no_floor_at_once_and_raise_each_to_exactly_what_is_asked(
    history, replicas
):
    world = lived(history)
    world.fake.cache = None
    asked = board(*(asking(name, replicas) for name in NAMES))
    before = {name: world.fake[name].min_replicas for name in world.originals}

    world.floors.follow(asked)
    for name, floor in before.items():
        found = world.fake[name]
        is_asked_for = found.target_name == name and found.labels
        assert not is_asked_for or found.min_replicas >= min(floor, found.max_replicas)
    world.now += HOLD_SECONDS
    world.floors.follow(asked)

    for name, original in world.originals.items():
        found = world.fake[name]
        is_fit = found.target_name == name and original > 0
        expected = min(max(replicas, original), found.max_replicas) if is_fit else original
        assert (found.min_replicas, bool(found.labels)) == (expected, expected > original)


@given(any_history)
@thorough
def test_in_any_history_without_an_active_and_offered_hint_nothing_is_ever_written(history):
    quietly = {"names the other": "withheld"} | dict.fromkeys(range(1, 41), "preview")
    quiet = [
        replace(event, asking=tuple(quietly.get(one, one) for one in event.asking))
        if isinstance(event, Cycle)
        else event
        for event in history
    ]

    assert lived(quiet).fake.writes == 0


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("fault_at", range(1, 8))
@pytest.mark.parametrize("fault", ["crash", "unavailable", "deposed", "touched", 5])
def test_a_fault_at_any_call_of_giving_back_does_no_harm(fault, fault_at, is_after):
    world = lived([Cycle((9, 12)), Cycle((None, None), fault=fault, fault_at=fault_at, is_after=is_after)])

    world.floors.follow(board())

    world.assert_restored()


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("fault_at", range(1, 4))
@pytest.mark.parametrize("fault", ["crash", "unavailable", "deposed", "touched", 5])
def test_a_fault_at_any_call_of_raising_leaves_no_floor_without_its_label(fault, fault_at, is_after):
    world = lived([Cycle((9, 12), fault=fault, fault_at=fault_at, is_after=is_after)])

    world.floors.follow(board(entry("other", autoscaler="other")))

    world.assert_restored()


@given(any_history)
@thorough
def test_in_any_history_a_process_that_knows_only_the_labels_finds_every_raised_floor(history):
    labels_stay = [event for event in history if not (isinstance(event, Edit) and event.what == "unlabel")]
    world = lived(labels_stay)

    found = {one.name for page in world.fake.pages(selector=SELECTOR) for one in page}

    assert found >= {name for name, original in world.originals.items() if world.fake[name].min_replicas != original}
