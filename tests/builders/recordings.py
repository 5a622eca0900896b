"""
Small recordings with a known truth, and small models, for tests of forecasting.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from builders.snapshots import MIDDAY
from tidecast_contract.features import FEATURES
from tidecast_contract.forecast import ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.checkpoint import Checkpoint, version_of
from tidecast_predictor.config import Architecture, TrainingSettings
from tidecast_predictor.fitting import fit
from tidecast_predictor.model import GcnGru
from tidecast_predictor.scaling import Pool
from tidecast_predictor.scores import Scores

HALF_HOUR = 1800
QUICK = TrainingSettings(
    minimum_history_seconds=0, window_steps=8, horizon_steps=4, seconds=60, threads=1, updates=60, rows=32
)


def services(count: int) -> tuple[ServiceId, ...]:
    """Deployments s0, s1, ... of a namespace."""
    return tuple(ServiceId("shop", "Deployment", f"s{index}") for index in range(count))


def recording(requests: np.ndarray, **changes: Any) -> Snapshot:
    """Half-hour steps of which only the requests are measured, of shape (T, N); nobody calls anybody."""
    values = np.full((*requests.shape, len(FEATURES)), np.nan, dtype=np.float32)
    values[..., 0] = requests
    valid = {
        "end_time": MIDDAY,
        "step_seconds": HALF_HOUR,
        "services": services(requests.shape[1]),
        "values": values,
        "calls": np.zeros((2, 0), dtype=np.int64),
        "rates": np.zeros(0, dtype=np.float32),
    }
    return Snapshot(**(valid | changes))


def seasonal(days: int, count: int = 3) -> Snapshot:
    """Requests that rise and fall with the hour, each service with an hour of its own, on some days more of them."""
    steps = np.arange(-days * 48 + 1, 1)[:, None] * HALF_HOUR + MIDDAY
    wave = np.sin(2 * np.pi * (steps / 86_400 + np.arange(count) / count))
    chance = np.random.default_rng(0)
    level = np.repeat(chance.normal(0, 0.1, (days, count)), 48, axis=0)
    return recording(50 * np.exp(wave + level + chance.normal(0, 0.03, wave.shape)))


def random_walk(steps: int, count: int = 3) -> Snapshot:
    """Requests of which nothing is known but that they stay near where they are."""
    walk = np.random.default_rng(1).normal(0, 0.1, (steps, count)).cumsum(axis=0)
    return recording(50 * np.exp(walk - walk.mean(axis=0)))


def delayed(steps: int, delay: int = 1) -> Snapshot:
    """Two callers of pure noise, two callees that do the same a step later: only the graph tells who follows whom."""
    noise = 50 * np.exp(np.random.default_rng(2).normal(0, 0.5, (steps + delay, 2)))
    requests = np.concatenate([noise[delay:], noise[:-delay]], axis=1)
    return recording(requests, calls=np.array([[0, 1], [2, 3]]), rates=np.array([50, 50], dtype=np.float32))


def averaged(steps: int, count: int = 4) -> Snapshot:
    """Pure noise as a rate over two steps tells it: the newest values together know half of the next one."""
    noise = np.random.default_rng(3).normal(0, 5, (steps + 1, count))
    return recording(50 + (noise[1:] + noise[:-1]) / 2)


def episodes(steps: int, count: int = 4) -> Snapshot:
    """Requests that come for a while, then not for a while; whether they come in the next step is mostly as it was."""
    chance = np.random.default_rng(4)
    turns = chance.random((steps, count)) < 0.1
    running = turns.cumsum(axis=0) % 2
    return recording(running * 20 * np.exp(chance.normal(0, 0.3, running.shape)))


def part(snapshot: Snapshot, begin: int, end: int) -> Snapshot:
    """The steps from *begin* up to, not including, *end*."""
    end_time = snapshot.start_time + (end - 1) * snapshot.step_seconds
    return replace(snapshot, end_time=end_time, values=snapshot.values[begin:end])


def train(snapshot: Snapshot, *, served: Checkpoint | None = None, **changes: Any) -> Checkpoint:
    """A model trained for a moment."""
    settings, deadline = replace(QUICK, **changes), time.monotonic() + QUICK.seconds
    return fit(snapshot, settings, progress=lambda _: None, deadline=deadline, served=served)


def untrained(**changes: Any) -> Checkpoint:
    """A model that forecasts something, served as if it had beaten last value."""
    torch.manual_seed(0)
    shape = {"step_seconds": HALF_HOUR, "window_steps": 8, "horizon_steps": 4, "hidden": 8, "head": 8}
    model = GcnGru(Architecture(**(shape | changes))).eval()
    with torch.no_grad():
        model.recent.weight.normal_(std=0.1)  # it begins as nothing
        model.line.weights_FDH.normal_(std=0.1)  # so does this, and has no say
        model.line.shares_FH2.fill_(0.5)
    scores = Scores(0.5, {ModelKind.LAST_VALUE: 1.0}, {"RequestsPerSecond": 0.5}, {}, 0.8, 86_400, 48, 9.0)
    ones = np.ones(len(FEATURES), dtype=np.float32)
    return Checkpoint(model, Pool(ones, ones), scores, 0, MIDDAY, 1, MIDDAY, version_of(model, MIDDAY))
