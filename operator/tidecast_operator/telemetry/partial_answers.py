"""
Answers that lack series because a store behind Prometheus is away: not to be taken for all there is.
"""

from tidecast_operator.errors import NotEnoughData
from tidecast_operator.telemetry.observations import Observations

_MOST = 10


class PartialAnswers:
    """
    Counts them, so that a question is asked again before what was answered counts as fetched.
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def refuse(self, observations: Observations) -> None:
        """
        Raises:
            NotEnoughData: If parts are missing; not from the tenth time in a row on, for they may be gone for good.
        """
        self._in_a_row = self._in_a_row + 1 if observations.is_partial else 0
        if 0 < self._in_a_row < _MOST:
            told = "; ".join(observations.warnings)
            raise NotEnoughData(f"Prometheus answered with parts missing: {told}; see to the stores behind it")
