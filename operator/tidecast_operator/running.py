"""
The processes: the one that runs cycles, and the one that only answers autoscalers. Each runs until it is told to stop.
"""

import argparse
import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from tidecast_operator.autoscalers import Autoscalers
from tidecast_operator.certificates.issuer import Issuer
from tidecast_operator.certificates.keeper import CertificateKeeper
from tidecast_operator.certificates.wanted import Wanted, predictor_files, wanted
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.cycle import Cycle
from tidecast_operator.doors import Doors
from tidecast_operator.errors import Misconfigured, TidecastError
from tidecast_operator.fencing import Fence
from tidecast_operator.health import Health, HealthServer
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.leases import Leases
from tidecast_operator.listening import address_of
from tidecast_operator.outlets.floors.floors import Floors
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.outlets.outlets import Outlets
from tidecast_operator.picture import Picture
from tidecast_operator.publishing.publisher import Publisher
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.publishing.writer import Writer
from tidecast_operator.readiness import Readiness
from tidecast_operator.serving import Serving
from tidecast_operator.trust.storing import Store
from tidecast_operator.watching import Watching, namespaces_of

_log = logging.getLogger(__name__)
_THREADS = 8
_SERVING_SECONDS = 10


async def run(options: argparse.Namespace) -> None:
    """Runs cycles as long as this replica leads, and answers autoscalers."""
    _use_threads()
    fence, leases = Fence(), Leases(load_configuration(options.kubeconfig))
    cluster = Cluster(load_configuration(options.kubeconfig), connections=_THREADS + 4, fence=fence)
    namespaces = namespaces_of(options)
    autoscalers = (
        Autoscalers(load_configuration(options.kubeconfig), namespaces=namespaces, fence=fence)
        if options.hpa_floors
        else None
    )
    leadership = Leadership(leases, Candidate(options.identity, options.namespace), fence)

    def leads() -> bool:
        return leadership.is_leader

    def may_write() -> bool:
        return leadership.may_write

    noticeboard, gauges = Noticeboard(), Gauges(services_limit=options.metrics_services_limit)
    serving = Serving(options, noticeboard, cluster, leads=leads)
    certificates = wanted(options)
    readiness = Readiness(lambda: serving.awaited, is_issued_by_leader=certificates is not None, leads=leads)
    health, metrics = Health(why_not_ready=readiness.why_not), SelfMetrics()
    server = HealthServer(
        address_of("--http-address", options.http_address),
        health,
        metrics=lambda: b"".join(one.exposition() for one in (metrics, gauges, watching.conditions, serving.gauges)),
    )
    picture, doors = Picture(is_partial=bool(namespaces)), Doors(cluster, predictor_tls=predictor_files(options))
    floors = None if autoscalers is None else Floors(autoscalers, may_write=may_write)
    watching = Watching(options, cluster, picture, leads=leads, fence=fence)
    writer = Writer(watching.writes, may_write=may_write, threads=_THREADS)
    publisher = Publisher(writer, metrics, Outlets(noticeboard, gauges, floors), clock=time.time)
    cycle = Cycle(picture, doors, publisher=publisher, leadership=leadership)
    if options.state_folder is not None:
        cycle.keep_trust_in(Store(options.state_folder))
    picture.on_forecaster_change = leadership.on_change = cycle.wake
    server.start()
    _log.info("started as %s, health on port %d", options.identity, server.port)
    try:
        await _until_first_ends(
            *watching.runs(),
            _cycles(cycle, watching, _Watcher(health, metrics, leadership)),
            leadership.run(),
            serving.run(),
            *([] if certificates is None else [_keeper(cluster, certificates, leads, metrics).run()]),
        )
    finally:
        with suppress(TidecastError):
            await asyncio.to_thread(leadership.release)
        await doors.close()
        server.stop()
        watching.close()
        cluster.close()
        leases.close()
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
    # Only the metrics API asks the API server anything: without it the pod needs no token.
    cluster = None if options.metrics_api_address is None else Cluster(load_configuration(options.kubeconfig))
    serving = Serving(options, Noticeboard(), cluster, leads=lambda: False)
    health = Health(why_not_ready=lambda: serving.unanswered)
    if not serving.is_wanted:
        raise Misconfigured("--metrics-api-address", "and --keda-address are missing", "give one of them")
    server = HealthServer(address_of("--http-address", options.http_address), health, metrics=serving.gauges.exposition)
    server.start()
    _log.info("started, health on port %d", server.port)
    try:
        await _until_first_ends(serving.run(), _tell_health(health))
    finally:
        server.stop()
        if cluster is not None:
            cluster.close()


async def _tell_health(health: Health) -> None:
    # Also before the first board: an APIService without anybody who is ready would keep namespaces from being deleted.
    while True:
        health.completed(step_seconds=_SERVING_SECONDS)
        await asyncio.sleep(_SERVING_SECONDS / 10)


async def _cycles(cycle: Cycle, watching: Watching, watcher: "_Watcher") -> None:
    await watching.complete()
    await cycle.run(watcher)


def _keeper(
    cluster: Cluster, certificates: Wanted, leads: Callable[[], bool], metrics: SelfMetrics
) -> CertificateKeeper:
    return CertificateKeeper(Issuer(cluster, certificates, may_write=leads), leads=leads, told=metrics.certificates)


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
        self._metrics.leader.set(self._leadership.is_leader)
        self._metrics.cycles.labels("Failed").inc()
