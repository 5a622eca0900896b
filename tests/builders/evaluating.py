"""
Recordings as files, and methods whose answers are known beforehand, for tests of the evaluation.
"""

import json
from dataclasses import dataclass, field, replace

import numpy as np

from tidecast_predictor.baselines import Answer
from tidecast_predictor.evaluation.methods import Entry

STEPS, SERVICES = 400, 3
FEATURES = ("rps", "p95_ms")


def content(steps=STEPS, *, seed=0, **changes):
    """What a file holds: two features of three services that swing, with some noise and some gaps."""
    draw = np.random.default_rng(seed)
    swing = np.sin(np.arange(steps)[:, None, None] / 9 + np.arange(SERVICES)[:, None])
    data = (20 + 5 * swing + draw.normal(size=(steps, SERVICES, len(FEATURES)))).astype(np.float32)
    data[draw.random(data.shape) < 0.05] = np.nan
    held = {
        "data": data,
        "time": 1_700_000_000 + 60 * np.arange(steps),
        "nodes": np.array(["gateway", "cart", "stock"]),
        "features": np.array(FEATURES),
        "edges": np.array([[0, 1], [1, 2]], np.int32),
        "edge_weight": np.array([2.0, 1.0], np.float32),
        "segment": np.zeros(steps, np.int32),
        "meta": np.array(json.dumps({"real": "simulated"})),
    }
    return {key: value for key, value in (held | changes).items() if value is not None}


def write(folder, name="mesh", **held):
    """A file of what `content` says, with changes."""
    path = folder / f"{name}.npz"
    np.savez(path, **(held or content()))
    return path


@dataclass
class Fake:
    """
    Says the last known value of each series, plus an offset; notes what it was given.

    Attributes:
        name: In tables.
        offset: Is added to every forecast.
        spread: Of p10 and p90 to both sides; None for no quantiles.
        silent: Share of the services that it has no answer for.
        fails: Raised in learning.
        peeks: Whether it looks one step past the origin.
        tasks: What it learnt from, in order.
        seeds: What it was seeded with.
    """

    name: str = "fake"
    offset: float = 0.0
    spread: float | None = None
    silent: float = 0.0
    fails: Exception | None = None
    peeks: bool = False
    jitter: float = 0.0
    tasks: list = field(default_factory=list)
    seeds: list = field(default_factory=list)
    seed: int = 0

    def fit(self, tasks, *, seed, progress):
        """Notes what it is given."""
        self.tasks.extend(tasks)
        self.seeds.append(seed)
        progress(0.5)
        if self.fails is not None:
            raise self.fails
        return replace(self, seed=seed)

    def forecast(self, series, origins, *, window, horizon):
        """The last known value of each series; NaN before there is one."""
        del window
        steps, services, _ = series.values.shape
        known = np.where(np.isfinite(series.values), np.arange(steps)[:, None, None], -1)
        at = np.minimum(origins + 1, steps - 1) if self.peeks else origins
        latest = np.maximum.accumulate(known, axis=0)[at]
        values = np.take_along_axis(series.values, np.maximum(latest, 0), axis=0)
        values = np.where(latest >= 0, values + self.offset + self.jitter * self.seed, np.nan)
        values[:, : round(self.silent * services)] = np.nan
        mean = np.repeat(values[..., None], horizon, axis=-1).astype(np.float32)
        if self.spread is None:
            return Answer(mean)
        return Answer(mean, np.stack([mean - self.spread, mean, mean + self.spread], axis=-1).astype(np.float32))


def entry(method, *, simple=False):
    """A registry's entry that always gives the same method."""
    return Entry(lambda _effort: method, (), simple=simple)


def registry(**others):
    """A last value, something worse that is simple too, and others."""
    simple = {"last-value": entry(Fake("last-value"), simple=True), "above": entry(Fake("above", 3.0), simple=True)}
    return simple | {name.replace("_", "-"): entry(method) for name, method in others.items()}
