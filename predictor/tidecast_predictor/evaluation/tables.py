"""
Writes what was found as Markdown: the summary first, then each recording, feature by feature.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tidecast_predictor.evaluation.digits import NONE, spread
from tidecast_predictor.evaluation.ranking import Compared, Spread, by_rank, cells_of, mean_ranks
from tidecast_predictor.evaluation.scoring import targets
from tidecast_predictor.evaluation.summaries import MINIMUM_MOMENTS

_READING = """\
How to read this: `docs/evaluation.md`. In short: errors are taken within each series, then the median over the series
of a feature. *Relative* is against the last value's error in the same series, the mean over features; below 1 is better
than the last value. *Skill* is what is saved of the error of the best simple method, which the validation part chose for
each feature and offset; 0 is as good, more is better. Brackets hold the lowest and the highest of the seeds.
"""


_USED_UP = 0.95  # of the time for a training: so it ends where time has cut it short

UNSCORED = f"none has {MINIMUM_MOMENTS} moments at one step ahead that count and whose truth changes"
"""Why a recording has no ranks: scores over several steps are shown, but nothing is compared by them."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a head."""

    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown, the first column to the left."""
        lines = [self.head, ("---", *("---:" for _ in self.head[1:])), *self.rows]
        return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    """As it can stand in a cell: names are those of others."""
    return " ".join(text.split()).replace("|", "\\|")


def document(recordings: Sequence[Compared], methods: Sequence[str], settings: Mapping[str, object]) -> str:
    """All tables."""
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    parts = ["# Evaluation\n", f"Settings: {told}.\n", _READING, "## All recordings\n", _summary(recordings, methods)]
    for each in recordings:
        parts += [f"## {each.name}\n", _facts(each, settings.get("seconds")), *_of_recording(each)]
    return "\n".join(parts)


def _summary(recordings: Sequence[Compared], methods: Sequence[str]) -> str:
    ranks = mean_ranks(recordings, methods)
    head = (
        "method",
        "mean rank, MAE",
        "mean rank, RMSE",
        *(f"{each.name}: relative MAE / RMSE" for each in recordings),
    )
    rows = []
    for name in by_rank(ranks):
        cells = [_rank(ranks[measure][name]) for measure in ("mae", "rmse")]
        for each in recordings:
            if name in each.comparison.values:
                found = (spread(each.mean(name, f"relative_{measure}")) for measure in ("mae", "rmse"))
                cells.append(" / ".join(found))
            else:
                cells.append("none")
        rows.append((name, *cells))
    note = f"{cells_of(recordings)} cells (recording, feature, offset). Who has no score in a cell is last in it.\n"
    return Table(head, rows).markdown() + "\n" + note


def _facts(each: Compared, seconds: object) -> str:
    outcome, series = each.outcome, each.outcome.dataset.series
    task, moments = outcome.split.task, outcome.ground.moments
    share = moments.count / max(moments.known, 1)
    origin = str(outcome.dataset.about.get("real", "")) or "not stated"
    shape = f"{len(series.services)} services, {series.calls.shape[1]} calls"
    steps = f"{len(series.times)} steps of {series.step_seconds:g} s in {series.segments[-1] + 1} segments"
    learnt = f"Learnt from steps before {task.training_steps}, epoch chosen before {task.known_steps}"
    tested = f"{len(outcome.split.test)} of {outcome.split.test_candidates} origins"
    counted = f"{moments.count:,} of {moments.known:,} known truths count ({share:.1%})"
    lines = [
        f"- {steps}, {shape}. Real or generated: {origin}.",
        f"- {learnt}, tested from {outcome.split.test_begin}: {tested}.",
        f"- {counted}: those that every simple method can answer.",
    ]
    found = outcome.scores
    filled = {name: max(one.filled for one in scores) for name, scores in found.items()}
    told = ", ".join(f"{name} {count:,}" for name, count in filled.items() if count)
    if told:
        lines.append(f"- No answer, last value taken: {told}.")
    if isinstance(seconds, int | float):
        cut = {
            name: sum(one.fit_seconds >= _USED_UP * seconds for one in scores)
            for name, scores in found.items()
            if name not in outcome.simple
        }
        told = ", ".join(f"{name} {count} of {len(found[name])}" for name, count in cut.items() if count)
        if told:
            lines.append(f"- Trainings that used up their {seconds:g} s, and might end elsewhere with more: {told}.")
    if not cells_of([each]):
        lines.append(f"- No series has a score: {UNSCORED}.")
    lines += [f"- {name}: {why}" for name, why in outcome.failures.items()]
    return "\n".join(lines) + "\n"


def _of_recording(each: Compared) -> list[str]:
    names, reaches = list(each.comparison.values), each.outcome.reaches
    alone = [place for place, reach in enumerate(reaches) if not reach.cumulative]
    head = ("method", *(f"step {reaches[place].label}" for place in alone), "relative CRPS", "seconds to learn")
    parts = ["### Skill (RMSE), mean over features\n"]
    rows = [
        (
            name,
            *(spread(each.mean(name, "skill_rmse", place), percent=True) for place in alone),
            spread(each.mean(name, "relative_crps")),
            _seconds(each, name),
        )
        for name in names
    ]
    parts.append(Table(head, rows).markdown())
    with_quantiles = [name for name in names if np.isfinite(each.comparison.values[name]["coverage"]).any()]
    if with_quantiles:
        parts += ["### Coverage of p10 to p90, aim 80 %\n", _coverage(each, with_quantiles, alone)]
    for place, target in enumerate(targets(each.outcome.dataset.series.features)):
        if each.comparison.series[place].any():
            parts += [f"### {target}\n", _of_target(each, place)]
    if len(each.outcome.dataset.series.features) == 1:
        parts += ["### All series pooled, in units, as papers report it\n", _pooled(each)]
    return parts


def _pooled(each: Compared) -> str:
    head = ("method", *(f"{reach.label}: MAE / RMSE" for reach in each.outcome.reaches))
    rows = []
    for name, values in each.comparison.values.items():
        found = [
            [values[score][:, 0, place] for score in ("pooled_mae", "pooled_rmse")] for place in range(len(head) - 1)
        ]
        rows.append((name, *(" / ".join(spread(Spread.of(one)) for one in both) for both in found)))
    return Table(head, rows).markdown()


def _coverage(each: Compared, names: Sequence[str], alone: Sequence[int]) -> str:
    head = ("method", "feature", *(f"step {each.outcome.reaches[place].label}" for place in alone))
    rows = []
    for name in names:
        found = each.comparison.values[name]["coverage"]
        for place, feature in enumerate(each.outcome.dataset.series.features):
            if each.comparison.series[place].any():
                cells = (spread(Spread.of(found[:, place, reach]), percent=True) for reach in alone)
                rows.append((name, feature, *cells))
    return Table(head, rows).markdown()


def _of_target(each: Compared, target: int) -> str:
    comparison, reaches = each.comparison, each.outcome.reaches
    head = ("method", *(f"{reach.label}: MAE / RMSE / R2" for reach in reaches))
    rows = []
    for name, values in comparison.values.items():
        cells = []
        for place in range(len(reaches)):
            found = (Spread.of(values[score][:, target, place]) for score in ("mae", "rmse", "r2"))
            cells.append(" / ".join(spread(one, brackets=False) for one in found))
        rows.append((name, *cells))
    counts = ", ".join(
        f"{reach.label}: {comparison.series[target, place]} (left out {comparison.left_out[target, place]}; skill against "
        f"{comparison.references['mae'][target][place]} in MAE, {comparison.references['rmse'][target][place]} in RMSE)"
        for place, reach in enumerate(reaches)
        if not reach.cumulative
    )
    return Table(head, rows).markdown() + f"\nSeries with a score at step {counts}.\n"


def _seconds(each: Compared, name: str) -> str:
    return spread(Spread.of([one.fit_seconds for one in each.outcome.scores[name]]), brackets=False)


def _rank(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else NONE
