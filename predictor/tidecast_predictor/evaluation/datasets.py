"""
Reads recordings: one npz file each, checked key by key, so that a wrong file is told apart from a wrong forecast.

Shapes: `T` steps, `N` services, `F` features, `E` calls.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series

logger = logging.getLogger(__name__)

REQUIRED = ("data", "time", "nodes", "features", "edges")
_GAP = 1.5  # steps; where time leaps further, a new segment begins


class DatasetUnusable(Exception):
    """A file cannot be evaluated on; the text names the file, the key and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """
    A recording with a name.

    Attributes:
        name: The file's name without its ending.
        series: What was recorded.
        digest: Of all the content that methods see, hexadecimal.
        about: What the file says of itself: source, licence, real or simulated. Empty if it says nothing.
    """

    name: str
    series: Series
    digest: str
    about: Mapping[str, Any]


def read_all(paths: Sequence[Path]) -> list[Dataset]:
    """
    Read several recordings.

    Raises:
        DatasetUnusable: If one of them is unusable, or two have the same name.
    """
    datasets = [read(path) for path in paths]
    names = [dataset.name for dataset in datasets]
    for name in names:
        if names.count(name) > 1:
            raise DatasetUnusable(f"two files are called {name}.npz: results go by file name, rename one of them")
    return datasets


def read(path: Path) -> Dataset:
    """
    Read a recording.

    Required keys: `data` float (T, N, F), NaN where missing; `time` int (T,), unix seconds; `nodes` and `features`,
    names; `edges` int (E, 2), caller and callee as positions in `nodes`. Optional: `edge_weight` float (E,), positive,
    else all 1; `segment` int (T,), else one; `meta`, JSON text. Where time leaps, a new segment begins.

    Raises:
        DatasetUnusable: If the file cannot be read or its content does not fit together.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            held = {key: file[key] for key in file.files}
    except (OSError, EOFError, ValueError, AttributeError, BadZipFile) as error:
        raise DatasetUnusable(f"{path} is no npz file of plain arrays ({error}): write it with numpy.savez") from error
    for key in REQUIRED:
        if key not in held:
            raise DatasetUnusable(f"{path} lacks the key '{key}': add it; the keys it has are {sorted(held)}")
    series = _Reading(path, held).series()
    return Dataset(path.name.removesuffix(".npz"), series, _digest(series), _about(path, held))


@dataclass(frozen=True, slots=True)
class _Reading:
    path: Path
    held: dict[str, NDArray[Any]]

    def series(self) -> Series:
        data = self.held["data"]
        if data.ndim != 3 or data.dtype.kind not in "fiu" or not data.size:
            self._refuse(
                "data", f"is {data.dtype} {data.shape}", "make it numbers of shape (steps, services, features)"
            )
        values = data.astype(np.float32)
        if np.isinf(values).any():
            self._refuse("data", "holds infinite numbers", "make what is missing or undefined NaN")
        steps, services, features = values.shape
        times, segments = self._clock(steps)
        series = Series(
            values=values,
            times=times,
            step_seconds=1.0,
            segments=np.zeros(steps, np.int32),
            calls=self._calls(services),
            weights=self._weights(),
            services=self._names("nodes", services),
            features=self._names("features", features),
        )
        return self._segmented(series, segments)

    def _refuse(self, key: str, what: str, remedy: str) -> None:
        raise DatasetUnusable(f"{self.path}: '{key}' {what}: {remedy}")

    def _names(self, key: str, count: int) -> tuple[str, ...]:
        names = tuple(str(name) for name in self.held[key].ravel())
        if len(names) != count or len(set(names)) != count:
            self._refuse(key, f"holds {len(names)} names, {len(set(names))} different", f"give {count} different ones")
        return names

    def _clock(self, steps: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        times, segments = self.held["time"], self.held.get("segment", np.zeros(steps, np.int32))
        if times.shape != (steps,) or times.dtype.kind not in "iuf" or not np.isfinite(times).all():
            self._refuse("time", f"is {times.dtype} {times.shape}", f"give unix seconds of the {steps} steps")
        if segments.shape != (steps,):
            self._refuse("segment", f"has shape {segments.shape}", f"give a number for each of the {steps} steps")
        return times.astype(np.int64), segments

    def _calls(self, services: int) -> NDArray[np.int64]:
        edges = self.held["edges"]
        if edges.size == 0:
            return np.zeros((2, 0), np.int64)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            self._refuse("edges", f"is {edges.dtype} {edges.shape}", "make it whole numbers of shape (calls, 2)")
        if edges.min() < 0 or edges.max() >= services:
            self._refuse("edges", f"names service {edges.max()}", f"positions in 'nodes' go from 0 to {services - 1}")
        return np.ascontiguousarray(edges.T, dtype=np.int64)

    def _weights(self) -> NDArray[np.float32]:
        calls = len(self.held["edges"]) if self.held["edges"].size else 0
        weights = self.held.get("edge_weight", np.ones(calls, np.float32))
        if weights.shape != (calls,) or not (np.isfinite(weights) & (weights > 0)).all():
            self._refuse("edge_weight", "does not fit 'edges'", f"give {calls} positive numbers, or leave it out")
        return weights.astype(np.float32)

    def _segmented(self, series: Series, given: NDArray[Any]) -> Series:
        """With the step that is usual inside segments, and segments numbered in their order."""
        apart = np.diff(series.times)
        begins = given[1:] != given[:-1]
        inside = apart[~begins]
        if (inside <= 0).any():
            place = int(np.flatnonzero(~begins & (apart <= 0))[0]) + 1
            self._refuse("time", f"does not rise at step {place}", "sort the steps, or begin a segment there")
        if not inside.size:
            self._refuse("segment", "has a single step in each segment", "give steps that follow each other one number")
        step = float(np.median(inside))
        leaps = ~begins & (apart > _GAP * step)
        if leaps.any():
            logger.warning("%s: time leaps %d times inside segments; new ones begin there", self.path, leaps.sum())
        segments = np.concatenate([[0], np.cumsum(begins | leaps)]).astype(np.int32)
        return replace(series, step_seconds=step, segments=segments)


def _about(path: Path, held: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    if "meta" not in held:
        return {}
    try:
        about = json.loads(str(held["meta"]))
    except json.JSONDecodeError as error:
        raise DatasetUnusable(f"{path}: 'meta' is no JSON ({error}): repair it, or leave it out") from error
    return about if isinstance(about, dict) else {"meta": about}


def _digest(series: Series) -> str:
    content = hashlib.sha256()
    content.update(json.dumps([series.services, series.features, series.values.shape]).encode())
    for array in (series.values, series.times, series.segments, series.calls, series.weights):
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()
