"""
How fast the core of the GCN-GRU is against its peers, in one run: forward, a streaming step, an epoch, peak memory.

    python benchmarks/speed/run.py --quick

Every figure comes from a process of its own. What takes more than `--gigabytes`, but for a GPU's, or 120 s for a pass is ended
and said so. A run that was interrupted goes on where it stopped, with more gigabytes also at what wanted more.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from case import CALLS_OF_A_SERVICE, EPOCH_STEPS, FEATURES, HIDDEN, HORIZON
from measure import SECONDS, contenders
from tables import table

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "speed"
_OVER = "over {} GB"
_EPOCH_SIZES = (100, 1_000, 10_000)


def machine(device: str) -> dict[str, Any]:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
    facts = {
        "processor": model,
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return facts | ({"gpu": torch.cuda.get_device_name()} if device == "cuda" else {})


def measured(name: str, services: int, steps: int, what: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Run `measure.py` and watch what it holds."""
    command = [sys.executable, str(HERE / "measure.py"), name, str(services), str(steps), what]
    command += ["--repeats", str(flags.repeats), "--threads", str(flags.threads), "--device", flags.device]
    command += ["--calls-of-a-service", str(flags.calls_of_a_service)]
    # A thread that spins while it waits takes the core away from the one it waits for, where cores are shared.
    environment = os.environ | {"OMP_NUM_THREADS": str(flags.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
    pages = Path(f"/proc/{process.pid}/statm")
    while process.poll() is None:
        try:
            held = int(pages.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        except (OSError, IndexError):
            break
        if held > flags.gigabytes * 2**30 and flags.device == "cpu":
            process.kill()
            process.communicate()
            return {"failed": _OVER.format(flags.gigabytes)}
        time.sleep(0.05)
    said, complaints = process.communicate()
    if process.returncode < 0:
        return {"failed": f"over {SECONDS} s"}
    if process.returncode:
        return {"failed": complaints.strip().splitlines()[-1][:200]}
    answer: dict[str, Any] = json.loads(said)
    return answer


def main() -> None:
    """Measure what is not measured yet, write the results and the table."""
    parser = argparse.ArgumentParser(description="Times the GCN-GRU's core against its peers.")
    parser.add_argument("--services", type=int, nargs="+", default=[100, 1_000, 10_000, 50_000])
    parser.add_argument("--window-steps", type=int, nargs="+", default=[12, 60])
    parser.add_argument("--methods", nargs="+", choices=list(contenders()), default=list(contenders()))
    parser.add_argument("--what", nargs="+", choices=["forward", "step", "epoch"], default=["forward", "step", "epoch"])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--calls-of-a-service", type=int, default=CALLS_OF_A_SERVICE, help="another number, another --out"
    )
    parser.add_argument("--gigabytes", type=int, default=8, help="of memory that a process may hold")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, help="speed.json, gpu.json with --device cuda, or quick.json with --quick")
    parser.add_argument("--quick", action="store_true", help="T = 12 and 5 repeats; an epoch for 1,000 services only")
    flags = parser.parse_args()
    if flags.quick:
        flags.window_steps, flags.repeats = [12], 5
    usual = "gpu.json" if flags.device == "cuda" else "speed.json"
    path: Path = flags.out or RESULTS / ("quick.json" if flags.quick else usual)
    path.parent.mkdir(parents=True, exist_ok=True)
    task = {"features": FEATURES, "hidden": HIDDEN, "horizon": HORIZON, "calls of a service": flags.calls_of_a_service}
    run = {
        "machine": machine(flags.device),
        "threads": flags.threads,
        "task": task | {"steps of an epoch": EPOCH_STEPS},
    }
    done = json.loads(path.read_text()) if path.exists() else run | {"rows": []}
    if any(done[key] != value for key, value in run.items()):
        sys.exit(f"{path} was measured on another machine or with other settings; choose another --out")
    wanting = {_OVER.format(less) for less in range(flags.gigabytes)}
    done["rows"] = [row for row in done["rows"] if row.get("failed") not in wanting]
    known = {(row["method"], row["services"], row["steps"], row["what"]) for row in done["rows"]}
    epoch_sizes = (1_000,) if flags.quick else _EPOCH_SIZES
    for steps in flags.window_steps:
        for services in flags.services:
            for what in flags.what:
                if what == "epoch" and (services not in epoch_sizes or steps != flags.window_steps[0]):
                    continue
                if what == "step" and steps != flags.window_steps[0]:
                    continue  # does not depend on the window
                for method in flags.methods:
                    if (method, services, steps, what) in known:
                        continue
                    load = os.getloadavg()[0]
                    found = measured(method, services, steps, what, flags)
                    row = {"method": method, "services": services, "steps": steps, "what": what, "load": load}
                    done["rows"].append(row | found)
                    path.write_text(json.dumps(done, indent=1) + "\n")
                    print(f"{services:>6} T={steps:<3} {what:<8} {method:<20} {found}", flush=True)
    path.with_suffix(".md").write_text(table(done))


if __name__ == "__main__":
    main()
