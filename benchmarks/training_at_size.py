"""
How long a training on weeks of a large cluster takes, how good it gets meanwhile, and in how much memory.

    .venv/bin/python benchmarks/training_at_size.py            # hours; --quick: minutes, that it works and not how well

On two weeks of minutes of 1,000 services trainings of growing length, the longest to tell what there is to be learnt:
by how much is each worse than the best of them? And one on 10,000 services. Each in a process of its own, so that the
peak memory is its own; the recording lies in a file, as the predictor's trainer leaves it.

The numbers are made up here, not measured and not from the simulator: families of services that follow an entry with
days, weeks, wandering levels and bursts of its own, callees a step or two after their callers.
"""

import argparse
import json
import logging
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tidecast_contract.features import CPU, ERRORS, FEATURES, MEMORY, READY_REPLICAS, REQUESTS
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.fitting import fit

logger = logging.getLogger(__name__)

RESULTS = Path(__file__).parent / "results" / "training-at-size.json"
END_TIME = 1_800_014_400
DAY_STEPS = 1440
_FAMILY = 50  # services that follow the same entry
_SERVICES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Case:
    """
    One training.

    Attributes:
        services: Of the recording.
        days: Of the recording, in steps of a minute.
        updates: Optimiser steps.
        seconds: Wall time it may take.
        rows: (sample, service) pairs an optimiser step looks at.
        part: Services an optimiser step looks at.
        threads: Of the processor.
        seed: Of everything.
    """

    services: int
    days: int
    updates: int
    seconds: float
    rows: int
    part: int
    threads: int
    seed: int


