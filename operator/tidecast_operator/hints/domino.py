"""
Whose traffic may fall because a caller fails, and not because there is less demand. Pure.

Shapes: `T` steps, `N` services.
"""

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import ERRORS, READY_REPLICAS, index_of
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot

FAILING_RATIO = 0.05
"""A service fails when so much of what it answers are errors, and that is far more than usual for it."""

_FAR_MORE = 3.0  # times its usual share of errors
_RECENT_STEPS = 3
_USUAL_UNTIL = 10  # steps ago


def in_the_lee(window: Snapshot) -> frozenset[ServiceId]:
    """
    All services that a failing service calls, directly or by others.

    A service fails when its errors have risen, or when it had ready replicas within the window and has none now.
    """
    failing = _failing(window)
    reached = np.zeros(len(window.services), np.bool_)
    before = -1
    callers, callees = window.calls
    while reached.sum() != before:
        before = reached.sum()
        reached[callees[failing[callers] | reached[callers]]] = True
    return frozenset(window.services[row] for row in np.flatnonzero(reached))


class Lee:
    """Who is in the lee of a failing service, and for how long already."""

    def __init__(self) -> None:
        self._since: dict[ServiceId, int] = {}

    def lately(self, window: Snapshot, *, longest_seconds: int) -> frozenset[ServiceId]:
        """Those that have not been there for longer than *longest_seconds*."""
        self._since = {service: self._since.get(service, window.end_time) for service in in_the_lee(window)}
        return frozenset(
            service for service, since in self._since.items() if window.end_time - since <= longest_seconds
        )


def without(window: Snapshot, services: frozenset[ServiceId]) -> Snapshot:
    """The same, as if nothing of *services* had been measured."""
    rows = [row for row, service in enumerate(window.services) if service in services]
    if not rows:
        return window
    values = window.values.copy()
    values[:, rows] = np.nan
    return replace(window, values=values)


def _failing(window: Snapshot) -> NDArray[np.bool_]:
    """Of shape (N,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of services without any measurement
        errors = window.values[..., index_of(ERRORS)]
        recent = np.nanmean(errors[-_RECENT_STEPS:], axis=0)
        usual = np.nanmedian(errors[:-_USUAL_UNTIL], axis=0) if window.steps > _USUAL_UNTIL else np.zeros_like(recent)
        replicas = window.values[..., index_of(READY_REPLICAS)]
        lost = (np.nanmax(replicas[-_RECENT_STEPS:], axis=0) == 0) & (np.nanmax(replicas, axis=0) > 0)
    risen: NDArray[np.bool_] = (recent >= FAILING_RATIO) & (recent > _FAR_MORE * np.nan_to_num(usual))
    failing: NDArray[np.bool_] = risen | lost
    return failing
