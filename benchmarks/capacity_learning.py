"""
How near the learned capacity of a replica comes to the true one, on SIMULATED meshes whose truth is known.

    .venv/bin/python benchmarks/capacity_learning.py                   # the meshes that are reported
    .venv/bin/python benchmarks/capacity_learning.py --seeds 1 2 3     # those that constants were chosen on

An observer sees counters and histograms as Prometheus does, with the noise of counting (`forecasting/observing.py`).
The simulator's services wait as an M/M/c queue does and begin to refuse requests at 85 percent of their capacity, so p95
at twice its value at low load is reached below that by services with few pods, and above by those with many.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent / "forecasting"))

import observing

from tidecast_contract.features import (
    CPU,
    ERRORS,
    FEATURES,
    LATENCY_P50,
    LATENCY_P95,
    READY_REPLICAS,
    REQUESTS,
    Feature,
    index_of,
)
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.capacities import Capacities
from tidecast_operator.hints.load_learning import with_window
from tidecast_operator.hints.load_sketch import LoadSketch
from tidecast_simulator.load import Constant, Product, Shape, usual_load
from tidecast_simulator.mesh import Mesh, Service
from tidecast_simulator.mesh_generation import Blueprint, generate
from tidecast_simulator.queueing import waiting_factor
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import call_rates

START = 1_793_577_600  # 2026-11-02, a Monday
STEP_SECONDS = observing.STEP_SECONDS
LEVELS = {"quiet": 0.5, "outages": 0.5, "usual": 1.0, "overloaded": 1.6, "autoscaled": 1.0}
"""The scenarios, and by how much the load of each exceeds the one that pods are sized for: 40 percent at the mean. In
`outages` a service that others wait for takes six times as long at noon, when the load of the day is highest."""
SCENARIOS = tuple(LEVELS)
COARSE_STEPS = 5
_OUTAGE = 705, 780  # minutes of the day
_TARGET = 0.6
_COLUMNS: Mapping[str, tuple[Feature, float]] = {
    "rps": (REQUESTS, 1),
    "p50_ms": (LATENCY_P50, 1e-3),
    "p95_ms": (LATENCY_P95, 1e-3),
    "error_rate": (ERRORS, 1),
    "cpu": (CPU, 1e-3),
    "replicas": (READY_REPLICAS, 1),
}


def recorded(mesh: Mesh, load: Shape, *, days: float, seed: int, outages: bool = False) -> Snapshot:
    """What an observer saw of a mesh."""
    steps = round(days * 86_400 / STEP_SECONDS)
    simulation = Simulation(mesh, load, seed=seed)
    stages = [observing.Stage(simulation)]
    if outages:
        failing = Simulation(with_slow_callee(mesh), load, seed=seed)
        for day in range(int(days)):
            stages.append(observing.Stage(failing, day * 1440 + _OUTAGE[0]))
            stages.append(observing.Stage(simulation, day * 1440 + _OUTAGE[1]))
    seen = observing.observe(stages, start=START, steps=steps, seed=seed)
    values = np.full((steps, len(mesh.services), len(FEATURES)), np.nan, np.float32)
    for column, name in enumerate(observing.FEATURES):
        if name in _COLUMNS:
            feature, scale = _COLUMNS[name]
            values[:, :, index_of(feature)] = seen[:, :, column] * scale
    external = [place for place, service in enumerate(mesh.services) if service.is_external]
    values[:, external, index_of(READY_REPLICAS)] = np.nan
    end = START + steps * STEP_SECONDS
    rates = call_rates(simulation, start=START, end=min(end, START + 86_400))
    place = {service.service_id: index for index, service in enumerate(mesh.services)}
    calls = np.array([(place[a], place[b]) for a, b in rates], dtype=np.int64).reshape(-1, 2).T.copy()
    return Snapshot(end, STEP_SECONDS, tuple(place), values, calls, np.array(list(rates.values()), dtype=np.float32))


def with_slow_callee(mesh: Mesh) -> Mesh:
    """The same mesh while the service that its callers wait for most takes six times as long."""
    waits = np.zeros(len(mesh.services))
    for call, (caller, callee) in zip(mesh.calls, mesh.ends, strict=True):
        if not call.asynchronous and not mesh.services[callee].sparse:
            own, of_callee = (mesh.services[place].latency_seconds for place in (caller, callee))
            waits[callee] += call.weight * of_callee / own
    services, most = list(mesh.services), int(waits.argmax())
    services[most] = dataclasses.replace(services[most], latency_seconds=6 * services[most].latency_seconds)
    return Mesh(mesh.name, tuple(services), mesh.calls)


def coarse(seen: Snapshot) -> Snapshot:
    """The same in steps of five minutes."""
    steps = seen.steps // COARSE_STEPS
    parts = seen.values[: steps * COARSE_STEPS].reshape(steps, COARSE_STEPS, *seen.values.shape[1:])
    known = np.isfinite(parts)
    values = np.where(known, parts, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    values[:, :, index_of(READY_REPLICAS)] = parts[:, -1, :, index_of(READY_REPLICAS)]
    end = seen.start_time + (steps * COARSE_STEPS - 1) * STEP_SECONDS
    return dataclasses.replace(
        seen, end_time=end, step_seconds=COARSE_STEPS * STEP_SECONDS, values=values.astype(np.float32)
    )


def autoscaled(mesh: Mesh, load: Shape, *, days: float, seed: int) -> Mesh:
    """The same mesh with pods that follow the load of the last quarter of an hour, aiming at 60 percent."""
    ticks = round(days * 96)
    traffic = Simulation(mesh, load, seed=seed, tick_seconds=900).between(START // 900, START // 900 + ticks)
    services = []
    for place, service in enumerate(mesh.services):
        wanted = np.ceil(traffic.arriving[place] / 900 / (_TARGET * service.capacity_rps)).astype(int)
        wanted = np.maximum(wanted, 1)
        changed = np.flatnonzero(np.diff(wanted)) + 1
        schedule = tuple((START + (int(tick) + 1) * 900, int(wanted[tick])) for tick in changed)
        services.append(dataclasses.replace(service, replica_schedule=schedule))
    return Mesh(mesh.name, tuple(services), mesh.calls)


def scenario(name: str, *, size: int, days: float, seed: int) -> tuple[Mesh, Snapshot]:
    """A mesh and what was seen of it."""
    mesh = generate(Blueprint(size=size, depth=4, seed=seed))
    load = Product((usual_load(seed), Constant(LEVELS[name])))
    if name == "autoscaled":
        # Few pods make large steps; more, and smaller ones, leave an autoscaler something to do.
        services = tuple(
            dataclasses.replace(service, capacity_rps=max(service.capacity_rps / 3, 0.5)) for service in mesh.services
        )
        mesh = autoscaled(Mesh(mesh.name, services, mesh.calls), load, days=days, seed=seed)
    return mesh, recorded(mesh, load, days=days, seed=seed, outages=name == "outages")


def true_capacity(service: Service, signal: Feature) -> float:
    """What one pod can carry."""
    if signal is CPU:
        return service.cpu_idle_cores + service.capacity_rps * service.cpu_seconds
    return service.capacity_rps


def slower(utilisation: float, replicas: float) -> float:
    """How many times its idle latency the service's own work takes."""
    return float(1 + waiting_factor(np.array(utilisation), np.array(replicas)))


