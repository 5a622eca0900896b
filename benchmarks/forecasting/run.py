"""
Runs an experiment on simulated recordings, which it makes if they are not there: results.json, table.md,
picture.png, and ablations.md where something of ours is taken away.

    .venv/bin/python benchmarks/forecasting/run.py --list
    .venv/bin/python benchmarks/forecasting/run.py windows
    .venv/bin/python benchmarks/forecasting/run.py windows --quick      # minutes: that it works, not how well

What is finished is kept in build/experiments: the same command goes on after an interruption, and experiments share the
runs that they have in common.
"""

import argparse
import logging
import sys
from pathlib import Path

import ablating
import catalogue
from drawing import draw
from experiments import EXPERIMENTS, Experiment
from harness import Lessons, Spending, evaluate
from recordings import DIRECTORY, write
from summing import Point
from summing import write as write_results

from tidecast_predictor.evaluation.methods import Effort

logger = logging.getLogger("experiments")

RESULTS, KEPT = Path("benchmarks/results/forecasting"), Path("build/experiments")
_QUICK = Spending(seeds=1, effort=Effort(updates=60, seconds=60.0), origins=60)


def run(experiment: Experiment, spending: Spending, *, recordings: Path, kept: Path, out: Path) -> list[Path]:
    """
    Runs all points of an experiment; the files written.

    Args:
        experiment: Which.
        spending: What it may cost.
        recordings: Folder of the recordings; those that are not there are made.
        kept: Folder of finished runs.
        out: Folder for the results, one of its own for each experiment.
    """
    needed = {name for point in experiment.evaluations for name in (*point.recordings, *point.learnt_from)}
    for name in sorted(needed):
        write(catalogue.RECORDINGS[name], recordings)
    points, said, lessons = [], "", Lessons()

    def tell(what: str, done: float) -> None:
        nonlocal said
        if what != said:
            logger.info("%s %s: %s, %.0f runs done", experiment.name, point.label, what, done)
        said = what

    for point in experiment.evaluations:
        steps = experiment.of_point(point)
        outcomes = evaluate(
            point, experiment.methods, steps, spending, recordings=recordings, kept=kept, tell=tell, lessons=lessons
        )
        points.append(Point(point, outcomes))
    effort = {"updates": spending.effort.updates, "seconds": spending.effort.seconds}
    settings = {"seeds": spending.seeds, "origins": spending.origins, **effort}
    folder = out / experiment.name
    rows = write_results(experiment, points, settings, folder)
    written = [folder / "results.json", folder / "table.md", draw(experiment, rows, folder / "picture.png")]
    if ablating.ablations(rows):
        written.append(folder / "ablations.md")
        written[-1].write_text(ablating.document(experiment.name, rows))
    return written


def main() -> int:
    """Reads what is asked for and runs it; its exit status."""
    parser = argparse.ArgumentParser(description="The forecaster's experiments.")
    parser.add_argument("experiment", nargs="?", choices=sorted(EXPERIMENTS))
    parser.add_argument("--list", action="store_true", help="name the experiments, run none")
    parser.add_argument("--quick", action="store_true", help="few methods, short trainings, results under build/")
    parser.add_argument("--methods", help="a,b: instead of the experiment's own")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N recordings of each point")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--updates", type=int, help="optimiser steps of every network")
    parser.add_argument("--seconds", type=float, help="processor time of one training at most")
    parser.add_argument("--origins", type=int, help="at most so many are tested at")
    parser.add_argument("--recordings", type=Path, default=DIRECTORY)
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.list or not arguments.experiment:
        print("\n".join(f"{name:18} {experiment.question}" for name, experiment in EXPERIMENTS.items()))
        return 0 if arguments.list else 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    experiment, usual = EXPERIMENTS[arguments.experiment], _QUICK if arguments.quick else Spending()
    experiment = experiment.quick() if arguments.quick else experiment
    if arguments.first:
        experiment = experiment.among(arguments.first)
    if arguments.methods:
        experiment = experiment.by(tuple(arguments.methods.split(",")))
    effort = Effort(arguments.updates or usual.effort.updates, arguments.seconds or usual.effort.seconds)
    spending = Spending(arguments.seeds or usual.seeds, effort, arguments.origins or usual.origins)
    out = arguments.out or (KEPT / "quick" if arguments.quick else RESULTS)
    for path in run(experiment, spending, recordings=arguments.recordings, kept=arguments.kept, out=out):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
