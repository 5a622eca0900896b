"""
Recordings with a load of known shape, ready to be replayed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from builders.snapshots import MIDDAY
from tidecast_contract.features import FEATURES, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.forecast import Forecast
from tidecast_contract.services import ServiceId
from tidecast_operator.replaying.autoscaler import Bounds, Pods
from tidecast_operator.replaying.candidates import Asked, Subject, choose
from tidecast_operator.replaying.forecasting import MethodForecasts
from tidecast_operator.replaying.recording import Recording
from tidecast_operator.replaying.replay import Outcome, Plan, replay

STEP = 60
DAY = 1440
START = MIDDAY - MIDDAY % 86_400
WEB, CART = (ServiceId("shop", "Deployment", name) for name in ("web", "cart"))


def pods(*ready: int, starting: int = 0) -> Pods:
    """Ready pods of workloads, and as many starting ones of each."""
    return Pods(np.array(ready), np.full(len(ready), starting))


def bounds(lowest: int = 1, highest: int = 100, workloads: int = 1) -> Bounds:
    """The same of all workloads."""
    return Bounds(np.full(workloads, lowest), np.full(workloads, highest))


def waves(steps: int = 480, workloads: int = 2, *, seed: int = 0) -> np.ndarray:
    """Loads that jump between levels every twenty minutes at no known hour, with little noise, (T, N)."""
    chance = np.random.default_rng(seed)
    levels = chance.uniform(20, 400, (-(-steps // 20), workloads))
    return np.repeat(levels, 20, axis=0)[:steps] * np.exp(0.01 * chance.standard_normal((steps, workloads)))


def recording(loads: np.ndarray, **changes: Any) -> Recording:
    """Requests of the web and the cart, the first of which calls the second; nothing else was measured."""
    values = np.full((*loads.shape, len(FEATURES)), np.nan, np.float32)
    values[:, :, index_of(REQUESTS)] = loads
    values[:, :, index_of(READY_REPLICAS)] = 3
    valid = {
        "name": "made up",
        "start_time": START,
        "step_seconds": STEP,
        "services": (WEB, CART)[: loads.shape[1]],
        "values": values,
        "calls": np.zeros((2, 0), np.int64),
        "rates": np.zeros(0, np.float32),
    }
    return Recording(**(valid | changes))


def subject(loads: np.ndarray, **scaling: Any) -> Subject:
    """Both workloads, with 50 requests per second to a replica."""
    made = recording(loads)
    return Subject.of(made, choose(made, Asked(scaling={"perReplica": "50", **scaling})).each)


def plan(steps: int, **changes: Any) -> Plan:
    """The second half of so many steps counts."""
    return Plan(**({"begin": 0, "first": steps // 2, "last": steps - 1} | changes))


class Changed:
    """Forecasts of a method, changed before anybody sees them."""

    def __init__(self, method: str, what: Subject, change: Callable[[int, Forecast], Forecast | None]) -> None:
        self._forecasts = MethodForecasts(method, what)
        self._change = change

    async def at(self, step: int) -> Forecast | None:
        """As in `Forecasts`."""
        return self._change(step, await self._forecasts.at(step))


async def replayed(what: Subject, method: str = "perfect", change: Any = None, **plan_changes: Any) -> Outcome:
    """What comes of a subject with the forecasts of a method, changed or not."""
    forecasts = MethodForecasts(method, what) if change is None else Changed(method, what, change)
    return await replay(what, forecasts, plan(what.recording.steps, **plan_changes), lambda _: None)


def write_npz(path: Path, loads: np.ndarray, **changes: Any) -> Path:
    """The same in a file, in the form of the simulator."""
    content = {
        "data": np.stack([loads, np.full_like(loads, 3.0)], axis=2).astype(np.float32),
        "time": START + STEP * np.arange(len(loads)),
        "nodes": np.array([str(service) for service in (WEB, CART)[: loads.shape[1]]]),
        "features": np.array(["rps", "replicas"]),
        "edges": np.zeros((0, 2), np.int32),
        "edge_weight": np.zeros(0, np.float32),
        "meta": np.array('{"load": "simulated"}'),
    }
    content |= changes
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path