def calls_of(services: int, chance: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Within each family a tree from its entry, and some calls across; and how many calls each is from its entry."""
    first = np.arange(services) // _FAMILY * _FAMILY
    callers = first + (chance.random(services) * (np.arange(services) - first)).astype(np.int64)
    depths = np.zeros(services, dtype=np.int64)
    for service in range(services):
        depths[service] = 0 if service == first[service] else depths[callers[service]] + 1
    tree = np.stack([callers, np.arange(services)])[:, np.arange(services) != first]
    across = chance.integers(0, services, (2, services // 5))
    across = across[:, across[0] != across[1]]
    return np.unique(np.concatenate([tree, across], axis=1), axis=1), depths


def entries_of(count: int, steps: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """The load of each family's entry, around 1, (count, steps)."""
    clock = 2 * np.pi * np.arange(steps) / DAY_STEPS
    day = np.sin(clock + chance.uniform(0, 2 * np.pi, (count, 1))) * chance.uniform(0.2, 0.8, (count, 1))
    week = np.sin(clock / 7 + chance.uniform(0, 2 * np.pi, (count, 1))) * 0.2
    wander = np.zeros((count, steps))
    for step in range(1, steps):
        wander[:, step] = 0.995 * wander[:, step - 1] + chance.normal(0, 0.02, count)
    bursts = (chance.random((count, steps)) < 1 / 600) * chance.exponential(1.0, (count, steps))
    fading = np.exp(-np.arange(60) / 15)
    lifted = np.stack([np.convolve(row, fading)[:steps] for row in bursts])
    return np.exp(day + week + wander + lifted).astype(np.float32)


def record(path: Path, case: Case) -> Snapshot:
    """Write the recording of *case* to *path*, the steps of each service together, and open it."""
    chance = np.random.default_rng(case.seed)
    steps = case.days * DAY_STEPS
    calls, depths = calls_of(case.services, chance)
    entries = entries_of(-(-case.services // _FAMILY), steps, chance)
    with path.open("wb") as file:
        shape = (case.services, steps, len(FEATURES))
        form = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, form)
        for begin in range(0, case.services, _SERVICES_AT_ONCE):
            some = np.arange(begin, min(begin + _SERVICES_AT_ONCE, case.services))
            load = np.stack([np.roll(entries[s // _FAMILY], depths[s]) for s in some])
            measured(load, chance).tofile(file)
    values = np.load(path, mmap_mode="r").swapaxes(0, 1)
    services = tuple(ServiceId(f"family-{s // _FAMILY}", "Deployment", f"s{s}") for s in range(case.services))
    return Snapshot(END_TIME, 60, services, values, calls, chance.uniform(1, 50, calls.shape[1]).astype(np.float32))


def measured(load: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    """What is measured of services under *load*, (n, T) to (n, T, F); latency rises towards saturation."""
    count = len(load)

    def noise(width: float) -> NDArray[np.float32]:
        return np.exp(np.float32(width) * chance.standard_normal(load.shape, dtype=np.float32))

    requests = load * chance.lognormal(3, 1.2, (count, 1)).astype(np.float32) * noise(0.05)
    usage = np.minimum(load / chance.uniform(3, 8, (count, 1)).astype(np.float32), 0.95)
    latency = chance.lognormal(-3, 0.7, (count, 1)).astype(np.float32) / (1 - usage)
    parts = {
        REQUESTS: requests,
        ERRORS: np.minimum(0.002 * usage * noise(0.5), 1),
        CPU: 0.01 * requests * noise(0.05),
        MEMORY: 2.0**27 * (1 + 0.2 * usage) * noise(0.01),
        READY_REPLICAS: np.ceil(3 * usage + 1),
    }
    values = np.stack([parts.get(feature, latency * noise(0.1)) for feature in FEATURES], axis=-1)
    values[chance.random(load.shape, dtype=np.float32) < 0.01] = np.nan
    return values.astype(np.float32)


def peak_mebibytes() -> float:
    """Of this process up to now, what is mapped from files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train(case: Case, folder: Path) -> dict[str, Any]:
    """Run the training of *case* in this process."""
    torch.set_num_threads(case.threads)
    path = folder / f"{case.services}-{case.days}-{case.seed}.npy"
    snapshot = record(path, case)
    before = peak_mebibytes()
    validations: list[dict[str, float]] = []
    began = time.monotonic()

    def watch(updates: int, error: float) -> None:
        validations.append({"updates": updates, "seconds": round(time.monotonic() - began, 1), "error": error})
        logger.info("%s services: %s", case.services, validations[-1])

    settings = TrainingSettings(
        seconds=case.seconds, updates=case.updates, rows=case.rows, services=case.part, seed=case.seed
    )
    trained = fit(snapshot, settings, progress=lambda _: None, deadline=began + case.seconds, watch=watch)
    seconds = time.monotonic() - began
    path.unlink()
    first, last = validations[0], validations[-1]
    return {
        "case": asdict(case),
        "error": trained.scores.error,
        "best_naive_error": trained.scores.naive_error,
        "coverage": trained.scores.coverage,
        "updates": trained.updates,
        "seconds": round(seconds, 1),
        "seconds_until_the_first_update": first["seconds"],
        "seconds_per_update": round((last["seconds"] - first["seconds"]) / max(1, trained.updates), 4),
        "peak_mebibytes": round(peak_mebibytes()),
        "peak_mebibytes_of_making_the_recording": round(before),
        "recording_mebibytes": round(4 * math.prod(snapshot.values.shape) / 2**20),
        "validations": validations,
        "load_average": os.getloadavg()[0],
    }


def cases_of(flags: argparse.Namespace) -> list[Case]:
    """The trainings that *flags* ask for."""
    common = {"rows": flags.rows, "part": flags.part, "threads": flags.threads, "seed": flags.seed}
    if flags.quick:
        small = {"days": 2, "updates": 40, "seconds": 90.0}
        return [Case(services=services, **small, **common) for services in (1_000, 10_000)]
    growing = [Case(1_000, 14, updates=updates, seconds=flags.seconds, **common) for updates in flags.updates]
    return [*growing, Case(10_000, 14, updates=max(flags.updates), seconds=flags.large_seconds, **common)]


def in_a_process(case: Case, folder: Path) -> dict[str, Any]:
    """The result of *case*, from a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--case", json.dumps(asdict(case))]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def main() -> None:
    """Run all cases, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Trains on weeks of a large cluster.")
    add = parser.add_argument
    add("--quick", action="store_true", help="two days and a few updates: that it works, not how well")
    add("--updates", type=int, nargs="+", default=[750, 1500, 3000, 6000], help="of the trainings on 1,000 services")
    add("--seconds", type=float, default=7200.0, help="each of them may take; the claim is about 1,800")
    add("--large-seconds", type=float, default=1800.0, help="the training on 10,000 services may take")
    add("--rows", type=int, default=256)
    add("--part", type=int, default=64, help="services an optimiser step looks at")
    add("--threads", type=int, default=2)
    add("--seed", type=int, default=0)
    add("--folder", type=Path, help="for the recordings, 6 GB; left out, the system's for such files")
    add("--out", type=Path, default=RESULTS)
    add("--case", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if flags.case:
        print(json.dumps(train(Case(**json.loads(flags.case)), flags.folder)))
        return
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        rows = [in_a_process(case, Path(folder)) for case in cases_of(flags)]
    facts = {"made_up_data": True, "quick": flags.quick, "torch": torch.__version__, "machine": platform.machine()}
    flags.out.write_text(json.dumps(facts | {"cpus": os.cpu_count(), "trainings": rows}, indent=1) + "\n")
    best = min(row["error"] for row in rows if row["case"]["services"] == rows[0]["case"]["services"])
    print(
        f"{'services':>8} {'updates':>7} {'s/update':>8} {'seconds':>7} {'error':>7} {'naive':>7} {'MiB':>6}  over best"
    )
    for row in rows:
        over = f"{row['error'] / best - 1:9.1%}" if row["case"]["services"] == rows[0]["case"]["services"] else ""
        print(
            f"{row['case']['services']:>8} {row['updates']:>7} {row['seconds_per_update']:>8.3f} {row['seconds']:>7.0f} "
            f"{row['error']:>7.4f} {row['best_naive_error']:>7.4f} {row['peak_mebibytes']:>6}  {over}"
        )


if __name__ == "__main__":
    main()
