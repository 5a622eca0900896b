"""
Strikes the operator that leads, again and again, and finds out from the API server's audit log who wrote when.

    .venv/bin/python benchmarks/handover/run.py --rounds 50 --out benchmarks/results/handover

A real kube-apiserver, operators and predictor; a Prometheus-compatible endpoint with made-up numbers.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tidecast_simulator.kubernetes_objects import idle_deployment
from tidecast_simulator.testbed.audit import Write
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.process import Process, free_port, listens
from tidecast_simulator.testbed.replicas import Blow, HandOver, Replicas
from tidecast_simulator.testbed.world import OPT_IN, World

ENDPOINT = Path(__file__).parents[1] / "ten_thousand_services" / "endpoint.py"
STEP_SECONDS = 5
BLOWS = (Blow.KILL, Blow.KILL, Blow.KILL, Blow.KILL, Blow.PAUSE, Blow.END)
NAMESPACE = "team-000"  # as the endpoint calls the first hundred services


def shop(services: int) -> list[dict[str, Any]]:
    """The namespace and the Deployments that the endpoint tells of; no controller acts on them."""
    opted_in = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": OPT_IN}}
    return [opted_in, *(idle_deployment(NAMESPACE, f"service-{number:05d}") for number in range(services))]


@contextmanager
def scene(directory: Path, services: int, names: Sequence[str]) -> Iterator[Replicas]:
    """The operators at work, each with a user of its own, on a cluster of so many services."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = [sys.executable, str(ENDPOINT), f"--services={services}", f"--port={port}"]
    endpoint = Process.start(program, log=directory / "endpoint.log")
    try:
        with ControlPlane.start(directory / "plane", controllers=False, users=names, is_audited=True) as plane:
            endpoint.wait_until(lambda: listens(port))
            # Little training, so that the processor is left to what is measured.
            arguments = ["--training-seconds=2", "--training-threads=1"]
            world = World(directory, control_plane=plane, prometheus_url=url, predictor_arguments=arguments)
            with world, Replicas(directory, plane, names) as replicas:
                world.install_definitions()
                world.apply(*shop(services))
                world.predictor.start(wait_seconds=120)
                replicas.start()
                training = {"historySeconds": 7200, "minimumHistorySeconds": 7200}
                steps = {"stepSeconds": STEP_SECONDS, "windowSteps": 24, "horizonSteps": 12}
                world.apply(world.forecaster(training=training, **steps))
                world.wait_for(lambda: forecast_count(world) >= services - 1, timeout_seconds=180)
                yield replicas
    finally:
        endpoint.stop()


def forecast_count(world: World) -> int:
    """How many resources have a forecast."""
    found = world.get("spf", f"--namespace={NAMESPACE}").get("items", [])
    return sum("issuedTime" in one.get("status", {}) for one in found)


def measure(
    replicas: Replicas, blows: Sequence[Blow], *, rounds: int, seed: int, pause_seconds: float
) -> Iterator[HandOver]:
    """Strikes so many times, with *blows* in turn: some amid writes, the others at any moment of a cycle."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    for number in range(rounds):
        blow = blows[number % len(blows)]
        is_amid_writes = number // len(blows) % 3 != 1 if blow is Blow.PAUSE else number % 3 == 0
        replicas.wait_for_write(replicas.leader, since=time.time())
        if not is_amid_writes:
            time.sleep(chance.uniform(0, 2 * STEP_SECONDS))
        yield replicas.strike(blow, is_amid_writes=is_amid_writes, pause_seconds=pause_seconds)


def table(hand_overs: Sequence[HandOver], foreign: Sequence[Write]) -> str:
    """Median and worst seconds, by what befell the leader."""
    lines = [
        "| what befell the leader | rounds | another led after, median | worst | another wrote after, median | worst | without a write, worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for blow in (*Blow, None):
        some = [one for one in hand_overs if blow in (None, one.blow)]
        if some:
            led, wrote = [one.lead_seconds for one in some], [one.write_seconds for one in some]
            lines.append(
                f"| {blow or 'all'} | {len(some)} | {statistics.median(led):.1f} | {max(led):.1f} "
                f"| {statistics.median(wrote):.1f} | {max(wrote):.1f} | {max(one.gap_seconds for one in some):.1f} |"
            )
    return "\n".join([*lines, "", f"Writes in another replica's term: {len(foreign)}.", ""])


def main() -> None:
    """Measures, prints, and writes the results."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=50)
    arguments.add_argument("--services", type=int, default=100, help="at most 100; all are written in each step")
    arguments.add_argument("--replicas", type=int, default=2)
    arguments.add_argument("--pause-seconds", type=float, default=40, help="how long a replica stands still")
    arguments.add_argument("--only", choices=[blow.name for blow in Blow], help="strike in this way alone")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--out", type=Path, default=Path("out/benchmarks/handover"))
    chosen = arguments.parse_args()
    blows = (Blow[chosen.only],) if chosen.only else BLOWS
    names = [f"operator-{number}" for number in range(chosen.replicas)]
    hand_overs: list[HandOver] = []
    with (
        tempfile.TemporaryDirectory(prefix="tidecast-") as directory,
        scene(Path(directory), chosen.services, names) as replicas,
    ):
        for one in measure(replicas, blows, rounds=chosen.rounds, seed=chosen.seed, pause_seconds=chosen.pause_seconds):
            hand_overs.append(one)
            foreign = replicas.log.foreign_writes()
            print(json.dumps(asdict(one)), f"foreign={len(foreign)}", flush=True)
            save(chosen.out, hand_overs, foreign, replicas.log.writes, chosen)
    print(table(hand_overs, foreign))


def save(
    out: Path, hand_overs: Sequence[HandOver], foreign: Sequence[Write], writes: Sequence[Write], chosen: Any
) -> None:
    """Writes results and table, anew after each round."""
    out.mkdir(parents=True, exist_ok=True)
    result = {
        "services": chosen.services,
        "replicas": chosen.replicas,
        "step_seconds": STEP_SECONDS,
        "pause_seconds": chosen.pause_seconds,
        "seed": chosen.seed,
        "host": {"cpus": len(os.sched_getaffinity(0)), "python": platform.python_version()},
        "writes_in_the_log": len(writes),
        "foreign_writes": [asdict(write) for write in foreign],
        "hand_overs": [asdict(one) for one in hand_overs],
    }
    (out / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "table.md").write_text(table(hand_overs, foreign))


if __name__ == "__main__":
    main()
