"""
The processes: the one that runs cycles, and the one that only answers autoscalers. Each runs until it is told to stop.
"""

import argparse
import asyncio
import logging
import signal
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from tidecast_operator.autoscalers import Autoscalers
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.cycle import Cycle
from tidecast_operator.doors import Doors
from tidecast_operator.errors import Misconfigured, TidecastError
from tidecast_operator.handlers import Watches
from tidecast_operator.health import Health, HealthServer
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.outlets.floors.floors import Floors
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.outlets.outlets import Outlets
from tidecast_operator.picture import Picture
from tidecast_operator.publishing.publisher import Publisher
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.publishing.writer import Writer
from tidecast_operator.resync import Resync
from tidecast_operator.serving import Serving, address_of
from tidecast_operator.trust.storing import Store

_log = logging.getLogger(__name__)
_THREADS = 8
_SERVING_SECONDS = 10


async def run(options: argparse.Namespace) -> None:
    """Runs cycles as long as this replica leads, and answers autoscalers."""
    _use_threads()
    cluster = Cluster(load_configuration(options.kubeconfig), connections=_THREADS + 4)
    autoscalers = Autoscalers(load_configuration(options.kubeconfig)) if options.hpa_floors else None
    leadership = Leadership(cluster, Candidate(options.identity, options.namespace))

    def leads() -> bool:
        return leadership.is_leader

    noticeboard, gauges = Noticeboard(), Gauges(services_limit=options.metrics_services_limit)
    serving = Serving(options, noticeboard, cluster, leads=leads)
    health, metrics = Health(), SelfMetrics()
    server = HealthServer(
        address_of("--http-address", options.http_address),
        health,
        metrics=lambda: metrics.exposition() + gauges.exposition(),
    )
    picture, doors = Picture(), Doors(cluster)
    floors = None if autoscalers is None else Floors(autoscalers, may_write=leads)
    writer = Writer(cluster, may_write=leads, threads=_THREADS)
    publisher = Publisher(writer, metrics, Outlets(noticeboard, gauges, floors), clock=time.time)
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
            serving.run(),
        )
    finally:
        await doors.close()
        with suppress(TidecastError):
            await asyncio.to_thread(leadership.release)
        server.stop()
        cluster.close()
        if autoscalers is not None:
            autoscalers.close()


async def serve(options: argparse.Namespace) -> None:
    """
    Answers autoscalers with what the leading replica knows; runs no cycles.

    Raises:
        Misconfigured: If nothing is to be served, or nobody to be followed.
    """
    _use_threads()
    if options.relay_target is None:
        raise Misconfigured("--relay-target", "is missing", "name the Service of the replicas that run cycles")
    cluster = Cluster(load_configuration(options.kubeconfig))
    serving, health = Serving(options, Noticeboard(), cluster, leads=lambda: False), Health()
    if not serving.is_wanted:
        raise Misconfigured("--metrics-api-address", "and --keda-address are missing", "give one of them")
    server = HealthServer(address_of("--http-address", options.http_address), health, metrics=lambda: b"")
    server.start()
    _log.info("started, health on port %d", server.port)
    try:
        await _until_first_ends(serving.run(), _tell_health(health, serving))
    finally:
        server.stop()
        cluster.close()


async def _tell_health(health: Health, serving: Serving) -> None:
    # Also before the first board: an APIService without anybody who is ready would keep namespaces from being deleted.
    while True:
        if not serving.why_not_ready:
            health.completed(step_seconds=_SERVING_SECONDS)
        await asyncio.sleep(_SERVING_SECONDS / 10)


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


def _use_threads() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="work"))


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
