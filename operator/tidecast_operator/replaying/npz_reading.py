"""
Reads recordings from npz files, in the form that `docs/evaluation.md` describes.

Each file is checked key by key, so that a wrong file is told apart from a hint that was wrong.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import (
    CPU,
    ERRORS,
    FEATURES,
    LATENCY_P50,
    LATENCY_P95,
    MEMORY,
    READY_REPLICAS,
    REQUESTS,
    Feature,
    index_of,
)
from tidecast_contract.services import ServiceId
from tidecast_operator.errors import Misconfigured
from tidecast_operator.replaying.recording import Recording

_FLAG = "--recording"
_REQUIRED = ("data", "time", "nodes", "features", "edges")
_MAX_CELLS = 2_000_000_000  # services times steps times features: 8 GB
_COLUMNS: Mapping[str, tuple[Feature, float]] = {
    "rps": (REQUESTS, 1.0),
    "p50_ms": (LATENCY_P50, 1e-3),
    "p95_ms": (LATENCY_P95, 1e-3),
    "error_rate": (ERRORS, 1.0),
    "cpu": (CPU, 1e-3),
    "mem": (MEMORY, 2.0**20),
    "replicas": (READY_REPLICAS, 1.0),
    **{feature.name: (feature, 1.0) for feature in FEATURES},
}
"""What columns may be called, and what brings them to the feature's unit."""


def read(path: Path) -> Recording:
    """
    The recording in a file; where its time leaps there are steps without measurements.

    Raises:
        Misconfigured: If the file cannot be read, or its content does not fit together.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            held = {key: file[key] for key in file.files}
    except (OSError, EOFError, ValueError, AttributeError, BadZipFile) as error:
        raise Misconfigured(
            _FLAG, f"{path} is no npz file of plain arrays ({error})", "write it with numpy.savez, or name another"
        ) from error
    return _Reading(path, held).recording()


@dataclass(frozen=True, slots=True)
class _Reading:
    path: Path
    held: dict[str, NDArray[Any]]

    def recording(self) -> Recording:
        for key in _REQUIRED:
            if key not in self.held:
                self._refuse(key, "is missing", f"add it; the keys there are {', '.join(sorted(self.held))}")
        data = self.held["data"]
        if data.ndim != 3 or data.dtype.kind not in "fiu" or not data.size:
            self._refuse(
                "data", f"is {data.dtype} {data.shape}", "make it numbers of shape (steps, services, features)"
            )
        services = self._services(data.shape[1])
        start_time, step_seconds, rows = self._clock(len(data))
        calls, rates = self._calls(len(services))
        return Recording(
            name=self.path.name,
            start_time=start_time,
            step_seconds=step_seconds,
            services=services,
            values=self._values(data, rows),
            calls=calls,
            rates=rates,
            about=self._about(),
        )

    def _refuse(self, key: str, problem: str, remedy: str) -> NoReturn:
        raise Misconfigured(_FLAG, f"'{key}' of {self.path} {problem}", remedy)

    def _services(self, count: int) -> tuple[ServiceId, ...]:
        names = [str(name) for name in self.held["nodes"].ravel()]
        if len(names) != count or len(set(names)) != count:
            self._refuse("nodes", f"holds {len(names)} names", f"give {count} different ones")
        services = tuple(_service(name) for name in names)
        if len(set(services)) != count:
            self._refuse("nodes", "names two services alike", "write each as namespace/kind/name")
        return services

    def _values(self, data: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        names = [str(name) for name in self.held["features"].ravel()]
        if len(names) != data.shape[2]:
            self._refuse("features", f"holds {len(names)} names", f"give {data.shape[2]}")
        if not {_COLUMNS[name][0] for name in names if name in _COLUMNS} & {REQUESTS, CPU}:
            self._refuse("features", f"are {', '.join(names)}", "one of them has to be rps or cpu (millicores)")
        steps = int(rows[-1]) + 1
        if steps * data.shape[1] * len(FEATURES) > _MAX_CELLS:
            self._refuse("time", f"covers {steps} steps with its gaps", "keep only the days that belong together")
        values = np.full((steps, data.shape[1], len(FEATURES)), np.nan, np.float32)
        for column, name in enumerate(names):
            if name in _COLUMNS:
                feature, scale = _COLUMNS[name]
                values[rows, :, index_of(feature)] = data[:, :, column] * np.float32(scale)
        # What is infinite or below 0 was not measured.
        values[~np.isfinite(values) | (values < 0)] = np.nan
        return values

    def _clock(self, steps: int) -> tuple[int, int, NDArray[np.int64]]:
        times = self.held["time"]
        if times.shape != (steps,) or times.dtype.kind not in "iuf" or not np.isfinite(times).all() or steps < 2:
            self._refuse(
                "time", f"is {times.dtype} {times.shape}", f"give unix seconds of the {steps} steps, two or more"
            )
        seconds = times.astype(np.int64)
        apart = np.diff(seconds)
        if (apart <= 0).any():
            place = int(np.flatnonzero(apart <= 0)[0]) + 1
            self._refuse("time", f"does not rise at step {place}", "sort the steps, or write one file for each segment")
        step_seconds = int(np.median(apart))
        # A snapshot's times are multiples of its step; none moves by more than one step.
        places = seconds // step_seconds
        if (np.diff(places) <= 0).any():
            self._refuse("time", f"has steps closer than {step_seconds} s", "write it on one grid of steps")
        return int(places[0]) * step_seconds, step_seconds, places - places[0]

    def _calls(self, services: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        edges = self.held["edges"]
        if not edges.size:
            return np.zeros((2, 0), np.int64), np.zeros(0, np.float32)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            self._refuse("edges", f"is {edges.dtype} {edges.shape}", "make it whole numbers of shape (calls, 2)")
        if edges.min() < 0 or edges.max() >= services:
            self._refuse("edges", f"names service {edges.max()}", f"positions in 'nodes' go from 0 to {services - 1}")
        rates = self.held.get("edge_weight", np.ones(len(edges), np.float32)).astype(np.float32)
        if rates.shape != (len(edges),) or not (np.isfinite(rates) & (rates >= 0)).all():
            self._refuse("edge_weight", "does not fit 'edges'", f"give {len(edges)} numbers from 0 on, or leave it out")
        pairs, first = np.unique(edges.astype(np.int64), axis=0, return_index=True)
        return np.ascontiguousarray(pairs.T), rates[first]

    def _about(self) -> Mapping[str, Any]:
        if "meta" not in self.held:
            return {}
        try:
            about = json.loads(str(self.held["meta"]))
        except json.JSONDecodeError as error:
            self._refuse("meta", f"is no JSON ({error})", "repair it, or leave it out")
        return about if isinstance(about, dict) else {"meta": about}


def _service(name: str) -> ServiceId:
    parts = name.split("/")
    if len(parts) == 3 and parts[1] and parts[2]:
        return ServiceId(*parts)
    return ServiceId("recording", "Deployment", name.replace("/", "_") or "_")
