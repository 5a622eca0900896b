"""
Recordings: weeks of simulated scrapes in a Prometheus data directory, within seconds.

Blocks are written directly; the same recording as OpenMetrics for promtool is `openmetrics.py`'s. A recording may
reach into the future: Prometheus answers for those times as well. But a Prometheus that holds such a block accepts
no scraped sample older than the block's end, so a recording that is to be continued live must end in the past.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tidecast_simulator.blocks.block import Samples, write_block
from tidecast_simulator.blocks.index import Labels
from tidecast_simulator.exporting.counting import Readings, Totals
from tidecast_simulator.exporting.emission import Emission, Series, joined
from tidecast_simulator.exporting.sources import RECORDED, exporters_of
from tidecast_simulator.flows import Clock
from tidecast_simulator.load import Shape
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import Floats
from tidecast_simulator.traffic import Simulation

# Prometheus' third range of blocks, 2 h times 3 times 3 times 3: fewer blocks, quicker queries.
BLOCK_SECONDS = 54 * 3600
_CHUNK_TICKS = 720
TARGET_LABELS: Mapping[str, str] = {"job": "tidecast-simulator", "instance": "simulator"}


@dataclass(frozen=True, slots=True)
class Span:
    """
    The times of a recording.

    Attributes:
        start: Of the first scrape, unix seconds; counters begin one tick before.
        end: No scrape is later, unix seconds.
        scrape_seconds: The time between two scrapes.

    Raises:
        ValueError: If there is no scrape in it.
    """

    start: int
    end: int
    scrape_seconds: int = 60

    def __post_init__(self) -> None:
        if self.scrape_seconds <= 0:
            raise ValueError(f"scrape_seconds must be above 0, not {self.scrape_seconds}")
        if self.end < self.start:
            raise ValueError(f"end {self.end} lies before start {self.start}")

    @property
    def times(self) -> Floats:
        """Of all scrapes, unix seconds."""
        return np.arange(self.start, self.end + 1, self.scrape_seconds, dtype=np.float64)


def record(  # noqa: PLR0913 - every argument but two has a default or a name of its own at the call
    mesh: Mesh,
    load: Shape,
    *,
    start: int,
    end: int,
    directory: Path,
    scrape_seconds: int = 60,
    tick_seconds: float = 60.0,
    seed: int = 0,
    sources: Sequence[str] = RECORDED,
    target_labels: Mapping[str, str] = TARGET_LABELS,
    progress: bool = False,
) -> Path:
    """
    Records a mesh under a load into a Prometheus data directory, beside what is there.

    Args:
        mesh: The services and calls.
        load: Its load over time.
        start: Unix seconds of the first scrape.
        end: Unix seconds; may lie in the future.
        directory: Made when it is not there; gets one block for every 54 hours, and a `recording.json` that says
            what was recorded.
        scrape_seconds: The time between two scrapes.
        tick_seconds: The finest time at which the simulation changes.
        seed: Of the simulation.
        sources: Which exporters, see `exporting/sources.py`.
        target_labels: What Prometheus would add to every series of its target.
        progress: Whether to show a progress bar.

    Returns:
        The directory.

    Raises:
        ValueError: If the times or the sources do not fit.
    """
    span = Span(start, end, scrape_seconds)
    simulation = Simulation(mesh, load, tick_seconds=tick_seconds, seed=seed)
    directory.mkdir(parents=True, exist_ok=True)
    writer = _Writer(directory, target_labels)
    with tqdm(total=len(span.times), unit="scrapes", desc="recording", disable=not progress) as bar:
        for times, readings in scrapes(simulation, span, sources):
            writer.add(times, readings)
            bar.update(len(times))
    writer.flush()
    _describe(directory, span, simulation, {"sources": list(sources), "samples": writer.samples})
    return directory


def scrapes(simulation: Simulation, span: Span, sources: Sequence[str]) -> Iterator[tuple[Floats, Readings]]:
    """The scrapes of a span with what they read, in pieces of at most half a day."""
    exporters = exporters_of(simulation.mesh, sources)
    totals = Totals()
    tick_seconds = simulation.tick_seconds
    first = int(np.ceil(span.start / tick_seconds)) - 1
    end = int(np.ceil(span.times[-1] / tick_seconds))
    ticks_of_times = np.ceil(span.times / tick_seconds - 1e-9).astype(np.int64) - 1
    for tick in range(first, end, _CHUNK_TICKS):
        until = min(tick + _CHUNK_TICKS, end)
        traffic = simulation.between(tick, until)
        emission = _together([exporter.emit(traffic) for exporter in exporters.values()], traffic.clock)
        times = span.times[(ticks_of_times >= tick) & (ticks_of_times < until)]
        if len(times):
            yield times, totals.read(emission, traffic.clock, times)
        totals.advance(emission)


def _together(emissions: Sequence[Emission], clock: Clock) -> Emission:
    ticks = len(clock.ticks)
    counters = joined([emission.counters for emission in emissions], ticks)
    return Emission(counters, joined([emission.gauges for emission in emissions], ticks))


class _Writer:
    """Collects scrapes until a block's time is over, and writes the block."""

    def __init__(self, directory: Path, target_labels: Mapping[str, str]) -> None:
        self._directory = directory
        self._target_labels = target_labels
        self._labels: list[Labels] = []
        self._series: tuple[Series, ...] = ()
        self._times: list[NDArray[np.int64]] = []
        self._values: list[Floats] = []
        self.samples = 0

    def add(self, times: Floats, readings: Readings) -> None:
        """More scrapes, later than all before."""
        if readings.series != self._series:
            self._series = readings.series
            self._labels = [labels_of(series, self._target_labels) for series in readings.series]
        blocks = np.floor(times / BLOCK_SECONDS)
        for block in np.unique(blocks):
            if self._times and self._times[-1][-1] < block * BLOCK_SECONDS * 1000:
                self.flush()
            self._times.append(np.rint(times[blocks == block] * 1000).astype(np.int64))
            self._values.append(readings.values[:, blocks == block])

    def flush(self) -> None:
        """Writes what there is."""
        if self._times:
            values = np.concatenate(self._values, axis=1)
            self.samples += int(np.count_nonzero(~np.isnan(values)))
            write_block(self._directory, Samples(self._labels, np.concatenate(self._times), values))
            self._times.clear()
            self._values.clear()


def labels_of(series: Series, target_labels: Mapping[str, str]) -> Labels:
    """The labels of a series as Prometheus stores it; what the target says itself wins over the target's labels."""
    return tuple(sorted({**target_labels, **dict(series.labels), "__name__": series.name}.items()))


def _describe(directory: Path, span: Span, simulation: Simulation, more: Mapping[str, object]) -> None:
    description = {
        "note": "Simulated by tidecast-simulator; not a measurement.",
        "mesh": simulation.mesh.name,
        "start": span.start,
        "end": span.end,
        "scrape_seconds": span.scrape_seconds,
        "tick_seconds": simulation.tick_seconds,
        "seed": simulation.seed,
        "recorded_at": int(time.time()),
        **more,
    }
    (directory / "recording.json").write_text(json.dumps(description, indent=1))
