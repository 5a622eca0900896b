"""
From forecasts to hints, cycle after cycle: what replicas carry is learned along the way, where a resource wants that.
"""

import asyncio
from collections.abc import Callable, Sequence

from tidecast_contract.forecast import Forecast
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.capacity_filling import CapacityFiller
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.doors import Collects
from tidecast_operator.hints.capacities import CapacityKeeper, is_wanted
from tidecast_operator.hints.keeper import Hinted, HintKeeper, KnowsCapacities, Seen
from tidecast_operator.resources import ForecastResource


class Adviser:
    """
    Not for two calls at once.

    Args:
        workloads: The cluster, asked when history of it comes in.
        valid_steps: How many steps after it was issued a forecast is still good for hints.
    """

    def __init__(self, workloads: Callable[[], WorkloadIndex], *, valid_steps: int) -> None:
        self._workloads = workloads
        self._hints = HintKeeper(valid_steps=valid_steps)
        self._capacities = CapacityKeeper()
        self._filler = CapacityFiller(self._capacities)
        self._learned: KnowsCapacities | None = None

    async def advise(
        self,
        resources: Sequence[ForecastResource],
        *,
        now: int,
        window: Snapshot | None,
        forecast: Forecast | None,
        collector: Collects | None,
    ) -> dict[tuple[str, str], Hinted]:
        """
        What came out for each of *resources*, which ask for hints and speak for their targets, by namespace and name.

        Args:
            resources: Who asks.
            now: Unix seconds.
            window: What was measured; None if nothing was, this time.
            forecast: What was forecast; None if nothing was, this time: the one before is used until it expires.
            collector: Where history comes from; used by this adviser alone. None if there is none.
        """
        if window is not None and is_wanted(resources):
            self._learned = await self._learn(window, collector)
        # Without measurements what was learned before stands.
        seen = Seen(now, window, forecast, self._learned)
        return await asyncio.to_thread(self._hints.after, seen, resources)

    async def idle(self) -> None:
        """Returns when no history is being fetched."""
        await self._filler.idle()

    def forget(self) -> None:
        """Another replica leads: hints go on from what that one tells; what replicas carry was measured, and stays."""
        self._hints.forget()

    async def stop(self) -> None:
        """Ends the fetching of history; what was learned stays."""
        await self._filler.stop()

    async def _learn(self, window: Snapshot, collector: Collects | None) -> KnowsCapacities | None:
        capacities = await asyncio.to_thread(self._capacities.after, window)
        if collector is not None:
            self._filler.consider(
                collector, self._workloads, step_seconds=window.step_seconds, services=len(window.services)
            )
        # After a start at night the most that was seen is little, and a hint would ask for far too much in the morning.
        return capacities if self._filler.is_ready else None
