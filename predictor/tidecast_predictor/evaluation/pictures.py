"""
Draws what was found: skill, error by offset, coverage by offset. One file each a recording.

Colours are those of Okabe and Ito, which colour-blind readers tell apart too; what is not in the foreground is grey.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tidecast_predictor.evaluation.digits import number
from tidecast_predictor.evaluation.ranking import Compared

INK = "#222222"
MUTED = "#777777"
PALE = "#c9c9c9"
OWN = "#0072B2"
OTHERS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vPX"
_OWN_NAME = "gcn-gru"
_PANELS = 6
_LINES = 4  # besides our own; more cannot be followed
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "xtick.color": MUTED,
    "ytick.color": INK,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
}


def draw(each: Compared, folder: Path) -> list[Path]:
    """All pictures of a recording; the files written."""
    paths = [folder / f"{what}-{each.name}.png" for what in ("skill", "error", "coverage")]
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the tables have the name.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        _draw_skill(each, paths[0])
        _draw_errors(each, paths[1])
        if not _draw_coverage(each, paths[2]):
            paths.pop()
    return paths


def _draw_skill(each: Compared, path: Path) -> None:
    """Bars of what each method saves of the error of the best simple one, the best on top."""
    found = {name: each.mean(name, "skill_rmse") for name in each.comparison.values}
    names = sorted((name for name in found if np.isfinite(found[name].median)), key=lambda name: found[name].median)
    figure = Figure(figsize=(8, 1.4 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, axis="x")
    if names:
        middle = 100 * np.array([found[name].median for name in names])
        low, high = (100 * np.array([getattr(found[name], end) for name in names]) for end in ("low", "high"))
        shown = max(-60.0, float(middle.min()) * 1.1 if middle.min() < 0 else 0.0)
        axes.barh(names, np.maximum(middle, shown), color=[_colour_of_bar(name) for name in names], height=0.62)
        varied = high > low
        places = np.arange(len(names))[varied]
        reach = np.abs(np.array([middle - low, high - middle]))[:, varied]
        inside = middle[varied] >= shown
        axes.errorbar(
            middle[varied][inside],
            places[inside],
            xerr=reach[:, inside],
            fmt="none",
            ecolor=INK,
            elinewidth=1,
            capsize=2,
        )
        for place, (value, end) in enumerate(zip(middle, high, strict=True)):
            axes.annotate(
                number(value / 100, percent=True),
                (max(end, 0), place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                color=MUTED,
            )
        axes.set_xlim(left=shown if shown < 0 else None)
        axes.margins(x=0.12)
    axes.axvline(0, color=INK, lw=0.8)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("error (RMSE) saved against the best simple method, %; whiskers: all seeds", color=MUTED)
    axes.set_title(f"{each.name}: skill, mean over features and offsets")
    figure.savefig(path, dpi=130)


def _draw_errors(each: Compared, path: Path) -> None:
    """Relative error by offset, one panel a measure; the best few stand out from the others."""
    names = list(each.comparison.values)
    alone = [place for place, reach in enumerate(each.outcome.reaches) if not reach.cumulative]
    offsets = [each.outcome.reaches[place].offset for place in alone]
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    shown = _foremost(each, names)
    for panel, measure in zip(panels, ("mae", "rmse"), strict=True):
        panel.grid(visible=True)
        tops, bottoms = [], [np.ones(1)]
        for name in (*(name for name in names if name not in shown), *shown):
            lines = [each.mean(name, f"relative_{measure}", place) for place in alone]
            middle, low, high = (np.array([getattr(line, end) for line in lines]) for end in ("median", "low", "high"))
            colour = shown.get(name, PALE)
            front = name in shown
            label = name if front else None
            marker = _MARKERS[list(shown).index(name)] if front else None
            bottoms.append(middle)
            panel.plot(offsets, middle, color=colour, lw=2 if front else 1, marker=marker, ms=4, label=label)
            if front:
                panel.fill_between(offsets, low, high, color=colour, alpha=0.15, lw=0)
                tops.append(high)
        if tops and np.isfinite(tops).any():
            # Both ends: what runs out of the picture at the top would else stretch it at the bottom.
            bottom = 0.95 * float(np.nanmin(np.concatenate(bottoms)))
            panel.set_ylim(bottom, max(1.08, 1.05 * float(np.nanmax(tops))))
        panel.axhline(1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        panel.set_xlabel("steps ahead", color=MUTED)
        panel.set_xticks(offsets)
        panel.set_title(measure.upper())
    panels[0].set_ylabel("error, last value = 1, mean over features", color=MUTED)
    figure.suptitle(f"{each.name}: error by offset; bands: all seeds", x=0.01, ha="left", fontweight="bold")
    handles, labels = panels[0].get_legend_handles_labels()
    handles += panels[0].plot([], [], color=PALE, lw=1)
    figure.legend(handles, [*labels, "others"], loc="outside lower left", ncols=len(labels) + 1, frameon=False)
    figure.savefig(path, dpi=130)


def _draw_coverage(each: Compared, path: Path) -> bool:
    """How many truths lie from p10 to p90, a panel a method that has quantiles; whether there was any."""
    values = each.comparison.values
    names = _sharpest(each, [name for name in values if np.isfinite(values[name]["coverage"]).any()])
    if not names:
        return False
    alone = [place for place, reach in enumerate(each.outcome.reaches) if not reach.cumulative]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(1 + 3.6 * columns, 1.2 + 2.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    lowest = 72.0
    for panel, name in zip(panels, names, strict=False):
        lowest = min(lowest, _draw_coverage_of(panel, each, name, alone))
    panels[0].set_ylim(lowest - 2, 100)
    for panel in panels[max(0, len(names) - columns) : len(names)]:
        panel.set_xlabel("steps ahead", color=MUTED)
        panel.tick_params(labelbottom=True)
    for empty in panels[len(names) :]:
        empty.set_visible(False)
    figure.suptitle(f"{each.name}: truths between p10 and p90 in %, aim 80 ± 3", x=0.01, ha="left", fontweight="bold")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=min(len(labels), 2 * columns + 1), frameon=False)
    figure.savefig(path, dpi=130)
    return True


def _draw_coverage_of(panel: Axes, each: Compared, name: str, alone: Sequence[int]) -> float:
    """One method's panel; the lowest of its numbers."""
    offsets = [each.outcome.reaches[place].offset for place in alone]
    panel.axhspan(77, 83, color="#e3eef5", lw=0, zorder=0)
    panel.axhline(80, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    lowest = 100.0
    for place, feature in enumerate(each.outcome.dataset.series.features):
        line = 100 * np.median(each.comparison.values[name]["coverage"][:, place][:, alone], axis=0)
        if np.isfinite(line).any():
            colour = (OWN, *OTHERS)[place % (1 + len(OTHERS))]
            marker = _MARKERS[place % len(_MARKERS)]
            dashes = "-" if place <= len(OTHERS) else (0, (3, 1.5))
            label = f" {feature}" if feature.startswith("_") else feature  # else the legend leaves it out
            panel.plot(offsets, line, color=colour, marker=marker, ms=4, lw=1.3, ls=dashes, label=label)
            lowest = min(lowest, float(np.nanmin(line)))
    panel.set_xticks(offsets)
    panel.set_title(name)
    return lowest


def _sharpest(each: Compared, names: Sequence[str]) -> list[str]:
    """Our own method, and the others with the smallest quantile loss, as many as can be looked at."""

    def loss(name: str) -> float:
        found = each.mean(name, "relative_crps").median
        return found if np.isfinite(found) else np.inf

    others = sorted((name for name in names if not name.startswith(_OWN_NAME)), key=loss)
    own = [name for name in names if name == _OWN_NAME]
    return [*own, *others[: _PANELS - len(own)]]


def _foremost(each: Compared, names: Sequence[str]) -> dict[str, str]:
    """Which methods stand out, with their colours: our own, and the best others."""

    def error(name: str) -> float:
        found = each.mean(name, "relative_rmse").median
        return found if np.isfinite(found) else np.inf

    others = sorted((name for name in names if not name.startswith(_OWN_NAME)), key=error)[:_LINES]
    shown = dict(zip(others, OTHERS, strict=False))
    return {**shown, **({_OWN_NAME: OWN} if _OWN_NAME in names else {})}


def _colour_of_bar(name: str) -> str:
    if name == _OWN_NAME:
        return OWN
    return "#9cc3dc" if name.startswith(_OWN_NAME) else PALE
