"""
From what happens during ticks to what a scrape reads: counters that add up and gauges that stand.

Shapes: `S` series, `T` ticks, `K` scrapes.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tidecast_simulator.exporting.emission import Batch, Emission, Series
from tidecast_simulator.flows import Clock
from tidecast_simulator.randomness import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """
    What scrapes read.

    Attributes:
        series: S of them.
        values: Of shape (S, K); NaN where a series is not reported.
    """

    series: tuple[Series, ...]
    values: Floats


@dataclass(slots=True)
class Totals:
    """The counters of an exporter so far. A series that disappears keeps its total, should it come back."""

    held: dict[Series, float] = field(default_factory=dict)

    def read(self, emission: Emission, clock: Clock, times: Floats) -> Readings:
        """
        What scrapes at these times read; changes nothing.

        Args:
            emission: What happens during the clock's ticks, the first of which begins where the totals stand.
            clock: T ticks.
            times: Unix seconds of the scrapes, within the ticks, of shape (K,).
        """
        place = times / clock.tick_seconds - clock.ticks[0]
        tick = np.maximum(np.ceil(place - 1e-9).astype(np.int64) - 1, 0)
        counters = self._counted(emission.counters, tick, np.clip(place - tick, 0.0, 1.0))
        gauges = emission.gauges.values[:, tick]
        return Readings(emission.counters.series + emission.gauges.series, np.concatenate([counters, gauges]))

    def advance(self, emission: Emission) -> None:
        """Adds what happened during the ticks."""
        sums = np.nan_to_num(emission.counters.values).sum(axis=1)
        for series, increment in zip(emission.counters.series, sums.tolist(), strict=True):
            self.held[series] = self.held.get(series, 0.0) + increment

    def _counted(self, counters: Batch, tick: NDArray[np.int64], fraction: Floats) -> Floats:
        if not counters.series:
            return np.zeros((0, len(tick)))
        increments = np.nan_to_num(counters.values)
        before = np.array([[self.held.get(series, 0.0)] for series in counters.series])
        ends = np.cumsum(np.concatenate([before, increments], axis=1), axis=1)
        partial = increments[:, tick] * fraction
        # Half a request has not happened: what comes in whole numbers is counted in whole numbers.
        whole = (increments == np.rint(increments)).all(axis=1)
        values = ends[:, tick] + np.where(whole[:, None], np.floor(partial), partial)
        unborn = values[counters.born_with] == 0
        return np.where(unborn | np.isnan(counters.values[:, tick]), np.nan, values)
