"""
Trust and hints of ServicePerformanceForecasts, and floors, as lines of text. Pure.
"""

import math
from collections.abc import Iterable, Sequence

from tidecast_operator.hints.board import Entry, NotOffered
from tidecast_operator.hints.hint import Hint
from tidecast_operator.outlets.gauges import families
from tidecast_operator.outlets.gauges.facts import Facts, FloorFacts
from tidecast_operator.outlets.gauges.text import sample, written
from tidecast_operator.scaling import Mode


def trust(facts: Facts, keys: Iterable[tuple[str, str]], *, is_expired: bool) -> str:
    """Whether the forecasts of resources are trusted; nobody's are once the forecast has expired."""
    lines: list[str] = []
    for key in keys:
        is_trusted = facts.trusted.get(key)
        # That it is not trusted stays true; that it is would be said of a forecast that is gone.
        if is_trusted is not None and not (is_trusted and is_expired):
            lines += sample(families.TRUSTED, key, int(is_trusted))
    return written(families.TRUSTED, lines)


def hints(entries: Sequence[Entry], now: float) -> str:
    """The hints that may be seen at *now*, and which of them autoscalers may act on."""
    replicas: list[str] = []
    load: list[str] = []
    per_replica: list[str] = []
    offered: list[str] = []
    for entry in entries:
        mode, signal = ("", "") if entry.scaling is None else (entry.scaling.mode.value, entry.scaling.signal.name)
        labels = (*entry.key, mode)
        offered += sample(families.OFFERED, labels, int(_may_be_told(entry, now)))
        hint = _visible(entry, now)
        if hint is not None:
            replicas += sample(families.REPLICAS, labels, hint.replicas)
            load += sample(families.LOAD, (*labels, signal), hint.load)
            per_replica += sample(families.PER_REPLICA, (*labels, signal), hint.capacity.per_replica)
    return "".join(
        (
            written(families.REPLICAS, replicas),
            written(families.LOAD, load),
            written(families.PER_REPLICA, per_replica),
            written(families.OFFERED, offered),
        )
    )


def floors(facts: FloorFacts) -> str:
    """How floors are."""
    told = (
        (families.FLOORS_RAISED, facts.raised),
        (families.FLOORS_LEFT, facts.left),
        (families.FLOORS_COMPLETE, int(facts.is_complete)),
        (families.FLOORS_FORCED, math.nan if facts.forced_time is None else facts.forced_time),
    )
    return "".join(written(family, sample(family, (), value)) for family, value in told)


def _may_be_told(entry: Entry, now: float) -> bool:
    if entry.scaling is None or entry.scaling.mode is not Mode.ACTIVE:
        return False
    try:
        entry.offered(now)
    except NotOffered:
        return False
    return True


def _visible(entry: Entry, now: float) -> Hint | None:
    """Of an active one only what may be acted on, since that is what its series are for; a preview is for people."""
    if entry.scaling is None or now >= entry.expire_time:
        return None
    if entry.scaling.mode is Mode.ACTIVE and not _may_be_told(entry, now):
        return None
    return entry.hint
