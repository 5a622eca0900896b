"""
How a run went: time in violation of the target, what it cost, and how restless it was.

Shapes: `T` ticks, `N` services.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tidecast_simulator.randomness import Floats


@dataclass(frozen=True, slots=True)
class Score:
    """
    One run. Times are of the model's world.

    Attributes:
        hours: How long it was scored.
        violation_minutes: By service, minutes with a p95 latency over its target.
        any_violation_minutes: Minutes in which any service was over.
        replica_hours: Of all pods that existed, whether ready or not.
        scale_events: Changes of a number of replicas.
        turns: Changes of direction: a fall after a rise, or a rise after a fall.
        refused_share: Of the requests that came in, the share that was refused somewhere on its way.
        trusted_share: Of the time, the share in which forecasts were trusted; None without any.
    """

    hours: float
    violation_minutes: dict[str, float]
    any_violation_minutes: float
    replica_hours: float
    scale_events: int
    turns: int
    refused_share: float
    trusted_share: float | None = None

    @property
    def service_minutes(self) -> float:
        """Minutes in violation, summed over services."""
        return sum(self.violation_minutes.values())

    def as_json(self) -> dict[str, Any]:
        """All of it, with the sum."""
        return {**asdict(self), "service_minutes": self.service_minutes}


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """
    What happened, tick by tick, to the services that are scaled.

    Attributes:
        names: Of the services.
        tick_seconds: Of the model's world.
        over: p95 latency over the target of each, of shape (T, N).
        replicas: Pods that existed, of shape (T, N).
        refused: Requests refused in the whole mesh, of shape (T,).
        entered: Requests that came in, of shape (T,).
        trusted: Share of the services whose forecasts were trusted, of shape (T,); None without forecasts.
    """

    names: tuple[str, ...]
    tick_seconds: float
    over: Floats
    replicas: Floats
    refused: Floats
    entered: Floats
    trusted: Floats | None = None

    def score(self) -> Score:
        """How it went."""
        minutes = self.tick_seconds / 60
        violated = self.over > 1
        changes = np.diff(self.replicas, axis=0)
        return Score(
            hours=len(violated) * minutes / 60,
            violation_minutes=dict(zip(self.names, (violated.sum(axis=0) * minutes).tolist(), strict=True)),
            any_violation_minutes=float(violated.any(axis=1).sum() * minutes),
            replica_hours=float(self.replicas.sum() * minutes / 60),
            scale_events=int((changes != 0).sum()),
            turns=sum(_turns(column) for column in changes.T),
            refused_share=float(self.refused.sum() / max(self.entered.sum(), 1.0)),
            trusted_share=None if self.trusted is None else float(self.trusted.mean()),
        )


def _turns(changes: Floats) -> int:
    signs = np.sign(changes[changes != 0])
    return int((signs[1:] != signs[:-1]).sum())
