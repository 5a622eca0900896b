"""
The recordings of the experiments, SIMULATED: npz files in the form that `tidecast-predictor evaluate` reads.

    .venv/bin/python benchmarks/forecasting/recordings.py                    # all of them, into build/recordings
    .venv/bin/python benchmarks/forecasting/recordings.py mesh-1 size-1000   # some of them
    .venv/bin/python benchmarks/forecasting/recordings.py --list

The same name gives the same file at any time. A file that is there and was made by the same code is kept.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import catalogue
import meshes
import numpy as np
import observing
from catalogue import Recording, Release
from meshes import hidden, load_of, mesh_of
from numpy.typing import NDArray
from observing import FEATURES, STEP_SECONDS, Stage, observe

import tidecast_simulator
from tidecast_simulator.load import Product, Shape, Steps, read_series
from tidecast_simulator.mesh import Mesh, Role
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import call_rates

DIRECTORY = Path("build/recordings")
# Mean length of a hole in the measurements, in steps.
_HOLE_STEPS = 5.0
# Bits of a number that are kept: 1 part in 8,192, finer than any measurement, and files half as large.
_DROPPED_BITS = 11


def simulate(recording: Recording, *, load: Shape | None = None) -> dict[str, NDArray[Any]]:
    """
    The arrays of a recording, as its file holds them.

    Args:
        recording: Which.
        load: Multiplies the recording's own load at all entries.
    """
    plan, steps = recording.plan, recording.steps
    mesh = mesh_of(plan)
    shape = load_of(plan, level=_level(recording, load))
    before = Simulation(mesh, shape, seed=plan.seed)
    stages, events = [Stage(before)], {}
    if recording.release:
        service = _released_service(mesh)
        released = Simulation(_released(mesh, service, recording.release), shape, seed=plan.seed)
        stages.append(Stage(released, recording.release_step))
        events["release"] = {
            "service": service,
            "step": recording.release_step,
            "time": _moment(recording.release_step),
            **dataclasses.asdict(recording.release),
        }
    values = observe(stages, start=catalogue.START, steps=steps, seed=plan.seed)
    keys = [service.key for service in mesh.services]
    unmeasured = set(hidden(plan))
    seen = [place for place, key in enumerate(keys) if key not in unmeasured]
    values = values[:, seen]
    chance = np.random.default_rng((plan.seed, 5))
    newcomers = _newcomers([mesh.services[place].role for place in seen], recording.late_share, chance)
    values[: recording.test_step, newcomers] = np.nan
    if newcomers.size:
        late = [keys[seen[place]] for place in newcomers]
        events["late"] = {"services": late, "positions": newcomers.tolist(), "step": recording.test_step}
    values[holes(steps, len(seen), recording.missing, seed=plan.seed)] = np.nan
    edges, weights = _calls(before, seen, steps)
    kinds = groups(before, steps)
    kinds["new"] = [keys[seen[place]] for place in newcomers]
    meta = {
        "name": recording.name,
        "real": "SIMULATED by tidecast-simulator; not a measurement",
        "load": "simulated",
        "step_seconds": STEP_SECONDS,
        "plan": dataclasses.asdict(plan),
        "hidden": len(unmeasured),
        "missing_asked": recording.missing,
        "missing_rate": float(np.isnan(values).mean()),
        "test_step": recording.test_step,
        "groups": {kind: [new for new, place in enumerate(seen) if keys[place] in of] for kind, of in kinds.items()},
        **events,
    }
    return {
        "data": rounded(values),
        "time": _moment(np.arange(steps, dtype=np.int64)),
        "nodes": np.array([keys[place] for place in seen]),
        "features": np.array(FEATURES),
        "edges": edges,
        "edge_weight": weights,
        "segment": np.zeros(steps, dtype=np.int32),
        "meta": np.array(json.dumps(meta)),
    }


def write(recording: Recording, directory: Path, *, load: Path | None = None) -> tuple[Path, float]:
    """
    Writes a recording, unless the same one is there already; answers its path and the seconds it took.

    Args:
        recording: Which.
        directory: Made if it is not there.
        load: A file whose last column, or only array, is requests a minute: multiplies the recording's own load.

    Raises:
        ValueError: If the file of the load holds none.
    """
    started = time.monotonic()
    path = directory / f"{recording.name}.npz"
    recipe = _recipe(recording, load)
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            if json.loads(str(file["meta"])).get("recipe") == recipe:
                return path, 0.0
    shape = dataclasses.replace(read_series(load), start_time=float(catalogue.START)) if load else None
    arrays = simulate(recording, load=shape)
    meta = json.loads(str(arrays["meta"])) | {"recipe": recipe} | ({"load_file": load.name} if load else {})
    directory.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **(arrays | {"meta": np.array(json.dumps(meta))}))
    partial.replace(path)
    return path, time.monotonic() - started


def holes(steps: int, services: int, share: float, *, seed: int) -> NDArray[np.bool_]:
    """
    Which measurements are missing: so large a share of each service's steps, in runs of 5 on average, by chance alone.

    Returns:
        Of shape (T, N).

    Raises:
        ValueError: If the share does not lie in [0, 0.8].
    """
    if not 0 <= share <= 0.8:
        raise ValueError(f"missing must lie in [0, 0.8], not {share}")
    chance = np.random.default_rng((seed, 6))
    missing = np.zeros((steps, services), dtype=bool)
    begins, ends = share / ((1 - share) * _HOLE_STEPS), 1 / _HOLE_STEPS
    drawn = chance.random((steps, services))
    missing[0] = drawn[0] < share
    for step in range(1, steps):
        missing[step] = np.where(missing[step - 1], drawn[step] >= ends, drawn[step] < begins)
    return missing


def groups(simulation: Simulation, steps: int) -> dict[str, list[str]]:
    """
    The keys of the services where a graph might tell something, by kind, as the first half shows them.

    A service may be of several kinds: `sparse`, fewer than 30 requests a minute; `queued`, most of whose requests come
    out of a queue, directly or through a caller; `strained`, in a tenth of the time at 70 percent of its capacity or
    more; `steady`, of none of these.
    """
    mesh = simulation.mesh
    first = catalogue.START // STEP_SECONDS
    traffic = simulation.between(first, first + max(steps // 2, 1))
    rates = traffic.arriving.mean(axis=1) / STEP_SECONDS
    strain = np.quantile(traffic.utilisation, 0.9, axis=1)
    late = np.zeros(len(mesh.services))
    for place in mesh.order:
        into = [(call, mesh.ends[call][0]) for call in mesh.calls_in[place]]
        loads = np.array([traffic.requests[call].sum() for call, _ in into])
        shares = [1.0 if mesh.calls[call].asynchronous else late[caller] for call, caller in into]
        late[place] = float(loads @ shares / loads.sum()) if loads.sum() else 0.0
    inner = [place for place, service in enumerate(mesh.services) if service.role is not Role.GATEWAY]
    kinds = {
        "sparse": [place for place in inner if rates[place] < 0.5],
        "queued": [place for place in inner if late[place] > 0.5],
        "strained": [place for place in inner if strain[place] >= 0.7],
    }
    kinds["steady"] = sorted(set(inner).difference(*kinds.values()))
    return {kind: [mesh.services[place].key for place in places] for kind, places in kinds.items()}


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest numbers with a shorter mantissa; NaN stays NaN."""
    bits = values.astype(np.float32).view(np.uint32)
    half = np.uint32(1 << (_DROPPED_BITS - 1))
    short = ((bits + half) & ~np.uint32((1 << _DROPPED_BITS) - 1)).view(np.float32)
    return np.where(np.isnan(values), np.float32(np.nan), short)


