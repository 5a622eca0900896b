"""
The command `evaluate`: its flags, its progress, and what becomes of its errors.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tidecast_predictor.baselines.method import CannotForecast
from tidecast_predictor.evaluation.datasets import Dataset, DatasetUnusable, read_all
from tidecast_predictor.evaluation.methods import METHODS, Effort, Entry, UnknownMethod, chosen
from tidecast_predictor.evaluation.runner import Plan, Tell, run
from tidecast_predictor.evaluation.runs import Shelf
from tidecast_predictor.evaluation.splits import RecordingTooShort, Splitting, split
from tidecast_predictor.evaluation.summaries import MINIMUM_MOMENTS, Outcome, reaches_of

logger = logging.getLogger(__name__)

_EXTRA = ("matplotlib", "tqdm")
_INTERRUPTED = 130  # as a shell says it


class ExtraMissing(Exception):
    """A package of the extra is not installed; the text says which, and how to get it."""


class FlagsUnusable(Exception):
    """Flags do not fit together, or the folder for results cannot be made; the text names the flag."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """Say what the command understands."""
    splitting, effort = Splitting(window=12, horizon=12), Effort()
    add = command.add_argument
    add(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE.npz",
        help="recordings; docs/evaluation.md has the form",
    )
    add("--window", type=_positive, default=splitting.window, help="steps that networks look back on")
    add("--horizon", type=_positive, default=splitting.horizon, help="steps ahead; also the gap between the parts")
    add("--methods", default="all", metavar="all|a,b", help=f"of {', '.join(METHODS)}; the simple ones run always")
    add("--seeds", type=_positive, default=3, help="runs of each method that learns by chance")
    add("--out", type=Path, required=True, metavar="DIR", help="for results.json, table.md, pictures and finished runs")
    add(
        "--offsets",
        type=_offsets,
        metavar="A,B",
        help="steps that are told of; left out: 1, 1/4, 1/2 and all of the horizon",
    )
    add("--split", type=_share, metavar="SHARE", help="what comes before the test; left out: 60/20/20 with gaps")
    add("--origins", type=_positive, default=splitting.test_origins, help="at most so many are tested at")
    add("--validation-origins", type=_positive, default=splitting.validation_origins, help="at most so many are scored")
    add("--updates", type=_positive, default=effort.updates, help="optimiser steps of every network")
    add("--seconds", type=_positive, default=int(effort.seconds), help="processor time of one training, about")
    command.set_defaults(run=evaluate)


def evaluate(flags: argparse.Namespace, methods: Mapping[str, Entry] = METHODS) -> int:
    """Run the command; its exit status: 1 if a method failed, 2 if nothing could be done, 130 if interrupted."""
    refusals = (DatasetUnusable, UnknownMethod, ExtraMissing, FlagsUnusable, RecordingTooShort, CannotForecast)
    try:
        return _evaluated(flags, methods)
    except refusals as error:
        print(f"evaluate: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        told = f"--out: {error.filename or flags.out} cannot be written ({error.strerror or error}): make room, or name"
        print(f"evaluate: {told} another folder; what is finished is kept", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        told = "interrupted: what is finished is kept, the same command goes on from there"
        print(f"evaluate: {told}", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED


def _evaluated(flags: argparse.Namespace, methods: Mapping[str, Entry]) -> int:
    write, bar = _extra()
    plan = _plan(flags, methods)
    datasets = read_all(flags.data)
    for dataset in datasets:
        _refuse_unfit(dataset, plan)
    shelf = _shelf(flags.out)
    outcomes = list(_outcomes(datasets, plan, shelf, bar))
    if shelf.others:
        logger.info(
            "%d files in %s are of other data, settings or code and were not used", shelf.others, flags.out / "runs"
        )
    for path in write(outcomes, list(plan.everything), _settings(flags, plan), flags.out):
        print(path)  # noqa: T201
    failed = [why for outcome in outcomes for why in outcome.failures.values() if why.startswith("failed")]
    return 1 if failed else 0


def _refuse_unfit(dataset: Dataset, plan: Plan) -> None:
    """
    Before anything is run: hours of work on other recordings must not end in this.

    Raises:
        RecordingTooShort: If the recording cannot be parted, or no series in it can have a score; the text names it.
        FlagsUnusable: If the window is longer than what is learnt from, or too few origins are asked for.
    """
    try:
        parted = split(dataset.series, plan.splitting)
    except RecordingTooShort as error:
        raise RecordingTooShort(f"{dataset.name}: {error}") from error
    window, learnt_from = plan.splitting.window, parted.task.training_steps
    if window > learnt_from:
        raise FlagsUnusable(
            f"--window: {window} steps are more than the {learnt_from} of the training part of {dataset.name}; "
            "take a smaller one or record longer"
        )
    # An origin is at most one moment of a step ahead.
    if parted.test_candidates < MINIMUM_MOMENTS:
        raise RecordingTooShort(
            f"{dataset.name}: the test part has {parted.test_candidates} origins, and no step ahead has a score with "
            f"fewer than {MINIMUM_MOMENTS}; take a smaller --horizon, record longer, or take another --split"
        )
    if len(parted.test) < MINIMUM_MOMENTS:
        raise FlagsUnusable(
            f"--origins: {dataset.name} would be tested at {len(parted.test)} origins, and no step ahead has a score "
            f"with fewer than {MINIMUM_MOMENTS}; ask for more of its {parted.test_candidates}"
        )


def _shelf(out: Path) -> Shelf:
    try:
        return Shelf(out / "runs")
    except OSError as error:
        raise FlagsUnusable(
            f"--out: {error.filename} cannot be made ({error.strerror}): name another folder"
        ) from error


def _plan(flags: argparse.Namespace, methods: Mapping[str, Entry]) -> Plan:
    horizon = flags.horizon
    offsets = flags.offsets or sorted({1, max(1, horizon // 4), max(1, horizon // 2), horizon})
    if max(offsets) > horizon:
        raise FlagsUnusable(f"--offsets: {max(offsets)} lies beyond the horizon of {horizon} steps")
    return Plan(
        splitting=Splitting(flags.window, horizon, flags.split, flags.origins, flags.validation_origins),
        methods=chosen(flags.methods, methods),
        simple={name: entry for name, entry in methods.items() if entry.simple},
        seeds=flags.seeds,
        effort=Effort(flags.updates, float(flags.seconds)),
        reaches=reaches_of(offsets),
    )


def _outcomes(datasets: Sequence[Dataset], plan: Plan, shelf: Shelf, bar: Any) -> Iterator[Outcome]:
    for number, dataset in enumerate(datasets):
        logger.info("%s: %d runs, those that are finished included", dataset.name, plan.runs)
        with _telling(bar, plan.runs, f"{number + 1}/{len(datasets)}") as tell:
            yield run(dataset, plan, shelf, tell)


@contextmanager
def _telling(bar: Any, runs: int, which: str) -> Iterator[Tell]:
    """A bar on a terminal; elsewhere a line of the log when a run begins."""
    shape = "{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total} runs [{elapsed}<{remaining}]"
    with bar(total=runs, bar_format=shape, disable=None, leave=False) as drawn:
        said = ""

        def tell(what: str, done: float) -> None:
            nonlocal said
            if what != said and drawn.disable:
                logger.info("%s: %.0f of %d runs done", what, done, runs)
            elif what != said:
                drawn.set_description_str(f"{which} {what}", refresh=False)
            said = what
            drawn.update(max(0.0, done - drawn.n))

        yield tell


def _settings(flags: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    return {
        "window": flags.window,
        "horizon": flags.horizon,
        "split": flags.split or "60/20/20",
        "methods": flags.methods,
        "offsets": [reach.offset for reach in plan.reaches if not reach.cumulative],
        "seeds": flags.seeds,
        "origins": flags.origins,
        "validation_origins": flags.validation_origins,
        "updates": flags.updates,
        "seconds": flags.seconds,
        "version": version("tidecast"),
    }


def _extra() -> tuple[Any, Any]:
    """What writes the results, and what draws the progress."""
    try:
        from tqdm import tqdm  # noqa: PLC0415

        from tidecast_predictor.evaluation.report import write  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise ExtraMissing(
            f"{error.name} is missing: install tidecast with its extra, 'tidecast[evaluation]'"
        ) from error
    return write, tqdm


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}") from None
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be positive, not {value}")
    return value


def _offsets(text: str) -> list[int]:
    return sorted({_positive(part) for part in text.split(",")})


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, not {text!r}") from None
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, not {value}")
    return value
