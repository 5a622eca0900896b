"""
How low any forecaster's error can be on the simulated meshes, from what only the simulator knows: SIMULATED.

    .venv/bin/python benchmarks/forecasting/floor.py --report benchmarks/results/forecasting/floor.json

From each origin of the experiment `meshes` the simulation goes on again and again by other chance, and the mean of what
would be measured is the forecast: the best one under squared error for somebody who knows what was left as it was. What
happened is one draw of the same law. Moments, series and score are those of the experiment.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import catalogue
import numpy as np
from experiments import EXPERIMENTS, OURS
from harness import Spending, evaluate
from meshes import Plan, mesh_of
from numpy.typing import NDArray
from recordings import DIRECTORY, write
from summing import TARGETS, mean_of
from worlds import Known, Worlds

from tidecast_predictor.evaluation.methods import METHODS, Effort
from tidecast_predictor.evaluation.scoring import Numbers, truth_at
from tidecast_predictor.evaluation.summaries import LAST_VALUE, Outcome, median_over_series, relative, scored_series
from tidecast_predictor.evaluation.tables import Table

_RESULTS, _KEPT = Path("benchmarks/results/forecasting/meshes/results.json"), Path("build/experiments")
# Results are kept with five digits.
_ROUNDING = 1e-4


def squares(
    truth: Numbers, drawn: Numbers, fallback: Numbers, counted: NDArray[np.bool_]
) -> tuple[Numbers, NDArray[np.int64]]:
    """
    Squared errors of the mean of all that could be measured, summed over origins, as if it were known exactly.

    Args:
        truth: (S, ...).
        drawn: Of the same law as the truth, (S, K, ...); NaN where nothing was measured.
        fallback: What stands in where no draw was measured, (S, ...).
        counted: Which moments count, (S, ...).

    Returns:
        The sums, (...), and how many moments were filled, (...).
    """
    count = np.isfinite(drawn).sum(axis=1)
    mean = np.where(count > 0, np.nansum(drawn, axis=1) / np.maximum(count, 1), fallback)
    # The truth and a mean of k draws differ by (1 + 1/k) times the variance of one.
    shares = np.where(count > 0, count / (count + 1), 1.0)
    square = np.where(counted, shares * np.square(truth - mean), 0).sum(axis=0)
    return square, (counted & (count == 0)).sum(axis=0)


def floors(outcome: Outcome, plan: Plan, draws: int) -> Iterator[dict[str, Any]]:
    """A row for each target and step: RMSE in that of last value, the median over series, by what is known."""
    series, test, horizon = outcome.dataset.series, outcome.split.test, outcome.split.task.horizon
    reaches = [reach for reach in outcome.reaches if not reach.cumulative]
    steps = [reach.offset for reach in reaches]
    at = [step - 1 for step in steps]
    keys = [service.key for service in mesh_of(plan).services]
    seen = [keys.index(key) for key in series.services]
    last = METHODS[LAST_VALUE].make(Effort()).fit([outcome.split.task], seed=0, progress=lambda _done: None)
    fallback = last.forecast(series, test, window=outcome.split.task.window, horizon=horizon).mean[..., at]
    truth = truth_at(series, test, horizon)[..., at].astype(np.float64)
    counted = outcome.ground.moments.at(slice(None))[..., at]
    features = len(series.features)
    scored = scored_series(outcome.ground.truths, reaches)[:, :features]
    places = [outcome.reaches.index(reach) for reach in reaches]
    of_last = outcome.scores[LAST_VALUE][0].test.rmse[:, :features, places]
    found = {"ridge": _relative(outcome.scores["ridge"][0].test.rmse[:, :features, places], of_last)}
    filled = {}
    for known in Known:
        drawn = Worlds(plan, draws).measured(test, steps, known)[:, :, seen]
        square, filled[known] = squares(truth, drawn, fallback.astype(np.float64), counted)
        rmse = np.where(scored, np.sqrt(square / np.maximum(counted.sum(axis=0), 1)), np.nan)
        found[known.value] = _relative(rmse, of_last)
    for target in TARGETS:
        row = series.features.index(target)
        for place, step in enumerate(steps):
            yield {
                "recording": outcome.dataset.name,
                "target": target,
                "step": step,
                **{name: float(f"{values[row, place]:.5g}") for name, values in found.items()},
                "filled": {known.value: int(count[:, row, place].sum()) for known, count in filled.items()},
            }


def _relative(rmse: Numbers, to: Numbers) -> Numbers:
    return median_over_series(relative(rmse, to))


def summary(rows: Sequence[Mapping[str, Any]], measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    A row for each target and step: means over recordings, beside what was measured of ridge and of ours.

    Args:
        rows: Of `floors`, of all recordings.
        measured: The rows of the experiment's results.

    Raises:
        ValueError: If ridge has other errors there, as it was measured on other recordings or at other moments.
    """
    told = []
    for target, step in dict.fromkeys((row["target"], row["step"]) for row in rows):
        found = [row for row in rows if (row["target"], row["step"]) == (target, step)]
        means = {name: float(np.mean([row[name] for row in found])) for name in ("ridge", *map(str, Known))}
        where = {"kind": "all", "target": target, "step": step}
        ridge, ours = (mean_of(measured, "relative_rmse", method=name, **where) for name in ("ridge", OURS))
        if ridge is None or ours is None or abs(ridge - means["ridge"]) > _ROUNDING:
            raise ValueError(
                f"results: ridge has {ridge} at {target}, step {step}, and {means['ridge']:.5g} here: "
                "run the experiment meshes anew, as its recordings or moments are others"
            )
        lower = {f"{known}_percent_under_ridge": 100 * (1 - means[known] / ridge) for known in Known}
        numbers = {"ours": ours, **means, **lower}
        told.append({"target": target, "step": step, **{name: float(f"{v:.4g}") for name, v in numbers.items()}})
    return told


