"""
What each part of ours is worth: by how much the error rises where it is taken away, beside what chance does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from experiments import OURS
from summing import TARGETS

from tidecast_predictor.evaluation.tables import Table

_READING = """\
Percent by which the error (RMSE in that of last value, the median over series and seeds) is higher without a part of ours
than with it, the mean over the recordings; then the seeds' spread, highest less lowest of either, also the mean over
the recordings; then in how many recordings it is higher by more than the spread, and in how many lower. Below zero ours
is better off without.
"""


@dataclass(frozen=True, slots=True)
class Worth:
    """
    What a part of ours is worth.

    Attributes:
        gain: By how much the error is higher without it, as a share of ours; the mean over the recordings.
        spread: Highest less lowest of the seeds, of ours or without the part, whichever is more; the same share and mean.
        won: In how many recordings the error is higher by more than the spread there.
        lost: In how many it is lower by more.
        recordings: In how many there is something to compare.
    """

    gain: float
    spread: float
    won: int
    lost: int
    recordings: int

    @classmethod
    def of(cls, pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> "Worth":
        """From (ours, without) of each recording, both as [median, lowest, highest] of the seeds."""
        ours, without = (np.array(side, dtype=np.float64) for side in zip(*pairs, strict=True))
        gains = without[:, 0] / ours[:, 0] - 1
        spreads = np.maximum(np.ptp(ours[:, 1:], axis=1), np.ptp(without[:, 1:], axis=1)) / ours[:, 0]
        won, lost = int((gains > spreads).sum()), int((-gains > spreads).sum())
        return cls(float(gains.mean()), float(spreads.mean()), won, lost, len(pairs))

    def __str__(self) -> str:
        told = f"{100 * self.gain:+.1f}, spread {100 * self.spread:.1f}, {self.won} of {self.recordings}"
        return told + (f", lower in {self.lost}" if self.lost else "")


def ablations(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of ours with something taken away, among the methods of these rows."""
    names = dict.fromkeys(row["method"] for row in rows)
    return tuple(name for name in names if name.startswith(f"{OURS}-")) if OURS in names else ()


def worths(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str, str, int], dict[str, Worth]]]:
    """What each part is worth by (point, kind of service, target, step); left out where there is nothing to compare."""
    places = ("point", "kind", "target", "step")
    found = {(*(row[key] for key in places), row["recording"], row["method"]): row["relative_rmse"] for row in rows}
    recordings = dict.fromkeys(row["recording"] for row in rows)
    for place in dict.fromkeys(tuple(row[key] for key in places) for row in rows):
        at_place = {}
        for name in ablations(rows):
            pairs = [(found.get((*place, each, OURS)), found.get((*place, each, name))) for each in recordings]
            known = [(ours, without) for ours, without in pairs if ours and without and ours[0] and without[0]]
            if known:
                at_place[name] = Worth.of(known)
        if at_place:
            yield place, at_place


def document(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """All of it as Markdown, a table for each point and kind of service."""
    names = ablations(rows)
    head = ("target, steps ahead", *(name.removeprefix(f"{OURS}-").replace("-", " ") for name in names))
    tables: dict[str, list[tuple[str, ...]]] = {}
    for (point, kind, target, step), found in sorted(
        worths(rows), key=lambda each: (TARGETS.index(each[0][2]), each[0][3])
    ):
        cells = (str(found[name]) if name in found else "" for name in names)
        tables.setdefault(f"{point}, {kind} services", []).append((f"{target}, {step}", *cells))
    parts = [f"# {title}: what each part of ours is worth\n", "SIMULATED recordings.\n", _READING]
    for heading in dict.fromkeys(f"{row['point']}, {row['kind']} services" for row in rows):
        if heading in tables:
            parts += [f"## {heading}\n", Table(head, tables[heading]).markdown()]
    return "\n".join(parts)
