"""
How many replicas a demand asks for, within bounds. Pure.

A hint is never 0, never below the minimum nor above the maximum, and rises by steps. The floor that goes with it falls only
after the hint was lower for a while; whoever follows the hint as a metric waits by itself.
"""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tidecast_contract.features import CPU, Feature
from tidecast_operator.figures import figure
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.demand import Demand
from tidecast_operator.published import to_time
from tidecast_operator.scaling import Scaling

HOLD_SECONDS = 300
"""A floor falls only to the highest hint of so long, as a HorizontalPodAutoscaler does with what its metrics ask for: to the
minimum it waits for nothing. To hold the metrics as well would make it wait twice."""

GUARD_SECONDS = 3600
"""A hint that is kept up for a failing caller is kept up no longer than this."""

RISE_FACTOR, RISE_REPLICAS = 2.0, 4
"""From one step to the next a hint rises to at most this many times the ready replicas, or by so many, whichever is more:
what a HorizontalPodAutoscaler allows itself in a quarter of a minute."""

TOLERANCE = 0.1
"""Changes of the load by less than this share are ignored by a HorizontalPodAutoscaler."""

_ROUNDING = 1e-6  # of a replica: 1200.0004 requests/s at 120 a replica are 10
_NUDGE = 1.002  # just beyond the tolerance


class Limit(StrEnum):
    """What the replicas of a hint were limited by, or kept up by."""

    NONE = ""
    MIN_REPLICAS = "MinReplicas"
    MAX_REPLICAS = "MaxReplicas"
    RISE_LIMIT = "RiseLimit"
    DOMINO_GUARD = "DominoGuard"
    HORIZON = "Horizon"


@dataclass(frozen=True, slots=True)
class Hint:
    """
    How many replicas a workload should have, and why.

    Attributes:
        replicas: At least 1.
        floor: The highest replicas of the last `Facts.hold_seconds`, within the bounds: what a minimum may fall to.
        current_replicas: Ready ones as last measured; None if that is not known.
        load: What autoscalers that divide by `per_replica` have to be told to arrive at `replicas`, in the signal's unit.
        capacity: What one replica carries.
        effective_time: When the demand is expected, unix seconds.
        reason: In words.
        limited_by: What kept it from being what the demand alone asks for.
    """

    replicas: int
    floor: int
    current_replicas: int | None
    load: float
    capacity: Capacity
    effective_time: int
    reason: str
    limited_by: Limit = Limit.NONE


