"""
What `tidecast-predictor evaluate` found on several recordings, condensed to what fits into a repository.

    .venv/bin/tidecast-predictor evaluate --data FILE.npz [FILE.npz ...] --out build/real
    .venv/bin/python benchmarks/forecasting/condensing.py build/real

Writes `results.json`, with the median, the lowest and the highest of the seeds of every recording, feature and offset,
`table.md` and `picture.png`. Errors are within each series in that of last value, the median over the series of a feature.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drawing import COLOURS, OUR_COLOUR
from experiments import OURS
from matplotlib.figure import Figure
from summing import write_rows

from tidecast_predictor.evaluation.tables import Table

RESULTS = Path("benchmarks/results/forecasting/real")
_MEASURES = ("relative_mae", "relative_rmse")
_KEPT = (
    *_MEASURES,
    *("relative_crps", "skill_mae", "skill_rmse", "mae", "rmse", "r2", "wql", "coverage", "pooled_mae", "pooled_rmse"),
)
_LOG = ":log1p"
_WANTED, _BEARABLE = 0.8, 0.03  # of what came true from p10 to p90
TOP = 2.0  # of last value's error; what is beyond would flatten all others, and is left out
_MARKERS = "xs^"  # they tell apart methods that share a colour


def condensed(found: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, the mean ranks, the facts and means of each recording, and a row for each feature and offset."""
    return {
        "settings": found["settings"],
        "mean_rank": found["mean_rank"],
        "recordings": [_recording(each) for each in found["datasets"]],
        "rows": [row for each in found["datasets"] for row in _rows(each)],
    }


def _recording(found: Mapping[str, Any]) -> dict[str, Any]:
    facts = ("name", "steps", "step_seconds", "services", "calls", "truths_counted", "failures")
    methods = {
        name: {measure: of["mean_over_features_and_offsets"][measure] for measure in (*_MEASURES, "relative_crps")}
        | {"seconds": of["fit_seconds"]}
        for name, of in found["methods"].items()
    }
    return {fact: found[fact] for fact in facts} | {"methods": methods}


def _rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for score in found["scores"]:
        if score["target"].removesuffix(_LOG) in found["features"] and score["steps"].isdigit():
            place = {key: score[key] for key in ("target", "steps", "series")}
            for name, values in score["methods"].items():
                measured = {key: values[key] for key in _KEPT if key in values}
                yield {"recording": found["name"], **place, "method": name, **measured}


def behind(recording: Mapping[str, Any], measure: str, name: str = OURS) -> tuple[str, float]:
    """The best of the other methods, ablations of ours left out, and the error of *name* in its error; NaN without one."""
    errors = {
        other: of[measure][0]
        for other, of in recording["methods"].items()
        if not other.startswith(OURS) and of[measure][0] is not None
    }
    best = min(errors, key=lambda other: errors[other])
    own = recording["methods"].get(name, {measure: [None]})[measure][0]
    return best, float("nan") if own is None else own / errors[best]


def held(rows: Sequence[Mapping[str, Any]], recording: str, name: str = OURS) -> list[float]:
    """How often bands held at each feature and step of a recording, the median over seeds, rising."""
    chosen = (row for row in rows if row["recording"] == recording and row["method"] == name)
    shares = (row["coverage"][0] for row in chosen if not row["target"].endswith(_LOG))
    return sorted(share for share in shares if share is not None)


