"""
A real Prometheus with exactly the samples that a test writes down.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.snapshots import MIDDAY
from tidecast_simulator.testbed import binaries

SCRAPE_SECONDS = 15
START = MIDDAY - 1800
"""Recordings begin half an hour before `MIDDAY`."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    A series and its samples.

    Attributes:
        name: The metric.
        labels: Its labels.
        samples: Time, unix seconds, and value as OpenMetrics writes it.
    """

    name: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[int, object]]

    def text(self) -> str:
        """In OpenMetrics."""
        labels = ",".join(f'{label}="{value}"' for label, value in self.labels.items())
        return "".join(f"{self.name}{{{labels}}} {value} {time}\n" for time, value in self.samples)


def scrapes(start: int = START, end: int = MIDDAY, every: int = SCRAPE_SECONDS) -> range:
    """The times of scrapes."""
    return range(start, end + 1, every)


def counter(name: str, per_second: float, times: Sequence[int] | None = None, **labels: str) -> Recorded:
    """A counter that rises steadily from zero at its first scrape."""
    times = scrapes() if times is None else times
    return Recorded(name, labels, [(time, per_second * (time - times[0])) for time in times])


def gauge(name: str, value: object, times: Sequence[int] | None = None, **labels: str) -> Recorded:
    """A gauge that never changes."""
    return Recorded(name, labels, [(time, value) for time in (scrapes() if times is None else times)])


def histogram(name: str, per_second: Mapping[str, float], **labels: str) -> list[Recorded]:
    """A classic histogram by upper bounds, to which so many observations a second are added in each bucket."""
    rows, below = [], 0.0
    for bound, rate in per_second.items():
        below += rate
        rows.append(counter(f"{name}_bucket", below, le=bound, **labels))
    return rows


def store(directory: Path, series: Sequence[Recorded]) -> Path:
    """A storage folder for Prometheus with these series."""
    # Samples of one series must rise in time, so all series go by time.
    lines = sorted(
        (
            (time, Recorded(each.name, each.labels, [(time, value)]).text())
            for each in series
            for time, value in each.samples
        ),
        key=lambda line: line[0],
    )
    text = directory / "recording.om"
    text.write_text("".join(line for _, line in lines) + "# EOF\n")
    storage = directory / "storage"
    promtool = [str(binaries.find("promtool")), "tsdb", "create-blocks-from", "openmetrics", str(text), str(storage)]
    subprocess.run(promtool, check=True, capture_output=True, timeout=60)
    return storage
