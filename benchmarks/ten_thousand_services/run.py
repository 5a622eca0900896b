"""
Cycles of 10,000 services: a real kube-apiserver, and a Prometheus-compatible endpoint with made-up numbers.

    .venv/bin/python benchmarks/ten_thousand_services/run.py --services 10000 --out benchmarks/results

Reports for each cycle the seconds of its stages, queries and writes, and the peak memory of every process. It shares
the host with all that it measures.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from endpoint import name_of, namespace_of
from kubernetes import client, config
from prometheus_client.parser import text_string_to_metric_families

from tidecast_simulator.kubernetes_objects import idle_deployment
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.process import Process, free_port, listens
from tidecast_simulator.testbed.world import OPT_IN, World

HISTORY_SECONDS = 7200
WRITERS = 8


def populate(plane: ControlPlane, services: int) -> float:
    """Creates the namespaces and Deployments; says how many seconds it took."""
    started = time.monotonic()
    api = config.new_client_from_config(str(plane.kubeconfig))
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    for namespace in sorted({namespace_of(service) for service in range(services)}):
        core.create_namespace({"metadata": {"name": namespace, "labels": OPT_IN}})
    with ThreadPoolExecutor(WRITERS) as pool:

        def create(service: int) -> None:
            namespace = namespace_of(service)
            apps.create_namespaced_deployment(namespace, idle_deployment(namespace, name_of(service)))

        list(pool.map(create, range(services)))
    return time.monotonic() - started


def peak_megabytes(process: Process) -> int:
    """The most memory that a process has had resident, MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def metrics_of(world: World) -> dict[str, float]:
    """The operator's own metrics as one table of name{labels} to value."""
    address = next(str(part).split("=")[1] for part in world.operator.command if "--http-address" in str(part))
    text = requests.get(f"http://{address}/metrics", timeout=30).text
    return {
        sample.name + "".join(f":{value}" for key, value in sorted(sample.labels.items()) if key != "le"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def cycles(world: World, prometheus_url: str, count: int) -> Iterator[dict[str, Any]]:
    """What each of the next *count* cycles did: differences of the operator's counters."""
    before = metrics_of(world)
    for number in range(count):
        while (after := metrics_of(world))["tidecast_last_cycle_timestamp_seconds"] == before.get(
            "tidecast_last_cycle_timestamp_seconds"
        ):
            time.sleep(0.5)
        grown = {name: round(after[name] - before.get(name, 0.0), 3) for name in after}
        asked = requests.get(f"{prometheus_url}/counts", timeout=30).json()
        yield {
            "cycle": number,
            "outcome": [name.split(":")[1] for name in grown if "cycles_total" in name and grown[name]],
            "seconds": {
                name.split(":")[1]: seconds
                for name, seconds in grown.items()
                if name.startswith("tidecast_cycle_stage_seconds_sum") and seconds
            },
            "prometheus_queries": grown.get("tidecast_prometheus_queries_total"),
            "status_writes": {
                name.split(":")[1]: value for name, value in grown.items() if "status_writes_total" in name and value
            },
            "services": after["tidecast_graph_services"],
            "calls": after["tidecast_graph_calls"],
            "endpoint_seconds_so_far": round(asked["seconds"], 1),
        }
        before = after


def measure(directory: Path, services: int, count: int) -> dict[str, Any]:
    """Starts everything, watches some cycles, and says what they cost."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = [sys.executable, str(Path(__file__).with_name("endpoint.py")), f"--services={services}", f"--port={port}"]
    endpoint = Process.start(program, log=directory / "endpoint.log")
    with ControlPlane.start(directory / "control-plane", controllers=False) as plane:
        try:
            endpoint.wait_until(lambda: listens(port), timeout_seconds=60)
            created = populate(plane, services)
            training = {"historySeconds": HISTORY_SECONDS, "minimumHistorySeconds": HISTORY_SECONDS // 2}
            prometheus = {"url": url, "timeoutSeconds": 120}
            predictor = {"timeoutSeconds": 120}
            world = World(directory, control_plane=plane, prometheus_url=url)
            predictor["address"] = world.predictor_address
            with world:
                world.install_definitions()
                world.predictor.start(wait_seconds=120)
                started = time.monotonic()
                world.operator.start(wait_seconds=300)
                world.apply(world.forecaster(prometheus=prometheus, training=training, predictor=predictor))
                watched = []
                for cycle in cycles(world, url, count):
                    print(json.dumps(cycle), flush=True)
                    watched.append(cycle | {"at_second": round(time.monotonic() - started)})
                status = world.get("forecaster", "default").get("status", {})
                memory = {
                    "operator": peak_megabytes(world.operator.process),
                    "predictor": peak_megabytes(world.predictor.process),
                }
        finally:
            endpoint.stop()
    return {
        "services": services,
        "host": {"cpus": len(os.sched_getaffinity(0)), "python": platform.python_version()},
        "seconds_to_create_deployments": round(created, 1),
        "cycles": watched,
        "peak_memory_mib": memory,
        "forecaster_status": status,
    }


def main() -> None:
    """Measures, prints, and writes the result as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--services", type=int, default=10_000)
    arguments.add_argument("--cycles", type=int, default=6)
    arguments.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidecast-") as directory:
        result = measure(Path(directory), chosen.services, chosen.cycles)
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / f"cycle-{chosen.services}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
