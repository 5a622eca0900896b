"""
The sums over past forecasts in a file, so that they outlive a restart. Forecasts that wait for their moments are not kept.
"""

import json
import logging
import os
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from tidecast_contract.forecast import ModelKind
from tidecast_contract.services import ServiceId
from tidecast_operator.trust.record import Record
from tidecast_operator.trust.sums import Sums

_log = logging.getLogger(__name__)
_FORMAT = 3
_NAME = "trust.npz"
_PARTS = ("long", "middle", "short")


class Store:
    """
    One file in a folder.

    Args:
        folder: Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def save(self, record: Record) -> None:
        """Replaces the file as a whole, or leaves it as it is where that cannot be done."""
        head = {
            "format": _FORMAT,
            "step_seconds": record.step_seconds,
            "offsets": record.offsets,
            "time": record.time,
            "services": [(one.namespace, one.kind, one.name) for one in record.services],
            "kinds": record.kinds,
        }
        arrays = {f"{part}_{name}": values for part in _PARTS for name, values in getattr(record, part).items()}
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, head=np.frombuffer(json.dumps(head).encode(), np.uint8), drifts=record.drifts, **arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            _log.warning("what came of past forecasts cannot be kept in %s: %s", self._path, error)

    def load(self) -> Record | None:
        """What was saved; None if nothing was, or it cannot be read."""
        try:
            with self._path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                head = json.loads(file["head"].tobytes())
                if head["format"] != _FORMAT:
                    return None
                sums = {
                    part: Sums(**{field.name: file[f"{part}_{field.name}"] for field in fields(Sums)})
                    for part in _PARTS
                }
                record = Record(
                    step_seconds=head["step_seconds"],
                    offsets=tuple(head["offsets"]),
                    services=tuple(ServiceId(*one) for one in head["services"]),
                    time=head["time"],
                    long=sums["long"],
                    middle=sums["middle"],
                    short=sums["short"],
                    drifts=file["drifts"],
                    kinds=tuple(ModelKind(one) for one in head["kinds"]),
                )
                return record if record.is_sound else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            _log.warning("what is kept of past forecasts in %s cannot be read and begins anew: %s", self._path, error)
            return None