def _moment(step: Any) -> Any:
    """The end of a step, unix seconds."""
    return catalogue.START + (step + 1) * STEP_SECONDS


def _level(recording: Recording, load: Shape | None) -> Shape | None:
    shapes: list[Shape] = [load] if load else []
    if recording.levels:
        shapes.append(Steps(tuple((float(catalogue.START + step * STEP_SECONDS), f) for step, f in recording.levels)))
    return Product(tuple(shapes)) if shapes else None


def _released_service(mesh: Mesh) -> str:
    """The workload with most calls in and out: a release that the neighbours feel."""
    inner = [p for p, service in enumerate(mesh.services) if service.role is Role.WORKLOAD and not service.sparse]
    most = max(inner, key=lambda p: (bool(mesh.calls_out[p]), len(mesh.calls_in[p]) + len(mesh.calls_out[p]), -p))
    return mesh.services[most].key


def _released(mesh: Mesh, key: str, release: Release) -> Mesh:
    services = [
        dataclasses.replace(
            service,
            latency_seconds=service.latency_seconds * release.latency_factor,
            cpu_seconds=service.cpu_seconds * release.cpu_factor,
            capacity_rps=service.capacity_rps * release.capacity_factor,
            version="v2",
        )
        if service.key == key
        else service
        for service in mesh.services
    ]
    return Mesh(mesh.name, tuple(services), mesh.calls)


