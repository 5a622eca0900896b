"""
What an experiment says: errors by kind of service, and against the point that others are compared with.

All errors are taken within each series first. Told are the median over the series of a kind and, of that, the median,
lowest and highest of the seeds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from experiments import Evaluation, Experiment
from numpy.typing import NDArray

from tidecast_predictor.evaluation.scoring import targets
from tidecast_predictor.evaluation.summaries import LAST_VALUE, Outcome, References, Scores
from tidecast_predictor.evaluation.tables import Table

TARGETS = ("rps", "p95_ms", "cpu")
_MEASURES = ("mae", "rmse")


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A point of an experiment with what came of it, an outcome for each of its recordings."""

    evaluation: Evaluation
    outcomes: Sequence[Outcome]


def rows_of(experiment: Experiment, points: Sequence[Point]) -> list[dict[str, Any]]:
    """A row for each point, recording, kind of service, target, step ahead and method; numbers are [median, low, high]."""
    base = next((point for point in points if point.evaluation.label == experiment.base), None)
    rows = []
    for point in points:
        for number, outcome in enumerate(point.outcomes):
            against = base.outcomes[number] if base else None
            for kind, places in kinds(points if base else [point], number).items():
                rows += _rows(point, outcome, against, kind, places)
    return rows


def kinds(points: Sequence[Point], number: int) -> dict[str, NDArray[np.int64]]:
    """
    Positions by kind of service in the recordings of that number, the same for all of these points.

    What is new, or released, at one point is looked at under the same name at the point without.
    """
    found: dict[str, NDArray[np.int64]] = {}
    for point in points:
        series, about = point.outcomes[number].dataset.series, point.outcomes[number].dataset.about
        found["all"] = np.arange(len(series.services))
        groups = {kind: places for kind, places in about.get("groups", {}).items() if places}
        if "release" in about:
            released = series.services.index(about["release"]["service"])
            groups |= {"released": [released], "its callers": sorted(callers_of(released, series.calls))}
        found |= {kind: np.array(places, dtype=np.int64) for kind, places in groups.items() if places}
    return found


def callers_of(service: int, calls: NDArray[np.int64]) -> set[int]:
    """All that call it, directly or through others, *calls* of shape (2, E)."""
    found: set[int] = set()
    waiting = [service]
    while waiting:
        callee = waiting.pop()
        for caller in calls[0, calls[1] == callee].tolist():
            if caller not in found:
                found.add(caller)
                waiting.append(caller)
    return found - {service}


