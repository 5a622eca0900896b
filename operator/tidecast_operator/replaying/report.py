"""
What came of a replay, for people and for programs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidecast_operator.figures import figure
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.hint import unit_of
from tidecast_operator.published import to_time
from tidecast_operator.replaying.candidates import Candidate
from tidecast_operator.replaying.replay import ALONE, SCALINGS, Outcome

_HEAD = (
    "workload",
    "a replica carries",
    "trusted",
    "short of capacity, min: HPA",
    "with hints",
    "with foresight",
    "replica-hours: HPA",
    "with hints",
    "with foresight",
    "changes: HPA",
    "with hints",
    "worst shortfall: HPA",
    "with hints",
)


@dataclass(frozen=True, slots=True)
class Counted:
    """
    What was counted of one way to scale.

    Attributes:
        short_minutes: How long the load was more than the ready replicas carry.
        replica_hours: Of all replicas, those that were starting included.
        changes: How often the number of replicas was changed.
        worst_shortfall: Load over capacity, minus 1, at its worst; 0 if there was never too little.
    """

    short_minutes: float
    replica_hours: float
    changes: int
    worst_shortfall: float

    def to_dict(self) -> dict[str, float]:
        """As it stands in JSON."""
        return {
            "underProvisionedMinutes": round(self.short_minutes, 2),
            "replicaHours": round(self.replica_hours, 3),
            "scaleEvents": self.changes,
            "worstShortfall": round(self.worst_shortfall, 4),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """
    What there is to say of one workload, or of all.

    Attributes:
        name: The workload; "all" for all.
        carries: What one replica carries, in words; empty for all.
        capacity: The same; None for all.
        trusted_ratio: Of all steps.
        offered_ratio: Of all steps: a hint was told.
        measured_minutes: For how long the load was measured.
        counted: By the name of the way to scale.
    """

    name: str
    carries: str
    capacity: Capacity | None
    trusted_ratio: float
    offered_ratio: float
    measured_minutes: float
    counted: Mapping[str, Counted]

    def cells(self) -> list[str]:
        """As they stand in the table."""
        alone, hinted, foreseen = (self.counted[name] for name in SCALINGS)
        return [
            self.name,
            self.carries,
            f"{self.trusted_ratio:.0%}",
            *(f"{one.short_minutes:.1f}" for one in (alone, hinted, foreseen)),
            *(f"{one.replica_hours:.1f}" for one in (alone, hinted, foreseen)),
            *(str(one.changes) for one in (alone, hinted)),
            *(f"{one.worst_shortfall:.0%}" for one in (alone, hinted)),
        ]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in JSON."""
        told: dict[str, Any] = {"name": self.name}
        if self.capacity is not None:
            told |= {"perReplica": self.capacity.per_replica, "isLearned": self.capacity.is_learned}
            told |= {"evidence": self.capacity.evidence} if self.capacity.evidence else {}
        return told | {
            "trustedRatio": round(self.trusted_ratio, 4),
            "offeredRatio": round(self.offered_ratio, 4),
            "measuredMinutes": round(self.measured_minutes, 2),
            **{name: counted.to_dict() for name, counted in self.counted.items()},
        }


@dataclass(frozen=True, slots=True)
class Report:
    """
    Everything that is told.

    Attributes:
        begin_time: From when on was counted, unix seconds.
        end_time: Until when.
        source: What was replayed.
        notes: Sentences that have to be read along.
        settings: With what it was replayed.
        total: Of all workloads.
        rows: Of each workload, those first whose autoscaler was short of capacity for the longest time.
        left_out: Why others are missing, by name.
    """

    begin_time: int
    end_time: int
    source: str
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    total: Row
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]

    def markdown(self, *, most: int | None = None) -> str:
        """
        As a document.

        Args:
            most: How many workloads it names; None for all.
        """
        shown = self.rows if most is None else self.rows[:most]
        lines = [
            f"# Replay of {self.source}, {to_time(self.begin_time)} to {to_time(self.end_time)}",
            "",
            *(f"- {note}" for note in self.notes),
            "",
            _line(_HEAD),
            _line(["---", "---", *["---:"] * (len(_HEAD) - 2)]),
            *(_line(row.cells()) for row in (self.total, *shown)),
        ]
        if len(shown) < len(self.rows):
            lines += ["", f"{len(self.rows) - len(shown)} more workloads are in the files of --out."]
        if self.left_out:
            left = list(self.left_out.items())[: most or len(self.left_out)]
            lines += ["", f"Left out: {len(self.left_out)}", "", *(f"- {name}: {why}" for name, why in left)]
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        """For programs."""
        told = {
            "source": self.source,
            "beginTime": to_time(self.begin_time),
            "endTime": to_time(self.end_time),
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "total": self.total.to_dict(),
            "workloads": [row.to_dict() for row in self.rows],
            "leftOut": dict(self.left_out),
        }
        return json.dumps(told, indent=2, allow_nan=False) + "\n"


def rows_of(outcome: Outcome, candidates: Sequence[Candidate]) -> tuple[Row, tuple[Row, ...]]:
    """That of all workloads, and those of each, where an autoscaler alone did worst first."""
    rows = [_row(outcome, place, candidate) for place, candidate in enumerate(candidates)]
    return _total(outcome), tuple(rows[place] for place in ranked(outcome))


def ranked(outcome: Outcome) -> list[int]:
    """Places of the candidates, those first where an autoscaler alone was short for the longest time, or is the largest."""
    alone = outcome.tallies[ALONE]
    order: list[int] = np.lexsort((-alone.replica_seconds, -alone.short_seconds)).tolist()
    return order


def _row(outcome: Outcome, place: int, candidate: Candidate) -> Row:
    capacity = candidate.capacity
    counted = {
        name: Counted(
            float(tally.short_seconds[place]) / 60,
            float(tally.replica_seconds[place]) / 3600,
            int(tally.changes[place]),
            float(tally.worst[place]),
        )
        for name, tally in outcome.tallies.items()
    }
    learned = "" if not capacity.is_learned else " (learned)" if capacity.is_limit else " (at least)"
    return Row(
        name=str(candidate.service),
        carries=f"{figure(capacity.per_replica)} {unit_of(candidate.scaling.signal)}{learned}",
        capacity=capacity,
        trusted_ratio=float(outcome.trusted_ratio[place]),
        offered_ratio=float(outcome.offered_ratio[place]),
        measured_minutes=float(outcome.tallies[ALONE].measured_seconds[place]) / 60,
        counted=counted,
    )


def _total(outcome: Outcome) -> Row:
    counted = {
        name: Counted(
            float(tally.short_seconds.sum()) / 60,
            float(tally.replica_seconds.sum()) / 3600,
            int(tally.changes.sum()),
            float(tally.worst.max(initial=0)),
        )
        for name, tally in outcome.tallies.items()
    }
    return Row(
        name="all",
        carries="",
        capacity=None,
        trusted_ratio=float(outcome.trusted_ratio.mean()),
        offered_ratio=float(outcome.offered_ratio.mean()),
        measured_minutes=float(outcome.tallies[ALONE].measured_seconds.sum()) / 60,
        counted=counted,
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
