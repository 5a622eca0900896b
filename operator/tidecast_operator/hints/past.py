"""
What a hint of a resource depends on besides the present, and how it goes on after a restart from what its status tells.
"""

from dataclasses import dataclass, field, replace

from tidecast_operator.figures import figure
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.hint import Hint, Limit, Memory
from tidecast_operator.resources import ForecastResource
from tidecast_operator.scaling import Scaling


@dataclass(frozen=True, slots=True)
class Past:
    """
    The past of one resource.

    Attributes:
        memory: Of the hints before.
        carried: The most that a replica was learned to carry of a signal, by the name of the signal.
        told: The hint that its status tells from before a restart; None once there was one since, or if there is none.
        told_times: When the forecast that one comes from was issued, and when it expires, unix seconds: the status soon
            tells those of later forecasts, which had no hint.
    """

    memory: Memory = field(default_factory=Memory)
    carried: tuple[tuple[str, float], ...] = ()
    told: Hint | None = None
    told_times: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, resource: ForecastResource, scaling: Scaling, *, now: int, step_seconds: int) -> "Past":
        """What the status of a resource tells, as far as its spec is still the same and its forecast has not expired."""
        published = resource.published
        hint, conditions = published.hint, published.conditions
        if hint is None or not conditions or conditions[0].observed_generation != resource.generation:
            return cls()
        carried = ((scaling.signal.name, hint.per_replica),) if hint.evidence and scaling.per_replica is None else ()
        if published.expire_time is None or published.expire_time <= now:
            return cls(carried=carried)
        told = Hint(
            replicas=hint.replicas,
            floor=max(hint.floor, hint.replicas),
            current_replicas=hint.current_replicas,
            load=min(hint.load, hint.replicas * hint.per_replica),  # both were rounded
            capacity=Capacity(hint.per_replica, samples=1 if hint.evidence else 0, evidence=hint.evidence),
            effective_time=hint.effective_time,
            reason=hint.reason,
            limited_by=Limit(hint.limited_by) if hint.limited_by in tuple(Limit) else Limit.NONE,
        )
        times = (published.issued_time or 0, published.expire_time)
        return cls(Memory(((now - step_seconds, told.floor),)), carried, told, times)

    def known(self, signal: str) -> Capacity | None:
        """What a replica was learned to carry of a signal before, where it is not known anew yet."""
        before = dict(self.carried).get(signal)
        if before is None:
            return None
        return Capacity(before, samples=1, evidence=f"{figure(before)} a replica was carried before")

    def capacity(self, learned: Capacity, signal: str) -> tuple[Capacity, "Past"]:
        """
        What a replica carries, now that *learned* is known, and the past with it.

        More replicas carry less each. So what is only the most that was seen must not fall because it is not seen any
        more: it would ask for more replicas, and be seen to fall again. Only latency can say that it was too much.
        """
        before = dict(self.carried).get(signal, 0.0)
        if not learned.is_limit and before > learned.per_replica:
            evidence = f"{figure(before)} a replica was carried before; since then {learned.evidence}"
            learned = replace(learned, per_replica=before, evidence=evidence[:256])
        others = tuple(pair for pair in self.carried if pair[0] != signal)
        return learned, replace(self, carried=(*others, (signal, learned.per_replica)))
