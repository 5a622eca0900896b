"""
Makes a recording of what a Prometheus holds: in chunks, with the operator's own queries, into a file.

Only one chunk at a time is in memory. Shapes: `T` steps, `N` services, `F` features.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator import snapshots
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.doors import Collects
from tidecast_operator.errors import NotEnoughData
from tidecast_operator.replaying.cluster_reading import KUBECTL, Labels
from tidecast_operator.replaying.recording import Recording
from tidecast_operator.telemetry.observations import Observations
from tidecast_operator.telemetry.series import Grid

_CHUNK_SECONDS = 6 * 3600
_CHUNK_LEAST_STEPS = 15
_CHUNK_CELLS = 2_000_000  # services times steps: 56 MB of values


class Detects(Collects, Protocol):
    """What is needed of a collector."""

    def detect(self, *, at: float | None = None) -> tuple[str, ...]:
        """Looks for sources that had data at a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something has come: *done* of *total* steps."""

    done: int
    total: int


def fetch(
    collector: Detects,
    grid: Grid,
    folder: Path,
    *,
    workloads: WorkloadIndex | None,
    tell: Callable[[Progress], None],
) -> Recording:
    """
    What was measured at the steps of *grid*.

    Args:
        collector: Whom to ask; synchronous.
        grid: The steps.
        folder: Takes the measurements; needs 28 bytes for each step and service.
        workloads: Those of the cluster; None takes them as the labels tell.
        tell: Is told of progress.

    Raises:
        PrometheusUnavailable: If Prometheus cannot be asked.
        NotEnoughData: If there is nothing of that time, or no workload is named in it.
    """
    parts = []
    for number, snapshot in enumerate(_chunks(collector, grid, workloads)):
        path = folder / f"part-{number}.npy"
        np.save(path, snapshot.values)
        parts.append(_Part(path, snapshot.start_time, snapshot.steps, snapshot.services, _calls_of(snapshot)))
        tell(Progress((snapshot.end_time - grid.start_time) // grid.step_seconds + 1, grid.steps))
    services = tuple(dict.fromkeys(service for part in parts for service in part.services))
    if not any(not service.is_external for service in services):
        raise NotEnoughData(
            "Prometheus knows of no workload that was called in that time; correct --from and --to, or, where labels do "
            f"not name workloads, give --objects with what this writes: {KUBECTL}"
        )
    calls, rates = _mean_calls(parts, services, grid.steps)
    values = _together(parts, services, grid, folder / "values.npy")
    return Recording("Prometheus", grid.start_time, grid.step_seconds, services, values, calls, rates)


@dataclass(frozen=True, slots=True)
class _Part:
    """A chunk whose values lie in a file."""

    path: Path
    start_time: int
    steps: int
    services: tuple[ServiceId, ...]
    calls: dict[tuple[ServiceId, ServiceId], float]


def _chunks(collector: Detects, grid: Grid, workloads: WorkloadIndex | None) -> Iterator[Snapshot]:
    labels, rest, services = Labels(), grid, 1
    while True:
        by_size = _CHUNK_CELLS // services
        part = rest.first(max(_CHUNK_LEAST_STEPS, min(by_size, _CHUNK_SECONDS // grid.step_seconds)))
        # Which sources had data changes over days, and may not be the same now.
        if collector.detect(at=part.end_time):
            observations: Observations = collector.collect(part.start_time, part.end_time, part.step_seconds)
            index = labels.seen(observations) if workloads is None else workloads
            built = snapshots.build(observations, index).snapshot
            services = max(1, len(built.services))
            yield built
        left = rest.after(part)
        if left is None:
            return
        rest = left


def _calls_of(snapshot: Snapshot) -> dict[tuple[ServiceId, ServiceId], float]:
    pairs = zip(*snapshot.calls.tolist(), snapshot.rates.tolist(), strict=True)
    return {(snapshot.services[caller], snapshot.services[callee]): rate for caller, callee, rate in pairs}


def _mean_calls(
    parts: list[_Part], services: tuple[ServiceId, ...], steps: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Who called whom at any time, and how often on the average of all of it."""
    place = {service: row for row, service in enumerate(services)}
    total: defaultdict[tuple[int, int], float] = defaultdict(float)
    for part in parts:
        for (caller, callee), rate in part.calls.items():
            total[place[caller], place[callee]] += rate * part.steps / steps
    calls = np.ascontiguousarray(np.array(list(total), np.int64).reshape(-1, 2).T)
    return calls, np.array(list(total.values()), np.float32)


def _together(parts: list[_Part], services: tuple[ServiceId, ...], grid: Grid, path: Path) -> NDArray[np.float32]:
    shape = (grid.steps, len(services), len(FEATURES))
    values: NDArray[np.float32] = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    place = {service: row for row, service in enumerate(services)}
    for part in parts:
        begin = (part.start_time - grid.start_time) // grid.step_seconds
        rows = values[begin : begin + part.steps]
        rows[:] = np.nan
        rows[:, [place[service] for service in part.services]] = np.load(part.path)
        part.path.unlink()
    known = np.zeros(grid.steps, np.bool_)
    for part in parts:
        begin = (part.start_time - grid.start_time) // grid.step_seconds
        known[begin : begin + part.steps] = True
    values[~known] = np.nan
    return values
