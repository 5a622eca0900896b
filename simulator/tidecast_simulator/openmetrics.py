"""
Recordings as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.

The slow but official way into a Prometheus; `recording.py` writes the same samples as blocks directly. promtool reads
its whole input again for every block of two hours, so there is one file for each. Two weeks of a shop of 20 services
are some 17 GB of text, so a file can be turned into a block and deleted before the next ones are made.
"""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tidecast_simulator.exporting.counting import Readings
from tidecast_simulator.exporting.emission import Kind
from tidecast_simulator.exporting.sources import RECORDED
from tidecast_simulator.exporting.text import label_text, value_text
from tidecast_simulator.randomness import Floats
from tidecast_simulator.recording import TARGET_LABELS, Span, labels_of, scrapes
from tidecast_simulator.traffic import Simulation

BLOCK_SECONDS = 2 * 3600


def write_openmetrics(
    simulation: Simulation,
    span: Span,
    directory: Path,
    *,
    sources: Sequence[str] = RECORDED,
    target_labels: Mapping[str, str] = TARGET_LABELS,
) -> Iterator[Path]:
    """
    Writes a recording as one OpenMetrics file for every two hours, and yields each when it is complete.

    Args:
        simulation: The mesh and its load.
        span: The times.
        directory: For the files; made when it is not there.
        sources: Which exporters.
        target_labels: What Prometheus would add to every series of its target.

    Raises:
        ValueError: If the sources do not fit.
    """
    directory.mkdir(parents=True, exist_ok=True)
    waiting: list[tuple[Floats, Readings]] = []
    block = None
    for times, readings in scrapes(simulation, span, sources):
        blocks = np.floor(times / BLOCK_SECONDS)
        for number in np.unique(blocks).tolist():
            if block is not None and number != block:
                yield _write(directory / f"{int(block * BLOCK_SECONDS)}.om", waiting, target_labels)
                waiting = []
            block = number
            chosen = blocks == number
            waiting.append((times[chosen], Readings(readings.series, readings.values[:, chosen])))
    if block is not None:
        yield _write(directory / f"{int(block * BLOCK_SECONDS)}.om", waiting, target_labels)


def create_blocks(file: Path, data_directory: Path, *, promtool: str = "promtool") -> None:
    """
    Turns one file into blocks of a Prometheus data directory.

    Raises:
        RuntimeError: With promtool's own words, if it fails.
    """
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", str(file), str(data_directory)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"promtool refuses {file}: {finished.stderr or finished.stdout}")


def _write(path: Path, pieces: Sequence[tuple[Floats, Readings]], target_labels: Mapping[str, str]) -> Path:
    series = pieces[0][1].series
    times = [value_text(time) for time in np.concatenate([times for times, _ in pieces]).tolist()]
    values = np.concatenate([readings.values for _, readings in pieces], axis=1)
    described: set[str] = set()
    with path.open("w") as out:
        for one, row in zip(series, values, strict=True):
            family = one.family.name.removesuffix("_total") if one.family.kind is Kind.COUNTER else one.family.name
            if family not in described:
                described.add(family)
                out.write(f"# TYPE {family} {one.family.kind}\n")
            labels = tuple(pair for pair in labels_of(one, target_labels) if pair[0] != "__name__")
            start = one.name + label_text(labels)
            there = ~np.isnan(row)
            out.writelines(
                f"{start} {value_text(value)} {times[column]}\n"
                for column, value in zip(np.flatnonzero(there).tolist(), row[there].tolist(), strict=True)
            )
        out.write("# EOF\n")
    return path