def _rows(
    point: Point, outcome: Outcome, base: Outcome | None, kind: str, places: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    simple = {name: outcome.scores[name][0] for name in outcome.simple}
    references = References.of(simple)
    names = targets(outcome.dataset.series.features)
    for name, of_seeds in outcome.scores.items():
        paired = base.scores.get(name) if base else None
        for target in (target for target in TARGETS if target in names):
            for place, reach in enumerate(outcome.reaches):
                if reach.cumulative:
                    continue
                at = (places, names.index(target), place)
                numbers: dict[str, Any] = {}
                for measure in _MEASURES:
                    best = references.errors(simple, measure)[at]
                    last = getattr(simple[LAST_VALUE].test, measure)[at]
                    own = [getattr(scores.test, measure)[at] for scores in of_seeds]
                    numbers[f"relative_{measure}"] = _spread([_median(errors, last) for errors in own])
                    numbers[f"skill_{measure}"] = _spread([1 - _median(errors, best) for errors in own])
                    if paired:
                        then = [getattr(scores.test, measure)[at] for scores in paired]
                        ratios = [_median(e, t) for e, t in zip(own, then, strict=True)]
                        numbers[f"{measure}_against_base"] = _spread(ratios)
                numbers["r2"] = _spread([_middle(scores.test.r2[at]) for scores in of_seeds])
                if kind == "all":
                    numbers["coverage"] = _spread([_coverage(scores, at) for scores in of_seeds])
                yield {
                    "point": point.evaluation.label,
                    "recording": outcome.dataset.name,
                    "kind": kind,
                    "series": int(np.isfinite(simple[LAST_VALUE].test.mae[at]).sum()),
                    "target": target,
                    "step": reach.offset,
                    "method": name,
                    **numbers,
                }


def _coverage(scores: Scores, at: tuple[Any, int, int]) -> float:
    return float(scores.test.coverage[at[1:]])


def _median(errors: NDArray[np.float64], to: NDArray[np.float64]) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _middle(np.where(to > 0, errors / to, np.nan))


def _middle(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _spread(seeds: Sequence[float]) -> list[float | None]:
    known = [value for value in seeds if np.isfinite(value)]
    if not known:
        return [None, None, None]
    return [float(f"{value:.5g}") for value in (np.median(known), min(known), max(known))]


def means_of(
    rows: Sequence[dict[str, Any]], measure: str, *, method: str, **where: Any
) -> tuple[float, float, float] | None:
    """
    The means over recordings of a measure's median, lowest and highest of the seeds, of the rows where all this holds.

    None for a method that has no value on a recording on which others have one: a mean over fewer cannot be compared.
    """
    known = {
        (row["recording"], row["method"]): row[measure]
        for row in rows
        if row.get(measure, [None])[0] is not None and all(row[key] == value for key, value in where.items())
    }
    found = [known.get((recording, method)) for recording in dict.fromkeys(recording for recording, _ in known)]
    spreads = [spread for spread in found if spread is not None]
    if not spreads or len(spreads) < len(found):
        return None
    median, low, high = np.mean(spreads, axis=0).tolist()
    return median, low, high


def mean_of(rows: Sequence[dict[str, Any]], measure: str, *, method: str, **where: Any) -> float | None:
    """The first of `means_of`."""
    means = means_of(rows, measure, method=method, **where)
    return None if means is None else means[0]


def table(experiment: Experiment, rows: Sequence[dict[str, Any]], settings: dict[str, Any]) -> str:
    """The main numbers as a Markdown document."""
    told = ", ".join(f"{key} {value}" for key, value in settings.items())
    lines = [f"# {experiment.name}", "", experiment.question, "", f"SIMULATED recordings. {told}.", ""]
    measures = [("relative_rmse", "RMSE over that of the last value")]
    if experiment.base:
        measures.append(("rmse_against_base", f"RMSE over the same method's at '{experiment.base}'"))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for measure, title in measures:
        for kind in dict.fromkeys(row["kind"] for row in rows):
            lines += [f"## {title}, {kind} services", "", "Mean over the recordings, median over seeds and series.", ""]
            cells = list(
                dict.fromkeys((row["target"], row["step"], row["point"]) for row in rows if row["kind"] == kind)
            )
            table_rows = []
            for target, step, point in sorted(cells, key=lambda cell: (TARGETS.index(cell[0]), cell[1])):
                if measure == "rmse_against_base" and point == experiment.base:
                    continue  # the same by the same
                where = {"kind": kind, "target": target, "step": step, "point": point}
                values = [mean_of(rows, measure, method=m, **where) for m in methods]
                shown = ("" if value is None else f"{value:.3f}" for value in values)
                table_rows.append((target, str(step), point, *shown))
            lines.append(Table(("target", "step", experiment.axis, *methods), table_rows).markdown())
    return "\n".join(lines)


def write(
    experiment: Experiment, points: Sequence[Point], settings: dict[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """Writes results.json and table.md into a folder; the rows."""
    rows = rows_of(experiment, points)
    failures = {
        f"{point.evaluation.label}: {outcome.dataset.name}: {name}": why
        for point in points
        for outcome in point.outcomes
        for name, why in outcome.failures.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "experiment": experiment.name,
        "question": experiment.question,
        "simulated": True,
        "settings": settings,
        "failures": failures,
        "rows": rows,
    }
    write_rows(content, folder / "results.json")
    (folder / "table.md").write_text(table(experiment, rows, settings))
    return rows


def write_rows(content: Mapping[str, Any], path: Path) -> None:
    """As JSON, each of its `rows` in a line of its own."""
    head = json.dumps({key: value for key, value in content.items() if key != "rows"}, indent=1).removesuffix("\n}")
    body = ",\n".join(json.dumps(row, allow_nan=False) for row in content["rows"])
    path.write_text(f'{head},\n "rows": [\n{body}\n]\n}}\n')
