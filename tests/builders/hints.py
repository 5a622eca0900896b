"""
Hints and what they come from, as small as can be.
"""

from typing import Any

from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Entry
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.demand import Demand
from tidecast_operator.hints.hint import Facts, Hint, Memory, decide
from tidecast_operator.scaling import Mode, Scaling

NOW = 1_800_000_000
CHECKOUT = ServiceId("shop", "Deployment", "checkout")


def facts(load: float, *, per_replica: float = 100.0, now: int = NOW, **changes: Any) -> Facts:
    """A demand in a minute, five ready replicas, and no past."""
    valid: dict[str, Any] = {
        "now": now,
        "demand": Demand(load, now + 60, is_whole=True),
        "capacity": Capacity(per_replica),
        "current_replicas": 5,
    }
    return Facts(**(valid | changes))


def decided(load: float, scaling: Scaling | None = None, **changes: Any) -> Hint:
    """The hint for a demand."""
    return decide(facts(load, **changes), scaling or Scaling())[0]


def decided_in_turn(*loads: float, every: int = 60, scaling: Scaling | None = None, **changes: Any) -> list[Hint]:
    """The hints for demands that follow each other; a change that is a list has a value for each of them."""
    memory, hints = Memory(), []
    for place, load in enumerate(loads):
        here = {name: value[place] if isinstance(value, list) else value for name, value in changes.items()}
        found = facts(load, now=NOW + place * every, memory=memory, **here)
        hint, memory = decide(found, scaling or Scaling())
        hints.append(hint)
    return hints


def entry(**changes: Any) -> Entry:
    """An offered hint of eight replicas for the checkout."""
    valid: dict[str, Any] = {
        "namespace": "shop",
        "name": "checkout",
        "uid": "uid-of-spf-checkout",
        "target": CHECKOUT,
        "scaling": Scaling(mode=Mode.ACTIVE, per_replica=100.0),
        "hint": decided(750.0),
        "issued_time": NOW - 60,
        "expire_time": NOW + 540,
    }
    return Entry(**(valid | changes))
