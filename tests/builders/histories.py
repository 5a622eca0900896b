"""
What a history holds, as a test reads it.
"""

from dataclasses import replace

import numpy as np

from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.history import History


def calls_of(snapshot: Snapshot) -> dict[tuple[str, str], float]:
    """The rate of each call, by the names of caller and callee."""
    names = [service.name for service in snapshot.services]
    pairs = [(names[caller], names[callee]) for caller, callee in snapshot.calls.T.tolist()]
    return dict(zip(pairs, snapshot.rates.tolist(), strict=True))


def calls_in(history: History) -> dict[tuple[str, str], float]:
    """The same of all that is held."""
    return calls_of(everything_in(history))


def everything_in(history: History) -> Snapshot:
    """All steps that are held, of all services, with all calls."""
    held = history.status()
    latest = history.latest(seen_seconds=held.end_time)
    assert latest is not None, "nothing is held"
    times = np.arange(held.start_time, held.end_time + 1, held.step_seconds)
    return replace(latest, values=history.values_at(latest.services, times))
