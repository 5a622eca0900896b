"""
The history of snapshots that training learns from and that seasonal inputs look into.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus


class History:
    """
    Every step that was measured within the last `limit_seconds`. Safe to use from several threads.

    Args:
        directory: Where it is kept, so that it survives a restart; None keeps it in memory.
        limit_seconds: Older steps are forgotten, a day at a time.
    """

    def __init__(self, directory: Path | None, *, limit_seconds: int) -> None:
        raise NotImplementedError

    def append(self, snapshot: Snapshot) -> None:
        """
        Take in the steps of *snapshot*; steps that are held already are overwritten for its services.

        Unknown services are added. Steps between what is held and *snapshot* stay missing (NaN). A snapshot with
        other `step_seconds` starts the history anew.
        """
        raise NotImplementedError

    def status(self) -> HistoryStatus:
        """What is held."""
        raise NotImplementedError

    def read(self, start_time: int, end_time: int) -> Snapshot | None:
        """
        All held steps with start_time <= time <= end_time as one snapshot, with the latest graph among them.

        Values are NaN where nothing was measured. None when no step lies within.
        """
        raise NotImplementedError

    def values_at(self, services: Sequence[ServiceId], times: NDArray[np.int64]) -> NDArray[np.float32]:
        """Measurements of *services* at *times*, float32 of shape (len(times), N, F); NaN where none is held."""
        raise NotImplementedError
