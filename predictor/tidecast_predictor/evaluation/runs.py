"""
Keeps what is finished: one file a run, so that an evaluation that was interrupted goes on where it stopped.

A file's name is the hash of what its numbers depend on: the data, the settings, the method, its seed and its code.
Numbers made otherwise have other names and are never read.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tidecast_predictor.evaluation.scoring import Errors, Moments, Truths, arrays_of

_SOURCES = (".cpp", ".h")
FORMAT = 1

Identity = Mapping[str, Any]
"""What numbers depend on; plain JSON."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """
    One method with one seed on one recording.

    Attributes:
        test: Errors in the test part.
        validation: Errors in the validation part.
        fit_seconds: Wall time of learning.
        forecast_seconds: Wall time of answering both parts.
    """

    test: Errors
    validation: Errors
    fit_seconds: float
    forecast_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """
    What all methods are compared on in one part of a recording.

    Attributes:
        moments: Which count.
        truths: What came true at them.
    """

    moments: Moments
    truths: Truths


class Shelf:
    """Finished runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._used: set[str] = set()

    @property
    def others(self) -> int:
        """How many files belong to other data, settings, methods or versions of the code, as far as was asked."""
        return len({path.name for path in self._folder.glob("*.npz")} - self._used)

    def run(self, identity: Identity) -> Run | None:
        """The run with this identity; None if it is not finished."""
        held = self._read(identity)
        if held is None:
            return None
        fit_seconds, forecast_seconds = held["seconds"]
        return Run(_errors(held, "test"), _errors(held, "validation"), float(fit_seconds), float(forecast_seconds))

    def put_run(self, identity: Identity, run: Run) -> None:
        """Keep a run."""
        arrays = arrays_of(run.test, "test") | arrays_of(run.validation, "validation")
        self._write(identity, arrays | {"seconds": np.array([run.fit_seconds, run.forecast_seconds])})

    def grounds(self, identity: Identity) -> tuple[Ground, Ground] | None:
        """The grounds of test and validation; None if they are not known yet."""
        held = self._read(identity)
        return None if held is None else (_ground(held, "test"), _ground(held, "validation"))

    def put_grounds(self, identity: Identity, test: Ground, validation: Ground) -> None:
        """Keep the grounds of a recording."""
        arrays: dict[str, Any] = {}
        for name, ground in (("test", test), ("validation", validation)):
            arrays |= arrays_of(ground.truths, name)
            arrays[f"{name}.bits"] = ground.moments.bits
            arrays[f"{name}.shape"] = np.array([*ground.moments.shape, ground.moments.known])
        self._write(identity, arrays)

    def _read(self, identity: Identity) -> dict[str, Any] | None:
        name = f"{key(identity)}.npz"
        self._used.add(name)
        try:
            with (self._folder / name).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                held = {each: file[each] for each in file.files}
        except (OSError, EOFError, ValueError, BadZipFile):
            return None  # not finished, or damaged: it is made anew
        return held if held and str(held.pop("identity", "")) == _text(identity) else None

    def _write(self, identity: Identity, arrays: Mapping[str, Any]) -> None:
        name = f"{key(identity)}.npz"
        beside = self._folder / f"{name}.{os.getpid()}.part"
        try:
            with beside.open("wb") as file:
                np.savez_compressed(file, identity=np.array(_text(identity)), **arrays)
            beside.replace(self._folder / name)
        finally:
            beside.unlink(missing_ok=True)
        self._used.add(name)


def key(identity: Identity) -> str:
    """A name that differs when anything in *identity* does."""
    return hashlib.sha256(_text(identity).encode()).hexdigest()[:24]


def digest_of(modules: Sequence[str]) -> str:
    """Of the source of some modules, or of all there is in a folder, so that numbers of older code are not taken for those of today's."""
    content = hashlib.sha256()
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        if spec.origin is not None:
            content.update(Path(spec.origin).read_bytes())
        else:  # a folder without a module of its own, as that of the compiled code
            folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
            for path in sorted(path for folder in folders for path in folder.iterdir() if path.suffix in _SOURCES):
                content.update(path.read_bytes())
    return content.hexdigest()[:16]


def _text(identity: Identity) -> str:
    return json.dumps({"format": FORMAT, **identity}, sort_keys=True)


def _errors(held: Mapping[str, Any], part: str) -> Errors:
    names = ("absolute", "square", "quantile", "covered", "filled")
    return Errors(**{name: held[f"{part}.{name}"] for name in names})


def _ground(held: Mapping[str, Any], part: str) -> Ground:
    services, features, horizon, known = (int(number) for number in held[f"{part}.shape"])
    names = ("count", "total", "square", "size", "low", "high")
    truths = Truths(**{name: held[f"{part}.{name}"] for name in names})
    return Ground(Moments(held[f"{part}.bits"], (services, features, horizon), known), truths)
