"""
Real runs as `run.py` wrote them, each beside HPA alone under the same load.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scoring import Course, Score
from settings import Settings

PATTERN = "*-*-*.json"
"""Of the names of files with a run; see `Settings.name`."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """
    A run as it was written.

    Attributes:
        settings: What it was told.
        pace: See `scene.Pace`.
        course: What happened.
    """

    settings: Settings
    pace: tuple[tuple[str, float], ...]
    course: Course

    @classmethod
    def read(cls, path: Path, *, from_minute: float = 0) -> "Run":
        """From a file, without the first *from_minute* minutes of the model's time."""
        found: dict[str, Any] = json.loads(path.read_text())
        course = found["course"]
        whole = Course(
            tuple(course["names"]),
            course["tick_seconds"],
            np.array(course["over"]),
            np.array(course["replicas"], dtype=np.float64),
            np.array(course["refused"]),
            np.array(course["entered"], dtype=np.float64),
            None if course["trusted"] is None else np.array(course["trusted"]),
        )
        first = round(from_minute * 60 / course["tick_seconds"])
        return cls(Settings(**found["settings"]), tuple(sorted(found["pace"].items())), _stretch(whole, first, None))

    @property
    def scaler(self) -> str:
        """Who scaled, in words."""
        always = ", trust not required" if self.settings.trust == "always" and self.settings.has_forecasts else ""
        return self.settings.scaler + always

    @property
    def hints(self) -> str:
        """How hints were made, and from how much of a past."""
        told = self.settings
        if not told.has_forecasts:
            return ""
        how = f"lead {told.lead:g}, p{100 * told.quantile:g}, share {told.share:g}"
        return f"{how}, {told.history_hours:.3g} h of history"

    @property
    def world(self) -> tuple[object, ...]:
        """What two runs have to have in common where they are compared."""
        told = self.settings
        return told.load, told.seed, told.factor, told.from_hour, self.pace


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """
    A run with hints, and what HPA alone did in the same stretch of the same load.

    Attributes:
        run: The one with hints, cut to the stretch that both have.
        score: Of it.
        alone: Of HPA alone; None where there is no such run.
    """

    run: Run
    score: Score
    alone: Score | None


def paired(runs: Sequence[Run]) -> list[Pair]:
    """Every run with hints, in the order of loads, scalers and seeds."""
    alone = {run.world: run.course for run in runs if not run.settings.has_forecasts}
    order = sorted(
        (run for run in runs if run.settings.has_forecasts),
        key=lambda run: (run.settings.load, run.scaler, run.hints, run.settings.seed),
    )
    return [_pair(run, alone.get(run.world)) for run in order]


def _pair(run: Run, alone: Course | None) -> Pair:
    if alone is None:
        return Pair(run, run.course.score(), None)
    ticks = min(len(run.course.over), len(alone.over))
    course = _stretch(run.course, 0, ticks)
    return Pair(replace(run, course=course), course.score(), _stretch(alone, 0, ticks).score())


def _stretch(course: Course, first: int, last: int | None) -> Course:
    return replace(
        course,
        over=course.over[first:last],
        replicas=course.replicas[first:last],
        refused=course.refused[first:last],
        entered=course.entered[first:last],
        trusted=None if course.trusted is None else course.trusted[first:last],
    )
