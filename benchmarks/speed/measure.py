"""
Measures one method on one size, in a process of its own; `run.py` starts it. Prints a JSON object.

Peak memory is what the process holds more at its worst than it held with torch loaded and before its case was made; on a
GPU, what torch holds there at its worst.
"""

import argparse
import json
import signal
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from case import CALLS_OF_A_SERVICE, Case, Contender

SECONDS = 120  # a single pass may take
_BUDGET = 20.0  # seconds for repeating it
_MEBIBYTE = 1024


def contenders() -> dict[str, Callable[[Case], Contender]]:
    """By name, in the order of the table."""
    import ours  # noqa: PLC0415 - imports are part of what a process holds
    import peers  # noqa: PLC0415

    return {
        "ours, compiled": partial(ours.core, backend="native"),
        "ours, PyTorch": partial(ours.core, backend="torch"),
        "ours as plain PyG": ours.reference,
        "GcnGru, all of it": ours.model,
        "plain PyG": partial(peers.plain, cached=False),
        "plain PyG, cached": partial(peers.plain, cached=True),
        "PyGT TGCN": partial(peers.cell, name="TGCN"),
        "PyGT A3TGCN": peers.attention,
        "PyGT GConvGRU": partial(peers.cell, name="GConvGRU", K=2),
        "PyGT DCRNN": partial(peers.cell, name="DCRNN", K=2),
        "DCRNN": partial(peers.baseline, module="dcrnn", name="Dcrnn"),
        "GraphWaveNet": partial(peers.baseline, module="graph_wavenet", name="GraphWaveNet"),
        "ASTGCN": partial(peers.baseline, module="astgcn", name="Astgcn"),
    }


def timed(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Milliseconds, after one round to warm up; fewer repeats where one takes long."""
    times: list[float] = []
    began = time.monotonic()
    for round_ in range(repeats + 1):
        signal.alarm(SECONDS)
        start = time.perf_counter()
        work()
        if torch.get_default_device().type == "cuda":
            torch.cuda.synchronize()  # what was asked for is done by then
        if round_:
            times.append(1e3 * (time.perf_counter() - start))
        signal.alarm(0)
        if times and time.monotonic() - began > _BUDGET:
            break
    quarters = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [times[0]] * 3
    return {
        "median": quarters[1],
        "lower": quarters[0],
        "upper": quarters[2],
        "least": min(times),
        "rounds": len(times),
    }


def held(field: str) -> float:
    """`VmRSS` or `VmHWM` of this process, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / _MEBIBYTE


def measure(name: str, case: Callable[[], Case], what: str, repeats: int) -> dict[str, Any]:
    """What is asked for, of one method; memory is counted from before the case is made."""
    builders = contenders()
    peak = _peak_from_now()
    try:
        contender = builders[name](case())
    except ImportError as missing:
        return {"missing": str(missing)}
    result: dict[str, Any] = {}
    if what == "forward":
        with torch.inference_mode():
            result = timed(contender.forward, repeats)
    elif what == "step":
        if contender.step is None:
            return {"missing": "carries no state"}
        with torch.inference_mode():
            result = timed(contender.step, repeats)
    else:
        if not contender.epoch:
            return {"missing": "not measured"}
        parts = [(timed(work, repeats), times) for work, times in contender.epoch]
        for key in ("median", "lower", "upper"):
            result[key] = sum(part[key] * times for part, times in parts)
        result["rounds"] = min(part["rounds"] for part, _ in parts)
    return result | {"peak_mib": peak()}


def _peak_from_now() -> Callable[[], float]:
    """Tells how much more was held at the worst since."""
    if torch.get_default_device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return lambda: torch.cuda.max_memory_allocated() / _MEBIBYTE**2
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    return lambda: held("VmHWM") - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("services", type=int)
    parser.add_argument("steps", type=int)
    parser.add_argument("what", choices=["forward", "step", "epoch"])
    parser.add_argument("--calls-of-a-service", type=int, default=CALLS_OF_A_SERVICE)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    flags = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_default_device(flags.device)
    torch.set_num_threads(flags.threads)
    try:
        case = partial(Case.of, flags.services, flags.steps, flags.calls_of_a_service)
        result = measure(flags.name, case, flags.what, flags.repeats)
    except (RuntimeError, MemoryError, ValueError) as failure:
        result = {"failed": str(failure).splitlines()[0][:200]}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