@dataclass(frozen=True, slots=True)
class Memory:
    """
    What a hint depends on besides the present.

    Attributes:
        asked: (time, replicas) pairs of the last `Facts.hold_seconds`, the oldest first, not bounded.
        guarded: Replicas that are kept up while a caller fails; 0 while none does.
        guarded_since: Since when, unix seconds.
    """

    asked: tuple[tuple[int, int], ...] = ()
    guarded: int = 0
    guarded_since: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What is known at present.

    Attributes:
        now: Unix seconds.
        step_seconds: Between two hints.
        demand: Within the lead time.
        capacity: What one replica carries.
        current_replicas: Ready ones; None if that is not known.
        caller_fails: Whether less traffic may come from a caller's failure.
        memory: Of the cycles before.
    """

    now: int
    demand: Demand
    capacity: Capacity
    current_replicas: int | None = None
    caller_fails: bool = False
    memory: Memory = field(default_factory=Memory)
    step_seconds: int = 60

    @property
    def hold_seconds(self) -> int:
        """How long a floor is held before it falls; over one step at least, however long that is."""
        return max(HOLD_SECONDS, 2 * self.step_seconds)


def decide(facts: Facts, scaling: Scaling) -> tuple[Hint, Memory]:
    """The hint, and what to remember for the next one."""
    per_replica = facts.capacity.per_replica
    needed = max(1, math.ceil(facts.demand.load / per_replica - _ROUNDING))
    asked, limit = _rising(needed, facts, scaling)
    if limit is Limit.NONE and not facts.demand.is_whole:
        limit = Limit.HORIZON
    memory = _remember(asked, facts)
    if memory.guarded > asked:
        asked, limit = memory.guarded, Limit.DOMINO_GUARD
        memory = replace(memory, asked=(*memory.asked[:-1], (facts.now, asked)))
    replicas, bound = _bounded(asked, scaling)
    floor, _ = _bounded(max(asked, *(before for _, before in memory.asked)), scaling)
    limit = bound or limit
    hint = Hint(
        replicas=replicas,
        floor=floor,
        current_replicas=facts.current_replicas,
        load=_load(facts.demand.load, per_replica, replicas=replicas, current=facts.current_replicas),
        capacity=facts.capacity,
        effective_time=facts.demand.time,
        reason=_reason(facts, scaling),
        limited_by=limit,
    )
    return hint, memory


def _rising(needed: int, facts: Facts, scaling: Scaling) -> tuple[int, Limit]:
    base = max(facts.current_replicas or 0, scaling.min_replicas)
    before = max((replicas for _, replicas in _recent(facts)), default=0)
    # Ready replicas that vanish are no reason to ask for fewer.
    highest = max(math.floor(RISE_FACTOR * base), base + RISE_REPLICAS, before)
    return (highest, Limit.RISE_LIMIT) if needed > highest else (needed, Limit.NONE)


def _remember(asked: int, facts: Facts) -> Memory:
    before = facts.memory
    recent = _recent(facts)
    memory = (*(pair for pair in recent if pair[0] != facts.now), (facts.now, asked))
    if not facts.caller_fails:
        return Memory(memory)
    if before.guarded and facts.now - before.guarded_since > GUARD_SECONDS:
        # Still failing after an hour: what comes is what there is. A mark of 1 keeps it from starting over.
        return Memory(memory, 1, before.guarded_since)
    standing = max((replicas for _, replicas in recent), default=asked)
    return Memory(memory, max(before.guarded, standing), before.guarded_since or facts.now)


def _recent(facts: Facts) -> tuple[tuple[int, int], ...]:
    """What was asked for lately enough to be held."""
    return tuple(pair for pair in facts.memory.asked if pair[0] > facts.now - facts.hold_seconds)


def _bounded(replicas: int, scaling: Scaling) -> tuple[int, Limit]:
    if scaling.max_replicas is not None and replicas > scaling.max_replicas:
        return scaling.max_replicas, Limit.MAX_REPLICAS
    if replicas < scaling.min_replicas:
        return scaling.min_replicas, Limit.MIN_REPLICAS
    return replicas, Limit.NONE


def _load(demand: float, per_replica: float, *, replicas: int, current: int | None) -> float:
    """
    The load at which ceil(load / per_replica) is *replicas*: the demand itself, where it asks for as many.

    A rise within the tolerance would be ignored; where a little more than the tolerance asks for the same number, it is
    told instead. Where it would ask for more, the rise is not worth as much.
    """
    load = demand if math.ceil(demand / per_replica - _ROUNDING) == replicas else replicas * per_replica
    load = min(load, replicas * per_replica)  # else what was rounded away here asks for one more there
    if current and replicas > current:
        least = _NUDGE * (1 + TOLERANCE) * current
        if load < least * per_replica and math.ceil(least) == replicas:
            return least * per_replica
    return load


def _reason(facts: Facts, scaling: Scaling) -> str:
    unit, capacity = unit_of(scaling.signal), facts.capacity
    learned = "" if not capacity.is_learned else " (learned)"
    return (
        f"p{figure(100 * scaling.quantile)} of {figure(facts.demand.load)} {unit} by {to_time(facts.demand.time)[11:16]} UTC "
        f"at {figure(capacity.per_replica)} a replica{learned}"
    )


def unit_of(signal: Feature) -> str:
    """How people write the unit of a signal."""
    return "cores" if signal is CPU else "requests/s"
