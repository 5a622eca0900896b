"""
Draws an experiment: the error of each method along its axis, a panel for each target and step.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiments import OURS, Experiment
from matplotlib.figure import Figure
from summing import TARGETS, means_of

# Okabe and Ito's, which colour-blind readers tell apart too.
COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000", "#8c6d31", "#7b4173")
OUR_COLOUR = "#0072B2"
_DRAWN = ("rps", "p95_ms")
_NARROWEST = 11.0  # inches, for what stands above


def draw(experiment: Experiment, rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Writes a picture: lines along the axis, or bars by kind of service where there is only one point."""
    points = [point.label for point in experiment.evaluations]
    along = len(points) > 1
    categories = points if along else list(dict.fromkeys(row["kind"] for row in rows))
    key = "point" if along else "kind"
    steps = [0] if experiment.offsets_differ else sorted({row["step"] for row in rows})
    targets = [target for target in TARGETS if target in _DRAWN and any(row["target"] == target for row in rows)]
    if not along:
        steps = steps[-2:]
    figure = Figure(figsize=(max(4.2 * len(steps) + 2.4, _NARROWEST), 3.2 * len(targets)), layout="constrained")
    grid = figure.subplots(len(targets), len(steps), squeeze=False)
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name != "last-value"]
    for line, target in enumerate(targets):
        for column, step in enumerate(steps):
            axes = grid[line][column]
            some = [r for r in rows if r["target"] == target and (not step or r["step"] == step)]
            some = [r for r in some if not along or r["kind"] == experiment.drawn]
            for place, method in enumerate(methods):
                found = [means_of(some, "relative_rmse", method=method, **{key: category}) for category in categories]
                spreads = np.array([(np.nan,) * 3 if means is None else means for means in found])
                heights, low, high = np.where(spreads > experiment.top, np.nan, spreads).T
                ours = method == OURS
                colour = OUR_COLOUR if ours else COLOURS[place % len(COLOURS)]
                style = {
                    "color": colour,
                    "label": method,
                    "linewidth": 2.4 if ours else 1.1,
                    "zorder": 3 if ours else 2,
                }
                dashes = "-" if ours else ("-", "--", ":")[place // len(COLOURS) % 3]
                axes.plot(range(len(categories)), heights, marker="o", markersize=4, linestyle=dashes, **style)
                axes.fill_between(range(len(categories)), low, high, color=colour, alpha=0.12, linewidth=0)
            axes.set_title(f"{target}, {'last step' if not step else f'{step} steps ahead'}", loc="left", fontsize=10)
            axes.set_xticks(range(len(categories)), categories)
            axes.set_xlabel(experiment.axis if along else "services", fontsize=8)
            axes.grid(visible=True, axis="y", color="#ececec")
            axes.spines[["top", "right"]].set_visible(False)
        grid[line][0].set_ylabel("RMSE / last value's")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    services = "" if experiment.drawn == "all" else f"{experiment.drawn} services; "
    told = f"simulated; {services}shaded: the seeds; above {experiment.top:g} left out"
    figure.suptitle(f"{experiment.question}\n({told})", fontsize=11, x=0.01, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
