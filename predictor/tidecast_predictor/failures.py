"""
How many trainings in a row have failed, on disk too: one that takes the predictor down with it must be counted as well.
"""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

_FILE = ".failed-trainings"


class Failures:
    """
    Counts trainings that failed since the last one that did not.

    Args:
        directory: Where the count is kept; None keeps it for this process. What cannot be read there counts as none.
    """

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / _FILE
        self._count = _read(self._path)

    @property
    def count(self) -> int:
        """How many there were; 0 after a success."""
        return self._count

    def add(self) -> None:
        """One more has failed."""
        self._count += 1
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(f"{self._count}\n")
        except OSError as error:  # a full disk is what fails trainings, too
            logger.warning("that %d trainings failed is forgotten with this process: %s", self._count, error)

    def clear(self) -> None:
        """One has ended well."""
        self._count = 0
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("trainings that failed will be counted again after a restart: %s", error)


def _read(path: Path | None) -> int:
    if path is None:
        return 0
    try:
        return max(0, int(path.read_text()))
    except (OSError, ValueError):
        return 0
