"""
Leaves the results behind: results.json with every number, table.md and pictures for readers.
"""

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tidecast_predictor.evaluation.pictures import draw
from tidecast_predictor.evaluation.ranking import Compared, Spread, cells_of, mean_ranks
from tidecast_predictor.evaluation.scoring import targets
from tidecast_predictor.evaluation.summaries import Outcome
from tidecast_predictor.evaluation.tables import UNSCORED, document

logger = logging.getLogger(__name__)

FORMAT = 1


def write(outcomes: Sequence[Outcome], methods: Sequence[str], settings: Mapping[str, Any], folder: Path) -> list[Path]:
    """
    Write everything into *folder*; the files written.

    Args:
        outcomes: A recording each.
        methods: All that were run, in the order of tables.
        settings: As asked for, plain JSON.
        folder: Is there already.
    """
    recordings = [Compared(outcome, outcome.compared()) for outcome in outcomes]
    for each in recordings:
        if not cells_of([each]):
            logger.warning("%s: no series has a score: %s; record longer, or raise --origins", each.name, UNSCORED)
    results = _sound(
        {
            "format": FORMAT,
            "settings": dict(settings),
            "mean_rank": mean_ranks(recordings, methods),
            "datasets": [_of_recording(each) for each in recordings],
        }
    )
    numbers, tables = folder / "results.json", folder / "table.md"
    _replace(numbers, json.dumps(results, indent=1, allow_nan=False))
    _replace(tables, document(recordings, methods, settings))
    return [numbers, tables, *(path for each in recordings for path in draw(each, folder))]


def _of_recording(each: Compared) -> dict[str, Any]:
    outcome, series, parted = each.outcome, each.outcome.dataset.series, each.outcome.split
    return {
        "name": each.name,
        "digest": outcome.dataset.digest,
        "about": dict(outcome.dataset.about),
        "steps": len(series.times),
        "step_seconds": series.step_seconds,
        "segments": int(series.segments[-1]) + 1,
        "services": len(series.services),
        "features": list(series.features),
        "calls": series.calls.shape[1],
        "split": {
            "training_steps": parted.task.training_steps,
            "known_steps": parted.task.known_steps,
            "test_begin": parted.test_begin,
            "training_origins": len(parted.task.training),
            "validation_origins_scored": len(parted.validation),
            "test_origins_scored": len(parted.test),
            "test_origins": parted.test_candidates,
        },
        "truths_known": outcome.ground.moments.known,
        "truths_counted": outcome.ground.moments.count,
        "failures": outcome.failures,
        "methods": {name: _of_method(each, name) for name in each.comparison.values},
        "scores": [
            _of_cell(each, target, place)
            for target in range(len(targets(series.features)))
            for place in range(len(outcome.reaches))
            if each.comparison.series[target, place]
        ],
    }


def _of_method(each: Compared, name: str) -> dict[str, Any]:
    scores = each.outcome.scores[name]
    measures = ("relative_mae", "relative_rmse", "relative_crps", "skill_mae", "skill_rmse", "r2")
    means = {measure: _spread(each.mean(name, measure)) for measure in measures}
    means |= {f"validation_{each_}": _spread(each.mean(name, f"validation_{each_}")) for each_ in ("mae", "rmse")}
    return {
        "seeds": len(scores),
        "fit_seconds": [round(one.fit_seconds, 2) for one in scores],
        "forecast_seconds": [round(one.forecast_seconds, 2) for one in scores],
        "filled": [one.filled for one in scores],
        "mean_over_features_and_offsets": means,
    }


def _of_cell(each: Compared, target: int, place: int) -> dict[str, Any]:
    comparison = each.comparison
    return {
        "target": targets(each.outcome.dataset.series.features)[target],
        "steps": each.outcome.reaches[place].label,
        "series": int(comparison.series[target, place]),
        "series_left_out": int(comparison.left_out[target, place]),
        "skill_against": {measure: names[target][place] for measure, names in comparison.references.items()},
        "methods": {
            name: {score: _spread(Spread.of(found[:, target, place])) for score, found in values.items()}
            for name, values in comparison.values.items()
        },
    }


def _spread(found: Spread) -> list[float]:
    """Median, lowest and highest of the seeds."""
    return [found.median, found.low, found.high]


def _sound(value: Any) -> Any:
    """As JSON can hold it: what is not a number is null, and six digits are enough."""
    if isinstance(value, dict):
        return {key: _sound(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
