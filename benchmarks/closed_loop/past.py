"""
The past of a real run: days of the same mesh under the same load, scaled by the same autoscaler.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from plant import Plant
from rules import Autoscaler, Pods
from scene import LEAST_REPLICAS, TARGET_UTILISATION, Pace, factors, requested_cores, scaled
from stage import SOURCES

from tidecast_simulator.load import Shape
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import Floats
from tidecast_simulator.recording import record

_PIECES, _SETTLE_TICKS = 24, 40


@dataclass(frozen=True, slots=True)
class Hastened:
    """
    A load of the model's world, in real time.

    Attributes:
        shape: Over the model's time.
        factor: How much faster that passes.
        start: A moment of real time, unix seconds.
        model_start: The model's time at that moment.
    """

    shape: Shape
    factor_of_time: float
    start: float
    model_start: float

    def factor(self, times: Floats, entry: str) -> Floats:
        """The shape's factor at the model's times."""
        return self.shape.factor(self.model_start + (times - self.start) * self.factor_of_time, entry)


def recorded(  # noqa: PLR0913 - each has a name at the call
    mesh: Mesh,
    shape: Hastened,
    *,
    start: int,
    end: int,
    directory: Path,
    scrape_seconds: int,
    target_labels: Mapping[str, str],
    seed: int,
) -> Path:
    """A Prometheus data folder with all of it."""
    kept_up = _kept_up(mesh, shape, start=start, end=end)
    return record(
        kept_up,
        shape,
        start=start,
        end=end,
        directory=directory,
        scrape_seconds=scrape_seconds,
        tick_seconds=scrape_seconds,
        seed=seed,
        sources=SOURCES,
        target_labels=target_labels,
    )


def _kept_up(mesh: Mesh, shape: Hastened, *, start: int, end: int) -> Mesh:
    """
    The mesh with schedules of replicas as the autoscaler would have set them.

    A model that learnt from another way to scale would take the latency of this one for a sign of what is to come. Pieces
    of the past go on side by side, each from some time before its own, so that this takes seconds.
    """
    pace, positions = Pace(), np.array(scaled(mesh))
    tick = pace.sync / shape.factor_of_time
    load = factors(shape, start, end, tick)
    length = math.ceil(len(load) / _PIECES)
    begins = np.arange(_PIECES) * length
    plant, counts = Plant(mesh), np.zeros((_PIECES, len(positions), length), dtype=np.int64)
    requests = np.array([requested_cores(mesh.services[position]) for position in positions])
    capacity = np.array([mesh.services[position].capacity_rps for position in positions])
    first = np.ceil(load[begins][:, None] * plant.demand()[positions] / (TARGET_UTILISATION * capacity))
    start_up = np.full(_PIECES, round(pace.start_up / pace.sync))
    empty = np.zeros((_PIECES, len(positions), int(start_up[0])), np.int64)
    pods = Pods(np.maximum(first, LEAST_REPLICAS).astype(np.int64), empty)
    ready = np.array([[float(service.replicas) for service in mesh.services]] * _PIECES)
    least = np.full(first.shape, LEAST_REPLICAS, dtype=np.int64)
    autoscaler, cores = (
        Autoscaler((_PIECES, len(positions)), pace),
        deque[Floats](maxlen=round(pace.metric / pace.sync)),
    )
    for place in range(-_SETTLE_TICKS, length):
        pods = pods.later()
        ready[:, positions] = pods.ready
        strain = plant.under(load[np.clip(begins + place, 0, len(load) - 1)], ready)
        cores.append(strain.cores[:, positions] / (np.maximum(pods.ready, 1) * requests))
        if place >= 0:
            counts[..., place] = pods.ready
        pods = pods.scaled(autoscaler.replicas(pods, np.mean(list(cores), axis=0), least), start_up)
    services = list(mesh.services)
    for row, position in enumerate(positions.tolist()):
        replicas = counts[:, row].reshape(-1)
        changes = np.flatnonzero(np.diff(replicas, prepend=0))
        schedule = tuple((int(start + at * tick), int(replicas[at])) for at in changes)
        services[position] = replace(services[position], replica_schedule=schedule)
    return Mesh(mesh.name, tuple(services), mesh.calls)