def table(results: Mapping[str, Any]) -> str:
    """Methods by mean rank against recordings, and where ours stands beside the best of the others."""
    recordings, ranks = results["recordings"], results["mean_rank"]
    methods = sorted(ranks["mae"], key=lambda name: ranks["mae"][name] + ranks["rmse"][name])
    names = [each["name"] for each in recordings]
    rows = [
        (
            name,
            *(f"{ranks[measure][name]:.2f}" for measure in ("mae", "rmse")),
            *(_both(each["methods"].get(name)) for each in recordings),
        )
        for name in methods
    ]
    of_all = Table(("method", "mean rank, MAE", "mean rank, RMSE", *names), rows)
    rows = []
    for measure, label in zip(_MEASURES, ("MAE", "RMSE"), strict=True):
        beside = [behind(each, measure) for each in recordings]
        rows.append((label, *(f"{ratio:.3f} ({best})" for best, ratio in beside)))
    of_ours = Table(("ours in the error of the best other", *names), rows)
    told = "MAE / RMSE in that of last value, the mean over features and offsets, the median over seeds"
    return f"{told}\n\n{of_all.markdown()}\n{of_ours.markdown()}\n{_of_bands(results, names).markdown()}"


def _of_bands(results: Mapping[str, Any], names: Sequence[str]) -> Table:
    """How often ours lies from p10 to p90, wanted is 80 percent of what came true."""
    shares = [held(results["rows"], name) for name in names]
    near = (f"{sum(abs(share - _WANTED) <= _BEARABLE for share in each)} of {len(each)}" for each in shares)
    return Table(
        ("ours, percent from p10 to p90", *names),
        [
            ("lowest of features and steps", *(f"{100 * each[0]:.1f}" if each else "–" for each in shares)),
            ("the middle one", *(f"{100 * each[len(each) // 2]:.1f}" if each else "–" for each in shares)),
            ("highest", *(f"{100 * each[-1]:.1f}" if each else "–" for each in shares)),
            ("within 3 points of 80", *near),
        ],
    )


def draw(results: Mapping[str, Any], path: Path) -> None:
    """A panel for each measure: the error of each method on each recording, ours in front."""
    recordings = results["recordings"]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, measure in zip(figure.subplots(1, 2), _MEASURES, strict=True):
        names = dict.fromkeys(name for each in recordings for name in each["methods"])
        others = [name for name in names if name != OURS and not name.startswith(f"{OURS}-")]
        for place, name in enumerate((*others, OURS)):
            spreads = [each["methods"].get(name, {measure: [None] * 3})[measure] for each in recordings]
            median, low, high = np.array(spreads, dtype=np.float64).T
            median[median > TOP] = np.nan
            ours = name == OURS
            axes.errorbar(
                np.arange(len(median)) + (0 if ours else 0.5 * (place / len(others) - 0.5)),
                median,
                yerr=[median - low, high - median],
                fmt="o" if ours else _MARKERS[place // len(COLOURS)],
                color=OUR_COLOUR if ours else COLOURS[place % len(COLOURS)],
                markersize=6 if ours else 4,
                linewidth=1,
                label=name,
                zorder=3 if ours else 2,
            )
        axes.set_xticks(range(len(recordings)), [each["name"] for each in recordings], rotation=25, fontsize=8)
        axes.set_title(f"{measure.removeprefix('relative_').upper()} in that of last value", loc="left", fontsize=10)
        axes.set_ylim(top=TOP)
        axes.grid(visible=True, axis="y", color="#ececec")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    figure.suptitle(
        "Real recordings; lines from the lowest to the highest seed; what is more than twice last value's error is left out",
        x=0.01,
        ha="left",
        fontsize=10,
    )
    figure.savefig(path, dpi=110)


def _both(of: Mapping[str, Any] | None) -> str:
    numbers = [None] * 2 if of is None else [of[measure][0] for measure in _MEASURES]
    return " / ".join("–" if number is None else f"{number:.3f}" for number in numbers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read what was found, and write what is left of it."""
    parser = argparse.ArgumentParser(description="Condenses what evaluate found.")
    parser.add_argument("folder", type=Path, help="the --out of evaluate")
    parser.add_argument("--out", type=Path, default=RESULTS)
    flags = parser.parse_args(arguments)
    results = condensed(json.loads((flags.folder / "results.json").read_text()))
    flags.out.mkdir(parents=True, exist_ok=True)
    write_rows(results, flags.out / "results.json")
    (flags.out / "table.md").write_text(table(results))
    draw(results, flags.out / "picture.png")


if __name__ == "__main__":
    main()
