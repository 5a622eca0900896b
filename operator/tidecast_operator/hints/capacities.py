"""
Keeps what is known of past load and latency from cycle to cycle, and says what one ready replica of a service carries.
"""

import threading
from collections.abc import Iterable

from tidecast_contract.features import Feature
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.capacity_reading import read
from tidecast_operator.hints.load_learning import with_window
from tidecast_operator.hints.load_sketch import SIGNALS, LoadSketch
from tidecast_operator.resources import ForecastResource


def is_wanted(resources: Iterable[ForecastResource]) -> bool:
    """Whether any of *resources* asks for hints without saying what a replica carries."""
    return any(one.scaling is not None and one.scaling.get("perReplica") is None for one in resources)


class Capacities:
    """
    What was learned up to a moment. A value; safe to use from several threads.

    Args:
        sketch: What it is read from.
    """

    def __init__(self, sketch: LoadSketch) -> None:
        self._sketch = sketch
        self._rows = {service: row for row, service in enumerate(sketch.services)}

    def of(self, service: ServiceId, feature: Feature) -> Capacity | None:
        """
        What one ready replica carries; None if too little is known.

        Args:
            service: Whose replica.
            feature: One of `SIGNALS`: in whose unit.
        """
        row = self._rows.get(service)
        if row is None:
            return None
        place = SIGNALS.index(feature)
        return read(self._sketch.bins_of(row, place), float(self._sketch.samples[row, place]), feature)


class CapacityKeeper:
    """
    Safe to use from several threads: history comes in beside the cycle. Nothing of it lasts beyond the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sketch = LoadSketch.empty()
        self._taken: tuple[int, int] | None = None

    @property
    def begin_time(self) -> int | None:
        """The first moment of the cycle's own steps, unix seconds; what is older is history. None before the first."""
        return None if self._taken is None else self._taken[0]

    @property
    def watched_seconds(self) -> int:
        """From there to the newest step."""
        return 0 if self._taken is None else self._taken[1] - self._taken[0]

    def after(self, window: Snapshot) -> Capacities:
        """What is known once *window* was measured; of its steps only those count that were not taken yet."""
        with self._lock:
            since = None if self._taken is None else self._taken[1]
            self._sketch = with_window(self._sketch, window, since=since)
            begin = window.start_time - window.step_seconds if self._taken is None else self._taken[0]
            self._taken = begin, max(window.end_time, since or 0)
            return Capacities(self._sketch)

    def learn(self, history: Snapshot) -> None:
        """
        Takes measurements of a time before `begin_time`, each step once, in any order.
        """
        with self._lock:
            self._sketch = with_window(self._sketch, history)
