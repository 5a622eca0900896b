"""
A picture of runs under one load: the load, the pods, and the worst latency over its target.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from runs import Run

mpl.use("Agg")

from matplotlib import pyplot as plt

_COLOURS = {"hpa": "#888888", "floor": "#1f6fb4", "external": "#c8641e", "custom": "#3a9a4a"}


def draw(runs: Sequence[Run], path: Path) -> None:
    """Load, pods and the worst latency over time, for runs of one load and seed."""
    figure, (load, pods, over) = plt.subplots(3, 1, figsize=(10, 8), sharex=True, layout="constrained")
    for run in runs:
        course = run.course
        hours = np.arange(len(course.over)) * course.tick_seconds / 3600
        colour, style = _COLOURS[run.settings.scaler], ":" if run.settings.trust == "always" else "-"
        if run is max(runs, key=lambda one: len(one.course.over)):
            load.plot(hours, course.entered / course.entered.mean(), color="black", linewidth=1)
        pods.plot(hours, course.replicas.sum(axis=1), style, color=colour, label=run.scaler, linewidth=1.2)
        over.plot(hours, course.over.max(axis=1), style, color=colour, label=run.scaler, linewidth=1)
        if course.trusted is not None:
            load.plot(hours, course.trusted, style, color=colour, linewidth=1)
    load.set_ylabel("load, 1 = its mean (black)\nshare of services trusted")
    pods.set_ylabel("pods of all services")
    over.set(ylabel="worst p95 over its target", yscale="log", xlabel="hours of the model's time")
    over.axhline(1, color="black", linewidth=0.8, linestyle=":")
    pods.legend(loc="upper right")
    told = runs[0].settings
    figure.suptitle(f"Closed loop, load {told.load} of seed {told.seed} (simulated services)")
    figure.savefig(path, dpi=120)
    plt.close(figure)