def compare(worlds: Sequence[tuple[Mesh, Snapshot]], signal: Feature) -> list[dict[str, float]]:
    """One row for each service that was called; NaN where nothing was learned of it."""
    rows = []
    for mesh, seen in worlds:
        known, by_five = (Capacities(with_window(LoadSketch.empty(), each)) for each in (seen, coarse(seen)))
        for place, service in enumerate(mesh.services):
            if service.is_external or not mesh.calls_in[place]:
                continue
            replicas = seen.values[:, place, index_of(READY_REPLICAS)]
            load = seen.values[:, place, index_of(signal)] / replicas
            capacity, beside = (each.of(service.service_id, signal) for each in (known, by_five))
            true = true_capacity(service, signal)
            learned = float("nan") if capacity is None else capacity.per_replica / true
            rows.append(
                {
                    "learned": learned,
                    "is_limit": float(capacity is not None and capacity.is_limit),
                    "most": float(np.nanquantile(load, 0.999)) / true,
                    "slower": slower(learned, float(np.median(replicas))),
                    "coarse": beside.per_replica / capacity.per_replica if beside and capacity else float("nan"),
                    "pods": float(np.median(replicas)),
                    "rps": float(np.nanmean(seen.values[:, place, index_of(REQUESTS)])),
                }
            )
    return rows


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What is told of a scenario."""
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    learned: NDArray[np.float64] = table["learned"]
    known = np.isfinite(learned)
    limit = known & (table["is_limit"] > 0)
    low, median, high = np.quantile(learned[known], [0.1, 0.5, 0.9])
    of_limits = np.quantile(learned[limit], [0.1, 0.5, 0.9]) if limit.any() else [float("nan")] * 3
    return {
        "services": len(rows),
        "learned": int(known.sum()),
        "p10": float(low),
        "median": float(median),
        "p90": float(high),
        "above_true": float((learned[known] > 1).mean()),
        "limits": float(limit[known].mean()),
        "limits_p10": float(of_limits[0]),
        "limits_median": float(of_limits[1]),
        "limits_p90": float(of_limits[2]),
        "most_seen": float(np.median(table["most"])),
        "slower": float(np.median(table["slower"][known])),
        "coarse_p10": float(np.nanquantile(table["coarse"], 0.1)),
        "coarse_median": float(np.nanmedian(table["coarse"])),
        "coarse_p90": float(np.nanquantile(table["coarse"], 0.9)),
    }


def main() -> None:
    """Prints a table, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--size", type=int, default=30)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS, choices=SCENARIOS)
    parser.add_argument("--output", type=Path, help="a file for the figures")
    options = parser.parse_args()
    told = {}
    for name in options.scenarios:
        worlds = [scenario(name, size=options.size, days=options.days, seed=seed) for seed in options.seeds]
        for signal in (REQUESTS, CPU):
            rows = compare(worlds, signal)
            told[f"{name} {signal.name}"] = summary(rows)
            print(f"{name:11} {signal.name:18}", json.dumps({k: round(v, 3) for k, v in summary(rows).items()}))
    if options.output:
        options.output.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
