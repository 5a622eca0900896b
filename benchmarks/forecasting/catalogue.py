"""
Which recordings there are: every one by its name, with all that its content depends on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from meshes import Plan

# 2026-01-05 00:00 UTC, a Monday.
START = 1_767_571_200
_STEPS_A_DAY = 1440
# The evaluation tests on the last fifth.
_KNOWN_SHARE = 0.8
LOW, MIDDLE, HIGH = 0.45, 0.8, 1.25


@dataclass(frozen=True, slots=True)
class Release:
    """
    A new version of one service that is slower; the factors multiply what it was.

    Attributes:
        latency_factor: Of the time of its own work.
        cpu_factor: Of the CPU time of a request.
        capacity_factor: Of the requests a pod can carry.
    """

    latency_factor: float = 2.5
    cpu_factor: float = 1.8
    capacity_factor: float = 0.7


@dataclass(frozen=True, slots=True)
class Recording:
    """
    A recording and all that its content depends on.

    Attributes:
        name: Of its file, without the ending.
        about: What it is there for.
        plan: Of its mesh and load.
        steps: Of a minute each.
        missing: Share of the measurements that is missing by chance; a percent as scrapes fail anywhere.
        levels: (step, factor) pairs, rising: from then on the load of all entries is multiplied so.
        release: A new version in the test part, a quarter into it.
        late_share: Share of the services of which nothing is known before the test part.
    """

    name: str
    about: str
    plan: Plan
    steps: int = 8 * _STEPS_A_DAY
    missing: float = 0.01
    levels: tuple[tuple[int, float], ...] = ()
    release: Release | None = None
    late_share: float = 0.0

    @property
    def test_step(self) -> int:
        """Before it lies all that the evaluation lets methods know."""
        return round(_KNOWN_SHARE * self.steps)

    @property
    def release_step(self) -> int:
        """The first step of the new version, if there is one."""
        return self.test_step + (self.steps - self.test_step) // 4


MESHES = (
    Plan(1, size=40, depth=4, fan_out=2.0),
    Plan(2, size=30, depth=3, fan_out=1.5, entries=2, entry_rps=60.0, sparse_share=0.3, queue_share=0.05),
    Plan(3, size=60, depth=6, fan_out=1.8, entries=4, entry_rps=250.0, queue_share=0.2, hidden_share=0.1),
    Plan(4, size=50, depth=5, fan_out=3.0, entries=3, entry_rps=150.0, sparse_share=0.05, hidden_share=0.0, retries=2),
    Plan(5, size=36, depth=4, fan_out=2.5, entries=3, entry_rps=30.0, sparse_share=0.2, queue_share=0.15),
)
SIZES = (10, 30, 100, 300, 1000)


def _structure() -> Iterator[tuple[str, str, Plan]]:
    """Meshes of which one thing varies at a time, around 60 services, 4 levels, a fan-out of 2 and no special services."""
    plain = {"size": 60, "entries": 3, "entry_rps": 180.0, "sparse_share": 0.0, "queue_share": 0.0, "hidden_share": 0.0}
    for size in SIZES:
        entries = min(max(size // 30, 2), 12)
        varied = plain | {"size": size, "depth": 3 if size < 30 else 4, "entries": entries, "entry_rps": 3.0 * size}
        yield f"size-{size}", f"{size} services", Plan(20, **varied)  # type: ignore[arg-type]
    for depth in (2, 4, 8):
        yield f"depth-{depth}", f"{depth} levels of services", Plan(21, depth=depth, **plain)  # type: ignore[arg-type]
    for fan_out in (1, 2, 4):
        yield f"fan-out-{fan_out}", f"fan-out {fan_out}", Plan(22, fan_out=fan_out, **plain)  # type: ignore[arg-type]
    for kind in ("sparse", "queue", "hidden"):
        for percent in (0, 25, 50):
            varied = plain | {f"{kind}_share": percent / 100}
            yield f"{kind}-{percent}", f"{percent} percent {kind} services", Plan(23, **varied)  # type: ignore[arg-type]


def _all() -> Iterator[Recording]:
    for plan in MESHES:
        yield Recording(f"mesh-{plan.seed}", "a mesh under a moving load", plan)
    for name, about, plan in _structure():
        yield Recording(name, f"structural complexity: {about}", plan, steps=3 * _STEPS_A_DAY)
    # Low and middle load take turns from day to day; what is tested on differs, what is learnt from does not.
    days = tuple((day * _STEPS_A_DAY, (LOW, MIDDLE)[day % 2]) for day in range(7))
    for plan in MESHES[:3]:
        for level, factor in (("low", LOW), ("middle", MIDDLE), ("high", HIGH)):
            name, about = f"level-{level}-{plan.seed}", f"known under low and middle load, tested under {level} load"
            test = Recording(name, about, plan).test_step
            levels = (*(change for change in days if change[0] < test), (test, factor))
            yield Recording(name, about, plan, levels=levels)
        yield Recording(
            f"release-{plan.seed}", "a slower version of one service in the test part", plan, release=Release()
        )
        yield Recording(
            f"unseen-{plan.seed}", "a fifth of the services known only in the test part", plan, late_share=0.2
        )


RECORDINGS = {recording.name: recording for recording in _all()}