def table(means: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `summary` as Markdown, percent under ridge behind the stroke."""
    rows = []
    for row in means:
        cells = (f"{row[known]:.3f} / {row[f'{known}_percent_under_ridge']:.0f}" for known in Known)
        rows.append((row["target"], str(row["step"]), "1", f"{row['ridge']:.3f}", f"{row['ours']:.3f}", *cells))
    return Table(("target", "step", "last value", "ridge", "ours", *Known), rows).markdown()


def main() -> None:
    """Computes the floors of the experiment's recordings and sets them beside what was measured."""
    parser = argparse.ArgumentParser(description="How low any forecaster's error can be on the simulated meshes.")
    parser.add_argument("--draws", type=int, default=16, help="other worlds for each origin")
    parser.add_argument("--first", type=int, default=5, metavar="N", help="only the first N meshes")
    parser.add_argument("--recordings", type=Path, default=DIRECTORY)
    parser.add_argument("--kept", type=Path, default=_KEPT)
    parser.add_argument("--results", type=Path, default=_RESULTS, help="of the experiment meshes, to compare with")
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text())
    experiment = EXPERIMENTS["meshes"].among(arguments.first)
    point = experiment.evaluations[0]
    for name in point.recordings:
        write(catalogue.RECORDINGS[name], arguments.recordings)
    outcomes = evaluate(
        point,
        (),
        experiment.of_point(point),
        Spending(origins=results["settings"]["origins"]),
        recordings=arguments.recordings,
        kept=arguments.kept,
        tell=lambda _what, _done: None,
    )
    rows = []
    for outcome in outcomes:
        for row in floors(outcome, catalogue.RECORDINGS[outcome.dataset.name].plan, arguments.draws):
            print(row, flush=True)
            rows.append(row)
    among = [row for row in results["rows"] if row["recording"] in point.recordings]
    means = summary(rows, among)
    content = {
        "simulated": True,
        "settings": {"draws": arguments.draws, "origins": results["settings"]["origins"]},
        "rows": rows,
        "means": means,
    }
    print(table(means))
    if arguments.report:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        arguments.report.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
