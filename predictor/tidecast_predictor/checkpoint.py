"""
A trained model on disk: weights as safetensors, everything that gives them meaning as JSON beside them.

Never a pickle: loading a checkpoint runs no code. What does not fit this predictor is refused, with what differs.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, ModelInfo, ModelKind
from tidecast_contract.wire import CONTRACT_VERSION
from tidecast_predictor.config import Architecture
from tidecast_predictor.model import GcnGru
from tidecast_predictor.scaling import SCALES, Pool
from tidecast_predictor.scores import Scores

FORMAT = 6
KEPT = 3

_WEIGHTS, _FACTS = "model.safetensors", "checkpoint.json"

logger = logging.getLogger(__name__)


class CheckpointRefused(Exception):
    """A checkpoint is damaged or was made for something else; the text says what differs."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """
    A trained model and what is known about it.

    Attributes:
        model: Calibrated, in evaluation mode.
        pool: What is usual among the services it was trained on.
        scores: On the part of history that was held out, when it was calibrated.
        start_time: Of the history that its network was trained on, unix seconds.
        end_time: Of that history, unix seconds.
        updates: Optimiser steps taken.
        trained_time: When the training ended, or the last one that it outdid, after which it was calibrated anew; unix seconds.
        version: Names it: `trained_time`, and a digest of its weights.
    """

    model: GcnGru
    pool: Pool
    scores: Scores
    start_time: int
    end_time: int
    updates: int
    trained_time: int
    version: str

    @property
    def history_seconds(self) -> int:
        """How long the history was that its network was trained on."""
        return self.end_time - self.start_time + self.model.architecture.step_seconds

    @property
    def info(self) -> ModelInfo:
        """What is told about this model while it is served."""
        return ModelInfo(
            kind=ModelKind.GCN_GRU,
            version=self.version,
            trained_time=self.trained_time,
            reason=self.scores.describe(),
            error=self.scores.error,
            naive_error=self.scores.naive_error,
        )


def version_of(model: GcnGru, trained_time: int) -> str:
    """A name that sorts by time and tells two models of one second apart."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(trained_time))}-{digest.hexdigest()[:4]}"


def save(checkpoint: Checkpoint, directory: Path) -> Path:
    """Write *checkpoint* into a folder of its own in *directory*, all or nothing; returns the folder."""
    directory.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.model.state_dict().items()}
    save_file(weights, beside / _WEIGHTS)
    (beside / _FACTS).write_text(json.dumps(_facts(checkpoint), indent=2) + "\n")
    for name in (_WEIGHTS, _FACTS):
        _sync(beside / name)
    target = directory / checkpoint.version
    shutil.rmtree(target, ignore_errors=True)
    beside.replace(target)
    _sync(directory)
    return target


def load(folder: Path) -> Checkpoint:
    """
    Read the checkpoint in *folder*.

    Raises:
        CheckpointRefused: If it is damaged, or made for other features, another scale or another contract.
    """
    try:
        facts = json.loads((folder / _FACTS).read_text())
        weights = load_file(folder / _WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointRefused(f"{folder.name} cannot be read: {error}") from error
    for name, expected in _expected().items():
        found = facts.get(name) if isinstance(facts, dict) else None
        if found != expected:
            raise CheckpointRefused(f"{folder.name} has {name} {found}; this predictor needs {expected}")
    try:
        return _build(facts, weights)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointRefused(f"{folder.name} does not fit together: {error}") from error


def newest(directory: Path) -> Checkpoint | None:
    """The newest checkpoint in *directory* that can be served; those that cannot are named in the log."""
    for folder in _folders(directory):
        try:
            return load(folder)
        except CheckpointRefused as refusal:
            logger.warning("checkpoint is passed over: %s", refusal)
    return None


def prune(directory: Path) -> None:
    """Remove all but the newest `KEPT` checkpoints in *directory*."""
    for folder in _folders(directory)[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _folders(directory: Path) -> list[Path]:
    """Newest first."""
    if not directory.is_dir():
        return []
    return sorted(
        (path for path in directory.iterdir() if (path / _FACTS).is_file() and path.name[0] != "."), reverse=True
    )


def _expected() -> dict[str, Any]:
    """What every checkpoint must hold just so."""
    return {
        "format": FORMAT,
        "contractVersion": CONTRACT_VERSION,
        "features": [
            {"name": feature.name, "unit": feature.unit, "scale": asdict(scale)}
            for feature, scale in zip(FEATURES, SCALES, strict=True)
        ],
        "forecastFeatures": [feature.name for feature in FORECAST_FEATURES],
        "quantiles": list(QUANTILES),
    }


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return _expected() | {
        "version": checkpoint.version,
        "trainedTime": checkpoint.trained_time,
        "history": {"startTime": checkpoint.start_time, "endTime": checkpoint.end_time},
        "updates": checkpoint.updates,
        "architecture": asdict(checkpoint.model.architecture),
        "pool": {"spread": checkpoint.pool.spread.tolist(), "change": checkpoint.pool.change.tolist()},
        "scores": asdict(checkpoint.scores),
    }


def _build(facts: Mapping[str, Any], weights: dict[str, torch.Tensor]) -> Checkpoint:
    shape = facts["architecture"]
    lists = {name: tuple(shape[name]) for name in ("periods", "quantiles")}
    model = GcnGru(Architecture(**(shape | lists)))
    model.load_state_dict(weights)
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"{broken[0]} is not finite")
    if model.architecture.quantiles != QUANTILES:
        raise ValueError(f"its model's quantiles are {model.architecture.quantiles}, not {QUANTILES}")
    if version_of(model, facts["trainedTime"]) != facts["version"]:
        raise ValueError(f"its weights are not those of version {facts['version']}")
    scores = facts["scores"]
    naive_errors = {ModelKind(kind): error for kind, error in scores["naive_errors"].items()}
    pool = Pool(*(np.array(facts["pool"][name], dtype=np.float32) for name in ("spread", "change")))
    if pool.spread.shape != (len(FEATURES),) or pool.change.shape != (len(FEATURES),):
        raise ValueError(f"pool does not hold {len(FEATURES)} features")
    return Checkpoint(
        model=model.eval(),
        pool=pool,
        scores=Scores(**(scores | {"naive_errors": naive_errors})),
        start_time=facts["history"]["startTime"],
        end_time=facts["history"]["endTime"],
        updates=facts["updates"],
        trained_time=facts["trainedTime"],
        version=facts["version"],
    )


def _sync(path: Path) -> None:
    """Have the disk hold *path* before anything is renamed over it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
