"""
How long a training pays, by how much there is to learn from. SIMULATED: recordings of the experiments.

    .venv/bin/python benchmarks/forecasting/training_length.py

The predictor trains on the last steps of a recording, with growing numbers of optimiser steps and with as many as it takes
by itself. Told is the error on the part that it holds out, which also chooses the best state of each training.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import catalogue
import numpy as np
import torch
from recordings import DIRECTORY, write

from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.evaluation.datasets import read_all
from tidecast_predictor.fitting import fit

CASES = (("mesh-1", 1440), ("size-300", 4320), ("mesh-1", 11520))
UPDATES = (600, 1800, 5400)
RESULT = Path(__file__).parent.parent / "results" / "forecasting" / "training-length.json"
_LATENCIES = slice(1, 3)  # in milliseconds there, in seconds here


def snapshot_of(name: str, steps: int, directory: Path) -> Snapshot:
    """The last *steps* of a recording as the predictor holds them."""
    write(catalogue.RECORDINGS[name], directory)
    series = read_all([directory / f"{name}.npz"])[0].series
    values = series.values[-steps:].astype(np.float32)
    values[..., _LATENCIES] /= 1000
    services = tuple(ServiceId("mesh", "Deployment", node.replace("/", ".")) for node in series.services)
    end = int(series.times[-1])
    return Snapshot(end, round(series.step_seconds), services, values, series.calls, series.weights)


def measure(snapshot: Snapshot, updates: int | None, seed: int) -> dict[str, Any]:
    """One training; None lets the predictor choose."""
    validations: list[tuple[int, float]] = []
    began = time.process_time()
    trained = fit(
        snapshot,
        TrainingSettings(seed=seed, updates=updates),
        progress=lambda _: None,
        deadline=math.inf,
        watch=lambda taken, error: validations.append((taken, round(error, 5))),
    )
    return {
        "services": len(snapshot.services),
        "steps": snapshot.steps,
        "chosen": updates is None,
        "updates": trained.updates,
        "seed": seed,
        "error": trained.scores.error,
        "best naive error": trained.scores.naive_error,
        "processor seconds": round(time.process_time() - began),
        "validations": validations,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train each case at each length and write the results."""
    parser = argparse.ArgumentParser(description="Compares lengths of training.")
    parser.add_argument("--updates", type=int, nargs="*", default=list(UPDATES), help="beside what the predictor takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--recordings", type=Path, default=DIRECTORY)
    parser.add_argument("--out", type=Path, default=RESULT)
    flags = parser.parse_args(arguments)
    torch.set_num_threads(flags.threads)
    runs = []
    for updates in (*flags.updates, None):
        for name, steps in CASES:
            told = measure(snapshot_of(name, steps, flags.recordings), updates, flags.seed)
            runs.append({"recording": name, **told})
            print(json.dumps(runs[-1]), flush=True)
    flags.out.write_text(json.dumps({"simulated": True, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
