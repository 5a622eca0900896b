"""
The outlet for Prometheus: shown facts after each cycle, asked for text by whoever scrapes.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tidecast_contract.forecast import Forecast
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Entry
from tidecast_operator.outlets.gauges import families, resources, services
from tidecast_operator.outlets.gauges.choosing import resources_of, services_of
from tidecast_operator.outlets.gauges.facts import Facts, FloorFacts
from tidecast_operator.outlets.gauges.text import sample, written

SERVICES_LIMIT = 1000


@dataclass(frozen=True, slots=True, eq=False)
class _Text:
    """What was written of *facts*; it holds until something in it expires, unix seconds."""

    facts: Facts
    until: float
    body: bytes


class Gauges:
    """
    Safe to use from several threads. What is unknown or has expired is absent.

    Args:
        services_limit: Of so many services and so many resources at most there are series.
        clock: Unix seconds.

    Raises:
        ValueError: If the limit is negative.
    """

    def __init__(self, *, services_limit: int = SERVICES_LIMIT, clock: Callable[[], float] = time.time) -> None:
        if services_limit < 0:
            raise ValueError(f"services_limit is {services_limit}; give 0 or more")
        self._limit = services_limit
        self._clock = clock
        self._showing = threading.Lock()
        self._facts: Facts | None = None
        self._floors: FloorFacts | None = None
        self._writing = threading.Lock()
        self._text: _Text | None = None
        self._shown: frozenset[ServiceId] = frozenset()

    def show(self, facts: Facts) -> None:
        """What a cycle has found out; takes no time. What it lacks of forecast, skills and window goes on ageing."""
        with self._showing:
            before = self._facts
            if before is not None and facts.forecast is None:
                facts = replace(facts, forecast=before.forecast, expire_time=before.expire_time)
            if before is not None and facts.skills is None:
                facts = replace(facts, skills=before.skills)
            if before is not None and facts.measured is None:
                facts = replace(facts, measured=before.measured)
            self._facts = facts

    def show_floors(self, floors: FloorFacts) -> None:
        """What became of floors, which follow only after everything else was told; takes no time."""
        with self._showing:
            self._floors = floors

    def clear(self) -> None:
        """Nothing is known any more, as before the first cycle; another replica runs the cycles now."""
        with self._showing:
            self._facts = self._floors = None

    def exposition(self) -> bytes:
        """All of them, as text; written once for all who ask between two cycles. Takes time: not on the event loop."""
        with self._writing:
            facts, floors, now = self._facts, self._floors, self._clock()
            if facts is None:
                self._text = None
                return b""
            if self._text is None or self._text.facts is not facts or now >= self._text.until:
                self._text = self._write(facts, now)
            return self._text.body if floors is None else self._text.body + resources.floors(floors).encode()

    def _write(self, facts: Facts, now: float) -> _Text:
        keys, left_out = resources_of(facts, limit=self._limit)
        entries = [facts.board.entries[key] for key in keys if key in facts.board.entries]
        parts = [resources.trust(facts, keys, is_expired=now >= facts.expire_time), resources.hints(entries, now)]
        if keys:
            parts.append(written(families.RESOURCES_LEFT_OUT, sample(families.RESOURCES_LEFT_OUT, (), left_out)))
        if facts.forecast is not None:
            parts.append(services.times(facts.forecast, facts.expire_time))
            if now < facts.expire_time:
                parts.append(self._services(facts, facts.forecast, now))
        return _Text(facts, _until(facts, entries, now), "".join(parts).encode())

    def _services(self, facts: Facts, forecast: Forecast, now: float) -> str:
        choice = services_of(forecast, facts, limit=self._limit, shown=self._shown)
        self._shown = frozenset(service for _, service in choice.services)
        left_out = written(families.SERVICES_LEFT_OUT, sample(families.SERVICES_LEFT_OUT, (), choice.left_out))
        ahead = services.forecasts(forecast, choice, facts.metrics)
        past = "" if facts.skills is None else services.past(facts.skills, forecast, choice, facts.metrics)
        if facts.measured is None or now >= services.measured_until(facts.measured):
            return ahead + left_out + past
        return ahead + services.measured(facts.measured, choice, facts.metrics) + left_out + past


def _until(facts: Facts, entries: list[Entry], now: float) -> float:
    """When the first of what is there now expires."""
    times = [facts.expire_time, *(entry.expire_time for entry in entries)]
    if facts.measured is not None:
        times.append(services.measured_until(facts.measured))
    return min((one for one in times if one > now), default=math.inf)
