"""
`tidecast-operator`: flags in, one process that runs until it is told to stop.
"""

import argparse
import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.cycle import Cycle
from tidecast_operator.doors import Doors
from tidecast_operator.errors import Misconfigured, TidecastError
from tidecast_operator.handlers import Watches
from tidecast_operator.health import Health, HealthServer
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.outlets.gauges.gauges import SERVICES_LIMIT, Gauges
from tidecast_operator.picture import Picture
from tidecast_operator.publishing.publisher import Publisher
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.publishing.writer import Writer
from tidecast_operator.resync import Resync
from tidecast_operator.trust.storing import Store

_log = logging.getLogger(__name__)
_OWN_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_THREADS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; returns the exit status."""
    options = _parser().parse_args(arguments)
    _log_to_stderr(options.log_level)
    try:
        asyncio.run(_run(options))
    except Misconfigured as error:
        _log.error("%s", error)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tidecast-operator", description="Forecasts every service of a cluster.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run until told to stop")
    run.add_argument("--kubeconfig", type=Path, help="default: the pod's service account, else the user's own")
    run.add_argument("--http-address", default="127.0.0.1:8080", help="for /healthz, /readyz and /metrics")
    run.add_argument("--namespace", default=_own_namespace(), help="of the Lease that one replica holds")
    run.add_argument("--identity", default=_own_identity(), help="unique among the replicas")
    run.add_argument(
        "--state-folder",
        type=Path,
        help="keeps what came of past forecasts over a restart; default: in the statuses only",
    )
    run.add_argument(
        "--metrics-services-limit",
        type=int,
        default=SERVICES_LIMIT,
        help="forecasts of so many services are in /metrics",
    )
    run.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser


async def _run(options: argparse.Namespace) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="work"))
    cluster = Cluster(load_configuration(options.kubeconfig), connections=_THREADS + 4)
    leadership = Leadership(cluster, Candidate(options.identity, options.namespace))
    health, metrics, gauges = Health(), SelfMetrics(), Gauges(services_limit=options.metrics_services_limit)
    server = HealthServer(
        _address(options.http_address), health, metrics=lambda: metrics.exposition() + gauges.exposition()
    )
    picture, doors = Picture(), Doors(cluster)
    writer = Writer(cluster, may_write=lambda: leadership.is_leader, threads=_THREADS)
    publisher = Publisher(writer, metrics, Noticeboard(), gauges, clock=time.time)
    watches = Watches(picture.observe, configuration=lambda: load_configuration(options.kubeconfig))
    resync = Resync(cluster, picture, on_deaf=watches.restart)
    cycle = Cycle(picture, doors, publisher=publisher, leadership=leadership)
    if options.state_folder is not None:
        cycle.keep_trust_in(Store(options.state_folder))
    picture.on_forecaster_change = leadership.on_change = cycle.wake
    server.start()
    _log.info("started as %s, health on port %d", options.identity, server.port)
    try:
        await _until_first_ends(
            watches.run(),
            resync.run(),
            _cycles(cycle, resync, _Watcher(health, metrics, leadership)),
            leadership.run(),
        )
    finally:
        await doors.close()
        with suppress(TidecastError):
            await asyncio.to_thread(leadership.release)
        server.stop()
        cluster.close()


async def _cycles(cycle: Cycle, resync: Resync, watcher: "_Watcher") -> None:
    await resync.complete()
    await cycle.run(watcher)


async def _until_first_ends(*coroutines: Coroutine[Any, Any, object]) -> None:
    """They live together: when one ends, so do the others, and its error is that of all."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks.append(asyncio.create_task(stop.wait()))
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


class _Watcher:
    """Tells health and metrics that cycles go on."""

    def __init__(self, health: Health, metrics: SelfMetrics, leadership: Leadership) -> None:
        self._health = health
        self._metrics = metrics
        self._leadership = leadership

    def completed(self, outcome: str, *, step_seconds: int) -> None:
        """A cycle has completed."""
        self._health.completed(step_seconds=step_seconds)
        self._metrics.last_cycle.set_to_current_time()
        self._metrics.leader.set(self._leadership.is_leader)
        self._metrics.cycles.labels(outcome).inc()

    def failed(self) -> None:
        """A cycle broke."""
        self._metrics.cycles.labels("Failed").inc()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise Misconfigured("--http-address", f"{text!r} is not host and port", "write it as in 0.0.0.0:8080")
    return host or "0.0.0.0", int(port)  # noqa: S104 - asked for by leaving it out


def _own_namespace() -> str:
    return _OWN_NAMESPACE_FILE.read_text().strip() if _OWN_NAMESPACE_FILE.exists() else "tidecast-system"


def _own_identity() -> str:
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{secrets.token_hex(3)}"


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    # kopf reports every single event that it has passed on, and that signals are left to us.
    for name in ("kopf.objects", "kopf.activities", "kopf._core.engines.activities", "kopf._core.reactor.running"):
        logging.getLogger(name).setLevel(max(logging.ERROR, logging.getLevelName(level)))
