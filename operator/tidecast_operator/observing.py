"""
Keeps the window of measurements that a forecast looks at: filled at first, then extended by the new steps alone.
"""

import asyncio
from dataclasses import dataclass, replace

import numpy as np

from tidecast_contract.features import REQUESTS, index_of
from tidecast_contract.snapshot import Snapshot
from tidecast_operator import snapshots
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.doors import Collects
from tidecast_operator.errors import NotEnoughData
from tidecast_operator.settings import Settings
from tidecast_operator.telemetry.observations import Observations
from tidecast_operator.voices import Voices


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """
    What a cycle knows after it has asked Prometheus.

    Attributes:
        window: The last steps, as many as a forecast looks at.
        queries: How many requests to Prometheus it took.
        sources: The telemetry sources in it.
        unattributed_requests_per_second: Of calls with a side that no workload was found for.
        warnings: Why series may be missing in Prometheus' answers; empty if it gave no warning of that.
    """

    window: Snapshot
    queries: int
    sources: tuple[str, ...]
    unattributed_requests_per_second: float
    warnings: tuple[str, ...]

    @property
    def missing_ratio(self) -> float:
        """The part of the requests of all workloads and steps that was not measured; NaN without workloads."""
        inside = [row for row, service in enumerate(self.window.services) if not service.is_external]
        if not inside:
            return float("nan")
        return float(np.isnan(self.window.values[:, inside, index_of(REQUESTS)]).mean())


class Observer:
    """
    Asks for what is new since the last time. Not for two calls at once.
    """

    def __init__(self) -> None:
        self._last: Observed | None = None
        self._window: snapshots.Window | None = None
        self._voices = Voices()
        self._made_for: tuple[object, ...] = ()

    async def observe(
        self, collector: Collects, workloads: WorkloadIndex, *, settings: Settings, end_time: int
    ) -> Observed:
        """
        The window that ends at *end_time*, a multiple of the step.

        Raises:
            PrometheusUnavailable: If Prometheus cannot be asked.
            NotEnoughData: If there is no telemetry, or none of a service.
        """
        made_for = (settings.prometheus.url, settings.sources, settings.step_seconds, settings.window_steps)
        if made_for != self._made_for:
            self._last, self._voices, self._made_for = None, Voices(), made_for
        start_time = end_time - (settings.window_steps - 1) * settings.step_seconds
        if self._last is not None and self._last.window.end_time > end_time:
            # The clock was set back: a window that ends in the future would stay for long.
            self._last, self._voices = None, Voices()
        if self._last is not None and self._last.window.end_time == end_time:
            return self._last
        if self._last is not None:
            start_time = max(start_time, self._last.window.end_time + settings.step_seconds)
        observations = await asyncio.to_thread(collector.collect, start_time, end_time, settings.step_seconds)
        self._last = await asyncio.to_thread(self._extended, observations, workloads, steps=settings.window_steps)
        return self._last

    def _extended(self, observations: Observations, workloads: WorkloadIndex, *, steps: int) -> Observed:
        built = snapshots.build(observations, workloads, voices=self._voices)
        measured = np.flatnonzero(np.isfinite(built.snapshot.values[..., index_of(REQUESTS)]).any(axis=1))
        if not measured.size:
            raise NotEnoughData(
                f"Prometheus answers but has no requests of any service in the last {observations.steps} steps; "
                "check that it scrapes the service mesh or the collector, and spec.telemetry.sources"
            )
        self._voices = built.voices
        known = None if self._last is None else self._window
        self._window = snapshots.extend(known, _until(built.snapshot, int(measured[-1])), steps=steps)
        return Observed(
            window=self._window.snapshot,
            queries=observations.queries,
            sources=built.sources,
            unattributed_requests_per_second=built.unattributed_requests_per_second,
            warnings=observations.warnings if observations.is_partial else (),
        )


def _until(snapshot: Snapshot, last: int) -> Snapshot:
    """
    Without the steps after *last*, in which nothing was measured: they may only be late. The next cycle asks for them
    again, and no forecast is dated after what it was made from.
    """
    end_time = snapshot.start_time + last * snapshot.step_seconds
    return replace(snapshot, end_time=end_time, values=snapshot.values[: last + 1])
