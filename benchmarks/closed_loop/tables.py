"""
Real runs side by side: Markdown tables and pictures, from what `run.py` wrote.

    python benchmarks/closed_loop/tables.py --readme benchmarks/closed_loop/README.md
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from picture import draw
from runs import PATTERN, Pair, Run, paired
from scoring import Score

RESULTS = Path(__file__).parents[1] / "results" / "closed_loop"
BEGIN, END = "<!-- written by tables.py -->", "<!-- until here -->"
_ARROW = "\N{RIGHTWARDS ARROW}"
_What = Callable[[Score], float]


def summary(pairs: Sequence[Pair]) -> str:
    """One line for each load, scaler and way to hint: medians over the seeds, with the lowest and highest change."""
    lines = [
        "| load | scaler | hints | seeds | hours | service-minutes in violation | replica-hours | turns | trusted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (load, scaler, hints), found in groupby(pairs, _kind):
        alike = list(found)
        seeds = ", ".join(str(pair.run.settings.seed) for pair in alike)
        hours = _span([pair.score.hours for pair in alike], "{:.1f}")
        trusted = _span([100 * (pair.score.trusted_share or 0) for pair in alike], "{:.0f}")
        lines.append(
            f"| {load} | {scaler} | {hints} | {seeds} | {hours} | {_beside(alike, lambda score: score.service_minutes)} "
            f"| {_beside(alike, lambda score: score.replica_hours)} | {_beside(alike, lambda score: score.turns)} "
            f"| {trusted} % |"
        )
    return "\n".join(lines)


def every(pairs: Sequence[Pair]) -> str:
    """One line for each run."""
    columns: dict[str, _What] = {
        "service-minutes in violation": lambda score: score.service_minutes,
        "any, minutes": lambda score: score.any_violation_minutes,
        "replica-hours": lambda score: score.replica_hours,
        "events": lambda score: score.scale_events,
        "turns": lambda score: score.turns,
        "refused, %": lambda score: 100 * score.refused_share,
    }
    lines = [f"| load, seed | scaler | hints | hours | {' | '.join(columns)} |", "|---" * (4 + len(columns)) + "|"]
    for pair in pairs:
        cells = " | ".join(_beside([pair], what) for what in columns.values())
        lines.append(f"| {_load(pair)} | {pair.run.scaler} | {pair.run.hints} | {pair.score.hours:.1f} | {cells} |")
    return "\n".join(lines)


def by_service(pairs: Sequence[Pair]) -> str:
    """Minutes in violation of each service, one line for each run."""
    names = pairs[0].run.course.names
    lines = [f"| load, seed | scaler | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for pair in pairs:
        cells = (
            _arrow(
                None if pair.alone is None else f"{pair.alone.violation_minutes[name]:.1f}",
                f"{pair.score.violation_minutes[name]:.1f}",
            )
            for name in names
        )
        lines.append(f"| {_load(pair)} | {pair.run.scaler} | {' | '.join(cells)} |")
    return "\n".join(lines)


def put_into(text: str, table: str) -> str:
    """
    A document with the table between its two marks.

    Raises:
        ValueError: If it does not have them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no place for the table: write {BEGIN} and {END}, each on a line of its own")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _kind(pair: Pair) -> tuple[str, str, str]:
    return pair.run.settings.load, pair.run.scaler, pair.run.hints


def _load(pair: Pair) -> str:
    return f"{pair.run.settings.load} {pair.run.settings.seed}"


def _beside(pairs: Sequence[Pair], what: _What) -> str:
    """HPA alone, then with hints, and the change: each the median, and of changes also the lowest and highest."""
    own = f"{np.median([what(pair.score) for pair in pairs]):.1f}"
    both = [(what(pair.alone), what(pair.score)) for pair in pairs if pair.alone is not None]
    if len(both) < len(pairs):
        return own
    changes = [100 * (value / alone - 1) for alone, value in both if alone]
    told = f" ({_span(changes, '{:+.1f}')} %)" if len(changes) == len(pairs) else ""
    return _arrow(f"{np.median([alone for alone, _ in both]):.1f}", own) + told


def _span(values: Sequence[float], form: str) -> str:
    median, least, most = (form.format(one) for one in (np.median(values), min(values), max(values)))
    return median if least == most else f"{median}, {least} to {most}"


def _arrow(alone: str | None, own: str) -> str:
    return own if alone is None else f"{alone} {_ARROW} {own}"


def main() -> None:
    """Write `runs.md` and a picture for each load and seed, and the first table into a document."""
    parser = argparse.ArgumentParser(description="Real runs side by side.")
    parser.add_argument(
        "--from-minute", type=float, default=0.0, help="of the scored model's time; what is before is left out"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the runs are, and tables and pictures go")
    parser.add_argument("--readme", type=Path, help="a document that gets the first table; default: none")
    flags = parser.parse_args()
    runs = [Run.read(path, from_minute=flags.from_minute) for path in sorted(flags.out.glob(PATTERN))]
    pairs = paired(runs)
    if not pairs:
        parser.error(f"--out: {flags.out} has no run with hints; make one with run.py")
    text = "\n\n".join(
        (
            f"HPA alone {_ARROW} with hints, each pair over the stretch of the model's time that both have.",
            "Of several seeds: medians; in brackets the median of the changes, and the lowest to the highest.",
            summary(pairs),
            "Each run:",
            every(pairs),
            "Minutes in violation:",
            by_service(pairs),
        )
    )
    print(text)
    (flags.out / "runs.md").write_text(f"{text}\n")
    if flags.readme is not None:
        flags.readme.write_text(put_into(flags.readme.read_text(), summary(pairs)))
    for load, seed in sorted({(run.settings.load, run.settings.seed) for run in runs}):
        alike = [run for run in runs if (run.settings.load, run.settings.seed) == (load, seed)]
        draw(sorted(alike, key=lambda run: run.settings.has_forecasts), flags.out / f"{load}-{seed}.png")


if __name__ == "__main__":
    main()