def _newcomers(roles: Sequence[Role], share: float, chance: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the services that are first measured when the test begins."""
    workloads = np.array([place for place, role in enumerate(roles) if role is not Role.GATEWAY], dtype=np.int64)
    return np.sort(chance.choice(workloads, round(share * len(workloads)), replace=False))


def _calls(simulation: Simulation, seen: Sequence[int], steps: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The calls between measured services and their requests per second in the first half, well before any test."""
    half = catalogue.START + max(steps // 2, 1) * STEP_SECONDS
    rates = call_rates(simulation, start=catalogue.START, end=half)
    position = {simulation.mesh.services[place].service_id: new for new, place in enumerate(seen)}
    kept = [(ends, rate) for ends, rate in rates.items() if ends[0] in position and ends[1] in position]
    edges = np.array([(position[a], position[b]) for (a, b), _ in kept], dtype=np.int32).reshape(-1, 2)
    return edges, np.array([rate for _, rate in kept], dtype=np.float32)


def _read_code() -> bytes:
    simulator = Path(tidecast_simulator.__file__).parent
    files = [Path(__file__), Path(meshes.__file__), Path(observing.__file__), *sorted(simulator.glob("*.py"))]
    return b"".join(file.read_bytes() for file in files)


# Read when it is loaded: a change that is made while recordings are written must not be taken for what they came from.
_CODE = _read_code()


def _recipe(recording: Recording, load: Path | None) -> str:
    """What a file is made by: the recording and all code and data that bears on it."""
    made_by = hashlib.sha256(repr(recording).encode())
    made_by.update(_CODE)
    made_by.update(load.read_bytes() if load else b"")
    return made_by.hexdigest()


def main() -> None:
    """Writes recordings and says how long each took and how large it is."""
    parser = argparse.ArgumentParser(description="Simulated recordings for the forecaster's experiments.")
    parser.add_argument("names", nargs="*", help="which; all of them if none is named")
    parser.add_argument("--out", type=Path, default=DIRECTORY)
    parser.add_argument("--load-file", type=Path, help="requests a minute, a CSV or npz file, to drive the load with")
    parser.add_argument("--list", action="store_true", help="name the recordings, make none")
    parser.add_argument("--report", type=Path, help="write seconds and sizes to this JSON file")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(catalogue.RECORDINGS))
    if unknown:
        parser.error(f"no such recording: {', '.join(unknown)}; --list names them")
    if arguments.list:
        print("\n".join(f"{name:24} {recording.about}" for name, recording in catalogue.RECORDINGS.items()))
        return
    made = []
    for name in arguments.names or catalogue.RECORDINGS:
        path, seconds = write(catalogue.RECORDINGS[name], arguments.out, load=arguments.load_file)
        with np.load(path, allow_pickle=False) as file:
            shape, edges = file["data"].shape, len(file["edges"])
        made.append({"name": name, "shape": shape, "calls": edges, "seconds": round(seconds, 1)})
        made[-1]["mebibytes"] = round(path.stat().st_size / 2**20, 1)
        told = "kept" if not seconds else f"{seconds:.1f} s"
        print(f"{name:24} {shape} {edges} calls, {made[-1]['mebibytes']} MiB, {told}", flush=True)
    if arguments.report:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        arguments.report.write_text(json.dumps({"simulated": True, "recordings": made}, indent=1) + "\n")


if __name__ == "__main__":
    main()
