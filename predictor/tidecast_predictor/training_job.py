"""
What the process of a training is told, as files: settings, a graph, and history as an array that need not fit in memory.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.history import History
from tidecast_predictor.recording import let_go

_JOB, _GRAPH, _VALUES = "job.json", "graph.npz", "values.npy"
_STEPS_AT_ONCE = 360


@dataclass(frozen=True, slots=True)
class _Job:
    """What is told to the process, beside the arrays."""

    end_time: int
    step_seconds: int
    services: list[str]
    settings: TrainingSettings
    deadline: float


def write_job(  # noqa: PLR0913 - where, what of it, how, and until when
    folder: Path, history: History, graph: Snapshot, settings: TrainingSettings, *, start_time: int, deadline: float
) -> None:
    """
    Write what `read_job` reads.

    Args:
        folder: Into it.
        history: What is learnt from.
        graph: At the last step to learn from: which services, and who calls whom.
        settings: How to go about it.
        start_time: Of the first step to learn from, unix seconds.
        deadline: Until when, unix seconds.

    Raises:
        OSError: If the disk has no room for it.
    """
    job = _Job(graph.end_time, graph.step_seconds, [str(service) for service in graph.services], settings, deadline)
    times = np.arange(start_time, graph.end_time + 1, graph.step_seconds, dtype=np.int64)
    _write_values(folder / _VALUES, history, graph.services, times)
    np.savez(folder / _GRAPH, calls=graph.calls, rates=graph.rates)
    (folder / _JOB).write_text(json.dumps(asdict(job)))


def read_job(folder: Path) -> tuple[Snapshot, TrainingSettings, float]:
    """The recording to learn from, its values mapped as (N, T, F); how to go about it; until when, unix seconds."""
    job = json.loads((folder / _JOB).read_text())
    with np.load(folder / _GRAPH, allow_pickle=False) as graph:
        calls, rates = graph["calls"], graph["rates"]
    recording = Snapshot(
        end_time=job["end_time"],
        step_seconds=job["step_seconds"],
        services=tuple(ServiceId.parse(text) for text in job["services"]),
        values=np.load(folder / _VALUES, mmap_mode="r", allow_pickle=False).swapaxes(0, 1),
        calls=calls,
        rates=rates,
    )
    return recording, TrainingSettings(**job["settings"]), job["deadline"]


def _write_values(path: Path, history: History, services: Sequence[ServiceId], times: NDArray[np.int64]) -> None:
    """
    Write what *history* holds, (N, T, F), so that the steps of each service lie together, a few steps at a time.

    Raises:
        OSError: If the disk has no room for it.
    """
    shape = (len(services), len(times), len(FEATURES))
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    with path.open("r+b") as file:  # a map that runs out of disk ends the process
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    # Weeks of many services take seconds to read; forecasts get their turn in between.
    for begin in range(0, len(times), _STEPS_AT_ONCE):
        part = slice(begin, begin + _STEPS_AT_ONCE)
        values[:, part] = history.values_at(services, times[part]).swapaxes(0, 1)
        let_go(values)
