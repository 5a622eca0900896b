"""
Reads recordings: one npz file each, checked key by key, so that a wrong file is told apart from a wrong forecast.

Shapes: `T` steps, `N` services, `F` features, `E` calls.
"""

import hashlib
import json
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series

logger = logging.getLogger(__name__)

REQUIRED = ("data", "time", "nodes", "features", "edges")
OPTIONAL = ("edge_weight", "segment", "meta")
_LATEST = 1e11  # seconds, thousands of years from now; what is larger counts smaller units
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
    else all 1; `segment` int (T,), else one; `meta`, JSON text. Other keys are not looked at. Where time leaps, a new
    segment begins.

    Raises:
        DatasetUnusable: If the file cannot be read or its content does not fit together.
    """
    held = _held(path)
    for key in REQUIRED:
        if key not in held:
            raise DatasetUnusable(f"{path} lacks the key '{key}': add it; the keys it has are {sorted(held)}")
    series = _Reading(path, held).series()
    return Dataset(path.name.removesuffix(".npz"), series, _digest(series), _about(path, held))


def _held(path: Path) -> dict[str, NDArray[Any]]:
    """What the file holds under the keys that are known; an array of objects under another one does no harm."""
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, NpzFile):
                raise DatasetUnusable(f"{path} holds a single array: write all of them with numpy.savez")
            return {key: _array(path, file, key) for key in (*REQUIRED, *OPTIONAL) if key in file.files}
    except OSError as error:
        raise DatasetUnusable(
            f"{path} cannot be read ({error.strerror or error}): check path and permissions"
        ) from error
    except (EOFError, ValueError, BadZipFile) as error:
        raise DatasetUnusable(f"{path} is no npz file, or not all of one: write it with numpy.savez") from error


def _array(path: Path, file: NpzFile, key: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file[key]
    except (OSError, EOFError, ValueError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise DatasetUnusable(
            f"{path}: '{key}' cannot be read ({error}): write it again with numpy.savez, as numbers or as text"
        ) from error
    return array


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
        with np.errstate(over="ignore"):
            values = data.astype(np.float32)
        endless = np.isinf(values)
        if endless.any():
            logger.warning("%s: 'data' holds %d infinite numbers; they count as missing", self.path, endless.sum())
            values[endless] = np.nan
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
        names = tuple(_text(name) for name in self.held[key].ravel())
        if len(names) != count or len(set(names)) != count:
            self._refuse(key, f"holds {len(names)} names, {len(set(names))} different", f"give {count} different ones")
        return names

    def _clock(self, steps: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        times, segments = self.held["time"], self.held.get("segment", np.zeros(steps, np.int32))
        if times.shape != (steps,) or times.dtype.kind not in "iuf" or not np.isfinite(times).all():
            self._refuse("time", f"is {times.dtype} {times.shape}", f"give unix seconds of the {steps} steps")
        if times.dtype.kind == "f" and (times.dtype.itemsize < 8 or (times != np.floor(times)).any()):
            what = f"is {times.dtype}, which" if times.dtype.itemsize < 8 else "has fractions, and"
            self._refuse("time", f"{what} cannot tell whole seconds", "save it as int64 unix seconds")
        if np.abs(times.astype(np.float64)).max() > _LATEST:
            self._refuse("time", f"reaches {times.max():.4g}", "give unix seconds, not milliseconds or smaller")
        if segments.shape != (steps,):
            self._refuse("segment", f"has shape {segments.shape}", f"give a number for each of the {steps} steps")
        if segments.dtype.kind == "f" and np.isnan(segments).any():
            self._refuse("segment", "holds NaN", f"give a number for each of the {steps} steps")
        return times.astype(np.int64), segments

    def _calls(self, services: int) -> NDArray[np.int64]:
        edges = self.held["edges"]
        if edges.size == 0:
            return np.zeros((2, 0), np.int64)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            self._refuse("edges", f"is {edges.dtype} {edges.shape}", "make it whole numbers of shape (calls, 2)")
        beyond = edges[(edges < 0) | (edges >= services)]
        if beyond.size:
            self._refuse("edges", f"names service {beyond[0]}", f"positions in 'nodes' go from 0 to {services - 1}")
        return np.ascontiguousarray(edges.T, dtype=np.int64)

    def _weights(self) -> NDArray[np.float32]:
        calls = len(self.held["edges"]) if self.held["edges"].size else 0
        weights = self.held.get("edge_weight", np.ones(calls, np.float32))
        remedy = f"give {calls} positive numbers, or leave it out"
        if weights.shape != (calls,) or weights.dtype.kind not in "fiu":
            self._refuse("edge_weight", f"is {weights.dtype} {weights.shape}, which does not fit 'edges'", remedy)
        wrong = np.flatnonzero(np.isinf(weights) | (weights < 0))
        if wrong.size:
            self._refuse("edge_weight", f"holds {weights[wrong[0]]} for call {wrong[0]}", remedy)
        with np.errstate(over="ignore"):
            weights = weights.astype(np.float32)
        counted = (weights > 0) & np.isfinite(weights)
        if not counted.all():
            # That nobody was seen to call is no proof that nobody can.
            logger.warning(
                "%s: 'edge_weight' has %d calls without a weight; they get the smallest", self.path, (~counted).sum()
            )
            weights = np.where(counted, weights, weights[counted].min() if counted.any() else np.float32(1))
        return weights

    def _segmented(self, series: Series, given: NDArray[Any]) -> Series:
        """With the step that is usual inside segments, and segments numbered in their order."""
        apart = np.diff(series.times)
        begins = given[1:] != given[:-1]
        inside = apart[~begins]
        if (inside <= 0).any():
            place = int(np.flatnonzero(~begins & (apart <= 0))[0]) + 1
            self._refuse(
                "time", f"does not rise by whole seconds at step {place}", "sort the steps, or begin a segment there"
            )
        if not inside.size:
            key, remedy = "segment", "give steps that follow each other one number"
            if len(series.times) == 1:
                key, remedy = "data", "record more than one step"
            self._refuse(key, "has a single step in each segment", remedy)
        step = float(np.median(inside))
        leaps = ~begins & (apart > _GAP * step)
        if leaps.any():
            logger.warning(
                "%s: time leaps %d times inside segments, and no window crosses that; where steps are missing, put in "
                "rows of NaN",
                *(self.path, leaps.sum()),
            )
        segments = np.concatenate([[0], np.cumsum(begins | leaps)]).astype(np.int32)
        return replace(series, step_seconds=step, segments=segments)


def _about(path: Path, held: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    if "meta" not in held:
        return {}
    text = _text(held["meta"].item() if held["meta"].size == 1 else held["meta"])
    try:
        about = json.loads(text)
    except json.JSONDecodeError as error:
        logger.warning("%s: 'meta' is no JSON (%s); it is kept as text", path, error)
        about = text
    return about if isinstance(about, dict) else {"meta": about}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _digest(series: Series) -> str:
    content = hashlib.sha256()
    content.update(json.dumps([series.services, series.features, series.values.shape]).encode())
    for array in (series.values, series.times, series.segments, series.calls, series.weights):
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()
