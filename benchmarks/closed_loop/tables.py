"""
Real runs side by side: a Markdown table and a picture, from what `run.py` wrote.

    python benchmarks/closed_loop/tables.py [--from-minute 0]
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scoring import Course

mpl.use("Agg")

from matplotlib import pyplot as plt

RESULTS = Path(__file__).parents[1] / "results" / "closed_loop"
_COLOURS = {"hpa": "#888888", "floor": "#1f6fb4", "external": "#c8641e"}


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """
    A run as it was written.

    Attributes:
        scaler: Who scaled.
        load: Under what.
        seed: Of the load.
        course: What happened.
    """

    scaler: str
    load: str
    seed: int
    course: Course

    @classmethod
    def read(cls, path: Path, from_minute: float) -> "Run":
        """From a file, without the first *from_minute* minutes of the model's time."""
        found = json.loads(path.read_text())
        settings, course = found["settings"], found["course"]
        first = round(from_minute * 60 / course["tick_seconds"])
        trusted = course["trusted"]
        refused = course["refused"]
        return cls(
            settings["scaler"] + (", always trusted" if settings["trust"] == "always" else ""),
            settings["load"],
            settings["seed"],
            Course(
                tuple(course["names"]),
                course["tick_seconds"],
                np.array(course["over"])[first:],
                np.array(course["replicas"], dtype=np.float64)[first:],
                np.array(refused)[first:],
                np.array(course["entered"], dtype=np.float64)[first:],
                None if trusted is None else np.array(trusted)[first:],
            ),
        )


def alike(runs: Sequence[Run]) -> list[Run]:
    """All of them, cut to the stretch of the model's time that those under the same load have in common."""
    ticks: dict[tuple[str, int], int] = {}
    for run in runs:
        load = run.load, run.seed
        ticks[load] = min(ticks.get(load, len(run.course.over)), len(run.course.over))
    return [replace(run, course=_first(run.course, ticks[run.load, run.seed])) for run in runs]


def _first(course: Course, ticks: int) -> Course:
    return replace(
        course,
        over=course.over[:ticks],
        replicas=course.replicas[:ticks],
        refused=course.refused[:ticks],
        entered=course.entered[:ticks],
        trusted=None if course.trusted is None else course.trusted[:ticks],
    )


def table(runs: Sequence[Run]) -> str:
    """Runs of the same load and seed below each other, the first line of each being HPA alone."""
    lines = [
        "| load | scaler | hours | in violation, service-minutes | any, minutes | replica-hours | events | turns | refused | trusted |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    alone = {(run.load, run.seed): run.course.score() for run in runs if run.scaler == "hpa"}
    for run in runs:
        score, beside = run.course.score(), alone.get((run.load, run.seed))
        trusted = "" if score.trusted_share is None else f"{100 * score.trusted_share:.0f} %"
        lines.append(
            f"| {run.load} {run.seed} | {run.scaler} | {score.hours:.1f} "
            f"| {_beside(score.service_minutes, beside.service_minutes if beside else 0, run)} "
            f"| {score.any_violation_minutes:.1f} | {_beside(score.replica_hours, beside.replica_hours if beside else 0, run)} "
            f"| {score.scale_events} | {score.turns} | {100 * score.refused_share:.2f} % | {trusted} |"
        )
    return "\n".join(lines)


def by_service(runs: Sequence[Run]) -> str:
    """Minutes in violation of each service."""
    names = runs[0].course.names
    lines = [f"| load | scaler | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for run in runs:
        minutes = run.course.score().violation_minutes
        lines.append(
            f"| {run.load} {run.seed} | {run.scaler} | {' | '.join(f'{minutes[name]:.1f}' for name in names)} |"
        )
    return "\n".join(lines)


def picture(runs: Sequence[Run], path: Path) -> None:
    """Load, pods and the worst latency over time, for runs of one load and seed."""
    figure, (load, pods, over) = plt.subplots(3, 1, figsize=(10, 8), sharex=True, layout="constrained")
    for run in runs:
        course = run.course
        hours = np.arange(len(course.over)) * course.tick_seconds / 3600
        colour = _COLOURS.get(run.scaler.partition(",")[0])
        if run is runs[0]:
            load.plot(hours, course.entered / course.entered.mean(), color="black", linewidth=1)
        pods.plot(hours, course.replicas.sum(axis=1), color=colour, label=run.scaler, linewidth=1.2)
        over.plot(hours, course.over.max(axis=1), color=colour, label=run.scaler, linewidth=1)
        if course.trusted is not None:
            load.fill_between(hours, 0, 0.1, where=list(course.trusted > 0.5), color=colour, alpha=0.5, label="trusted")
    load.set_ylabel("load, 1 = its mean")
    pods.set_ylabel("pods of all services")
    over.set(ylabel="worst p95 over its target", yscale="log", xlabel="hours of the model's time")
    over.axhline(1, color="black", linewidth=0.8, linestyle=":")
    pods.legend(loc="upper right")
    figure.suptitle(f"Closed loop, load {runs[0].load} of seed {runs[0].seed} (simulated services)")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _beside(value: float, alone: float, run: Run) -> str:
    if not alone or run.scaler == "hpa":
        return f"{value:.1f}"
    return f"{value:.1f} ({100 * (value / alone - 1):+.0f} %)"


def main() -> None:
    """Write `runs.md` and a picture for each load and seed."""
    parser = argparse.ArgumentParser(description="Real runs side by side.")
    parser.add_argument(
        "--from-minute", type=float, default=0.0, help="of the scored model's time; what is before is left out"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    flags = parser.parse_args()
    runs = alike([Run.read(path, flags.from_minute) for path in sorted(flags.out.glob("*-*-*.json"))])
    runs.sort(key=lambda run: (run.load, run.seed, run.scaler != "hpa", run.scaler))
    text = f"{table(runs)}\n\nMinutes in violation:\n\n{by_service(runs)}\n"
    print(text)
    (flags.out / "runs.md").write_text(text)
    for load, seed in sorted({(run.load, run.seed) for run in runs}):
        picture([run for run in runs if (run.load, run.seed) == (load, seed)], flags.out / f"{load}-{seed}.png")


if __name__ == "__main__":
    main()
