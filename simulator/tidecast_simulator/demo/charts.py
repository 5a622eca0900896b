"""
Draws the service graph, and forecasts with their bands against what came true.

Colours are those of Okabe and Ito, which colour-blind readers tell apart too; no chart leans on colour alone.
"""

import datetime as dt
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve
from numpy.typing import NDArray

from tidecast_simulator.demo.forecasts import DiscoveredCall, Measured, RequestForecast
from tidecast_simulator.demo.layout import arrange

INK = "#222222"
MUTED = "#777777"
BLUE = "#0072B2"
ORANGE = "#D55E00"
SKY = "#56B4E9"
_HISTORY_SECONDS = 5400
_BOX_WIDTH = 0.62
_BOX_HEIGHT = 0.56
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
}


def draw_forecasts(forecasts: Sequence[RequestForecast], measured: Measured, path: Path) -> None:
    """One panel a service: ninety minutes of history, the forecast with its band, and what came true."""
    with mpl.rc_context(_STYLE):
        columns = 2
        rows = -(-len(forecasts) // columns)
        figure = Figure(figsize=(11, 1.2 + 2.3 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for panel, forecast in zip(panels, forecasts, strict=False):
            _draw_forecast(panel, forecast, measured)
        for empty in panels[len(forecasts) :]:
            empty.set_visible(False)
        issued = _clock(min(forecast.issued_time for forecast in forecasts))
        figure.suptitle(
            f"What Tidecast said at {issued:%H:%M} UTC, and what came true (simulated traffic)",
            x=0.01, ha="left", fontsize=13, fontweight="bold",
        )  # fmt: skip
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False)
        figure.savefig(path, dpi=150)


def _draw_forecast(panel: Axes, forecast: RequestForecast, measured: Measured) -> None:
    values = measured.values[forecast.name]
    times = measured.times
    before = (times > forecast.issued_time - _HISTORY_SECONDS) & (times <= forecast.issued_time)
    after = (times >= forecast.issued_time) & (times <= forecast.times[-1])
    now = np.array([forecast.issued_time])
    ahead = _dates(np.concatenate([now, forecast.times]))
    last = np.array([measured.at(forecast.name, forecast.issued_time)])
    low, median, high = (np.concatenate([last, line]) for line in (forecast.low, forecast.median, forecast.high))
    panel.fill_between(ahead, low, high, color=SKY, alpha=0.35, lw=0, label="forecast, p10 to p90")  # type: ignore[arg-type]
    panel.plot(_dates(times[before]), values[before], color=INK, lw=1.2, label="measured before")  # type: ignore[arg-type]
    panel.plot(ahead, median, color=BLUE, lw=2, label="forecast, p50")  # type: ignore[arg-type]
    panel.plot(_dates(times[after]), values[after], color=ORANGE, lw=1.4, ls=(0, (3, 1.5)), label="what came true")  # type: ignore[arg-type]
    panel.axvline(_clock(forecast.issued_time), color=MUTED, lw=0.8)  # type: ignore[arg-type]
    panel.set_title(f"{forecast.name}  ({forecast.method})")
    panel.set_ylabel("requests/s", color=MUTED)
    panel.set_ylim(bottom=0)
    panel.margins(x=0)
    panel.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M", tz=dt.UTC))  # type: ignore[no-untyped-call]


def draw_graph(calls: Sequence[DiscoveredCall], path: Path, *, title: str) -> None:
    """Services from left to right in the direction of the calls; wider lines carry more requests."""
    layout = arrange([(call.caller, call.callee) for call in calls])
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(14, 7.5), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        largest = max((call.requests_per_second for call in calls), default=1.0)
        for call in sorted(calls, key=lambda call: -call.requests_per_second):
            _draw_call(axes, layout.routes[call.caller, call.callee], call.requests_per_second / largest)
        for name, place in layout.nodes.items():
            _draw_service(axes, place, name, sum(call.requests_per_second for call in calls if call.callee == name))
        axes.margins(0.02)
        axes.set_title(title, fontsize=13, fontweight="bold")
        note = "Under a name: requests per second that it receives. Width of a line: requests per second along it."
        figure.supxlabel(note, x=0.01, ha="left", fontsize=9, color=MUTED)
        figure.savefig(path, dpi=150)


def _draw_call(axes: Axes, route: Sequence[tuple[float, float]], share: float) -> None:
    """A curve through the points of a route, flat where it passes one, from box to box."""
    half = _BOX_WIDTH / 2
    passed = [(x + side, y) for x, y in route[1:-1] for side in (-half, half)]
    points = [(route[0][0] + half, route[0][1]), *passed, (route[-1][0] - half - 0.02, route[-1][1])]
    vertices, codes = [points[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    curve = PathPatch(Curve(vertices, codes), fc="none", ec=BLUE, alpha=0.45, lw=0.7 + 5 * share**0.5, zorder=1)
    axes.add_patch(curve)
    x, y = points[-1]
    axes.add_patch(FancyArrowPatch((x - 0.02, y), (x + 0.02, y), arrowstyle="-|>", mutation_scale=9, color=BLUE, lw=0))


def _draw_service(axes: Axes, at: tuple[float, float], name: str, requests_per_second: float) -> None:
    left, bottom = at[0] - _BOX_WIDTH / 2, at[1] - _BOX_HEIGHT / 2
    edge = INK if requests_per_second else ORANGE
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), _BOX_WIDTH, _BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.05", fc="white", ec=edge,
            zorder=3,
        )
    )  # fmt: skip
    axes.plot([left, left + _BOX_WIDTH], [bottom, bottom + _BOX_HEIGHT], alpha=0)
    rate = f"{requests_per_second:.3g}/s" if requests_per_second else "only calls"
    axes.text(*at, f"{name}\n{rate}", ha="center", va="center", fontsize=8, zorder=4)


def _dates(times: NDArray[np.float64]) -> list[dt.datetime]:
    return [_clock(float(time)) for time in times]


def _clock(time: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(time, tz=dt.UTC)
