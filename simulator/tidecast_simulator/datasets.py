"""
A simulation as one npz file, in the form in which recordings of real systems are kept for developing the forecaster.

| key | content |
|---|---|
| data | float32 [T,N,F]; NaN = missing or undefined (a latency without requests) |
| time | int64 [T], unix seconds |
| nodes, features | names |
| edges | int32 [E,2], caller -> callee |
| edge_weight | float32 [E], requests per second |
| segment | int32 [T]; one number throughout: a simulation has no gaps |
| meta | JSON text; says that it is simulated |

Units: rps 1/s; `*_ms` milliseconds; error_rate 0..1; cpu millicores; mem MiB; replicas.
"""

import json
from pathlib import Path

import numpy as np

from tidecast_contract.features import CPU, ERRORS, FEATURES, LATENCY_P50, LATENCY_P95, MEMORY, READY_REPLICAS, REQUESTS
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import call_rates, features

_COLUMNS = {
    REQUESTS: ("rps", 1.0),
    LATENCY_P50: ("p50_ms", 1000.0),
    LATENCY_P95: ("p95_ms", 1000.0),
    ERRORS: ("error_rate", 1.0),
    CPU: ("cpu", 1000.0),
    MEMORY: ("mem", 2.0**-20),
    READY_REPLICAS: ("replicas", 1.0),
}


def to_npz(simulation: Simulation, path: Path, *, start: int, end: int, step_seconds: int = 60) -> Path:
    """
    Writes the truth between two times, unix seconds and both included, to a file; answers its path.

    Raises:
        ValueError: If the times are no multiples of the step, or the step none of the simulation's tick.
    """
    truth = features(simulation, start=start, end=end, step_seconds=step_seconds)
    rates = call_rates(simulation, start=start - step_seconds, end=end)
    scale = np.array([_COLUMNS[feature][1] for feature in FEATURES], dtype=np.float32)
    position = {service: place for place, service in enumerate(truth.services)}
    edges = np.array([(position[caller], position[callee]) for caller, callee in rates], dtype=np.int32)
    data = truth.values * scale
    meta = {
        "name": simulation.mesh.name,
        "source": "tidecast-simulator",
        "load": "simulated",
        "step_seconds": step_seconds,
        "seed": simulation.seed,
        "missing_rate": float(np.isnan(data).mean()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        data=data,
        time=truth.times,
        nodes=np.array([str(service) for service in truth.services]),
        features=np.array([_COLUMNS[feature][0] for feature in FEATURES]),
        edges=edges.reshape(-1, 2),
        edge_weight=np.array(list(rates.values()), dtype=np.float32),
        segment=np.zeros(len(truth.times), dtype=np.int32),
        meta=np.array(json.dumps(meta)),
    )
    return path
