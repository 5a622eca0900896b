"""
Writes what changed, and only that, with a few connections at a time.

Knows neither the forecast nor telemetry; synchronous: call it in a thread.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.errors import ApiServerUnavailable, TidecastError
from tidecast_operator.published import Condition, digest
from tidecast_operator.publishing.status import merged
from tidecast_operator.resources import ForecastResource

_log = logging.getLogger(__name__)
_PAUSES_SECONDS = (0.5, 2.0)


class Writes(Protocol):
    """What the writer needs of the cluster."""

    def create_forecast(self, body: Mapping[str, Any]) -> Outcome:
        """Creates a ServicePerformanceForecast."""

    def delete_forecast(self, namespace: str, name: str, *, uid: str) -> Outcome:
        """Deletes that very ServicePerformanceForecast."""

    def patch_forecast_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> Outcome:
        """Merges a status."""

    def patch_forecaster_status(self, name: str, status: Mapping[str, Any]) -> Outcome:
        """Merges a status."""

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> Outcome:
        """Creates an Event."""


@dataclass(frozen=True, slots=True)
class StatusWrite:
    """
    One status to write.

    Attributes:
        resource: Whose.
        patch: What is merged in.
        events: What to post once it is written.
    """

    resource: ForecastResource
    patch: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class Written:
    """
    What became of a number of writes.

    Attributes:
        done: How many took place.
        gone: How many found their object gone, or another in its place.
        refused: How many the API server refused for good.
        skipped: How many were not tried any more, because leadership or the API server was lost.
        deferred: How many were not tried for want of time; they come first in the next cycle.
        events: Of what was written.
        problem: Why some were skipped; None if none were.
    """

    done: int = 0
    gone: int = 0
    refused: int = 0
    skipped: int = 0
    deferred: int = 0
    events: list[Mapping[str, Any]] = field(default_factory=list)
    problem: TidecastError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def rounds(self) -> int:
        """In how many cycles like this one everything gets written."""
        return 1 if not self.done else -(-(self.done + self.deferred) // self.done)

    def count(self, name: str) -> None:
        """Adds one to a number; safe in threads."""
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)


class Writer:
    """
    Writes in parallel as long as this replica may.

    Args:
        cluster: Where to.
        may_write: Asked before each single write.
        threads: How many writes take place at once.
        pause: Waits for some seconds; tests need not.
        clock: Seconds since any time.
    """

    def __init__(
        self,
        cluster: Writes,
        *,
        may_write: Callable[[], bool],
        threads: int = 8,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._may_write = may_write
        self._threads = threads
        self._pause = pause
        self._clock = clock

    @property
    def may_write(self) -> bool:
        """Whether this replica leads, as far as is known."""
        return self._may_write()

    def statuses(self, writes: Sequence[StatusWrite], *, budget_seconds: float) -> Written:
        """
        Writes the statuses of ServicePerformanceForecasts, in this order, as many as there is time for.

        A large cluster whose API server is slow would otherwise hold up the next cycle.
        """
        written = Written()
        todo = [partial(self._status, write, written) for write in writes]
        return self._all(todo, written, deadline=self._clock() + budget_seconds)

    def forecaster(self, name: str, status: Mapping[str, Any]) -> Written:
        """Writes the status of a Forecaster."""
        return self._run([partial(self._cluster.patch_forecaster_status, name, status)])

    def create(self, bodies: Sequence[Mapping[str, Any]], *, budget_seconds: float) -> Written:
        """Creates ServicePerformanceForecasts, as many as there is time for; one that exists counts as gone."""
        todo = [partial(self._cluster.create_forecast, body) for body in bodies]
        return self._all(todo, Written(), deadline=self._clock() + budget_seconds)

    def delete(self, resources: Sequence[ForecastResource], *, budget_seconds: float) -> Written:
        """Deletes ServicePerformanceForecasts, as many as there is time for."""
        todo = [partial(self._cluster.delete_forecast, one.namespace, one.name, uid=one.uid) for one in resources]
        return self._all(todo, Written(), deadline=self._clock() + budget_seconds)

    def events(self, bodies: Sequence[Mapping[str, Any]]) -> Written:
        """Posts Events."""
        return self._run([partial(self._cluster.create_event, body["metadata"]["namespace"], body) for body in bodies])

    def _status(self, write: StatusWrite, written: Written) -> Outcome:
        resource = write.resource
        outcome = self._cluster.patch_forecast_status(resource.namespace, resource.name, write.patch)
        if outcome is Outcome.DONE:
            written.events += write.events
        return outcome

    def _run(self, todo: Sequence[Callable[[], Outcome]]) -> Written:
        return self._all(todo, Written(), deadline=math.inf)

    def _all(self, todo: Sequence[Callable[[], Outcome]], written: Written, *, deadline: float) -> Written:
        if len(todo) == 1:
            self._one(todo[0], written, deadline=deadline)
        elif todo:
            with ThreadPoolExecutor(min(self._threads, len(todo)), thread_name_prefix="write") as pool:
                for _ in pool.map(lambda call: self._one(call, written, deadline=deadline), todo):
                    pass
        return written

    def _one(self, call: Callable[[], Outcome], written: Written, *, deadline: float) -> None:
        if written.problem is not None or not self._may_write():
            written.count("skipped")
            return
        if self._clock() >= deadline:
            written.count("deferred")
            return
        try:
            outcome = self._patiently(call)
        except WriteRefused as error:
            _log.error("%s", error)
            written.count("refused")
        except TidecastError as error:
            written.problem = error
            written.count("skipped")
        else:
            written.count("done" if outcome is Outcome.DONE else "gone")

    def _patiently(self, call: Callable[[], Outcome]) -> Outcome:
        for seconds in _PAUSES_SECONDS:
            try:
                return call()
            except ApiServerUnavailable:
                self._pause(seconds)
                if not self._may_write():
                    raise
        return call()


def needed(
    resource: ForecastResource,
    status: Mapping[str, Any] | None,
    conditions: Sequence[Condition],
    *,
    renew_before: int,
) -> dict[str, Any] | None:
    """
    The patch that a resource needs; None if what stands there says the same and lasts long enough.

    Args:
        resource: As it is.
        status: A new forecast; None leaves the old one as it is, to age.
        conditions: As they are to be, settled.
        renew_before: A forecast that expires before this time is written again, unix seconds.
    """
    common = {
        "observedGeneration": resource.generation,
        "conditions": [condition.to_dict() for condition in conditions],
    }
    old = resource.published
    if status is None:
        if [_essence(condition) for condition in conditions] == [_essence(condition) for condition in old.conditions]:
            return None
        target = resource.target
        shown = {} if target is None else {"outlook": {"target": f"{target.kind}/{target.name}"}}
        return common | shown
    full = dict(status) | common
    if digest(full) == old.digest and old.expire_time is not None and old.expire_time > renew_before:
        return None
    return merged(full)


def _essence(condition: Condition) -> tuple[str, str, str, int]:
    return condition.type, condition.status, condition.reason, condition.observed_generation
