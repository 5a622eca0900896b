"""
Prometheus data directories, read by Prometheus' own tool.
"""

import subprocess
from pathlib import Path

from tidecast_simulator.testbed import binaries


def dumped(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """All samples of a data directory as promtool reads them, by series."""
    (directory / "wal").mkdir(exist_ok=True)
    command = [binaries.find("promtool"), "tsdb", "dump", str(directory)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    series: dict[str, list[tuple[int, float]]] = {}
    for line in text.splitlines():
        labels, _, rest = line.rpartition("} ")
        value, time = rest.split()
        series.setdefault(labels, []).append((int(time), float(value)))
    return series
