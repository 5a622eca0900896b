"""
Draws load against capacity over time, with and without hints, for the workloads where it matters most.

Colours are those of Okabe and Ito, which colour-blind readers tell apart too; no line leans on colour alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tidecast_operator.hints.hint import unit_of
from tidecast_operator.replaying.candidates import Candidate
from tidecast_operator.replaying.replay import ALONE, HINTED
from tidecast_operator.replaying.tally import Trace

_DAY_SECONDS = 86_400
INK = "#222222"
MUTED = "#777777"
BLUE = "#0072B2"
ORANGE = "#D55E00"
SKY = "#56B4E9"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "svg.hashsalt": "tidecast",  # the same replay draws the same file
}


def draw(
    trace: Trace, candidates: Sequence[Candidate], places: Sequence[int], span: tuple[int, int], folder: Path
) -> list[Path]:
    """
    One panel a workload, as SVG and as PNG; the files written.

    Args:
        trace: What is drawn.
        candidates: All workloads of the trace.
        places: Which of them are drawn.
        span: The first and the last moment, unix seconds.
        folder: For the files.
    """
    paths = [folder / "replay.svg", folder / "replay.png"]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 1.0 + 2.4 * len(places)), layout="constrained")
        panels = figure.subplots(len(places), 1, squeeze=False, sharex=True).ravel()
        clock = np.linspace(*span, trace.columns) / _DAY_SECONDS  # what the axis counts in
        for panel, place in zip(panels, places, strict=True):
            _draw_panel(panel, trace, place, clock)
            _name(panel, candidates[place])
        panels[-1].xaxis_date()
        locator = mdates.AutoDateLocator()  # type: ignore[no-untyped-call]
        panels[-1].xaxis.set_major_locator(locator)
        panels[-1].xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=5, frameon=False)
        for path in paths:
            figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def _draw_panel(panel: Axes, trace: Trace, place: int, clock: NDArray[np.float64]) -> None:
    low, high = trace.low[place], trace.high[place]
    panel.fill_between(clock, low, high, color=SKY, alpha=0.35, linewidth=0, label="forecast p10 to p90")
    panel.plot(clock, trace.load[place], color=INK, linewidth=0.9, label="load")
    carried = trace.carried[place]
    for name, color, style, label in (
        (ALONE, ORANGE, "--", "capacity, HPA alone"),
        (HINTED, BLUE, "-", "capacity with hints"),
    ):
        capacity = trace.ready[name][place] * carried
        panel.plot(clock, capacity, color=color, linestyle=style, linewidth=1.1, drawstyle="steps-pre", label=label)
    untrusted = np.where(trace.trusted[place], np.nan, 0.0)
    panel.plot(clock, untrusted, color=MUTED, linewidth=3, solid_capstyle="butt", label="not trusted")
    panel.set_ylim(bottom=0)


def _name(panel: Axes, candidate: Candidate) -> None:
    panel.set_title(f"{candidate.service}, {unit_of(candidate.scaling.signal)}")
