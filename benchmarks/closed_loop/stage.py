"""
The simulated services of a real run: their capacity follows the ready pods of their Deployments, tick by tick.

Keeps what happened as well, by the simulator's own account and not by what Prometheus made of it.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from scene import p95_of, requested_cores, scaled, targets
from scoring import Course

from tidecast_simulator.exporting.text import CONTENT_TYPE, exposition
from tidecast_simulator.live import LiveMesh, LiveServer
from tidecast_simulator.load import Shape
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import Floats
from tidecast_simulator.testbed.pods import Pod, Pods
from tidecast_simulator.testbed.resource_metrics import Usage
from tidecast_simulator.traffic import Simulation

SOURCES = ("istio-lean", "cadvisor", "kube-state-metrics")


class Stage:
    """
    Sets the mesh to the ready pods at every tick; use it as a context manager.

    Args:
        mesh: The services; replicas are those of the cluster once there are any.
        shape: The load over real time.
        pods: Of the cluster.
        tick_seconds: Real ones.
        window_ticks: What a CPU figure is a mean over.
        factor: How much quicker than the model's world everything is.
        seed: Of the simulation.
    """

    def __init__(  # noqa: PLR0913 - each has a name at the call
        self,
        mesh: Mesh,
        shape: Shape,
        pods: Pods,
        *,
        tick_seconds: float,
        window_ticks: int,
        factor: float,
        seed: int,
    ) -> None:
        self._mesh, self._shape, self._pods = mesh, shape, pods
        self._tick_seconds, self._factor, self._seed = tick_seconds, factor, seed
        self._simulation = Simulation(mesh, shape, tick_seconds=tick_seconds, seed=seed)
        self._positions = np.array(scaled(mesh))
        self._targets = np.array(targets())[self._positions]
        self.live = LiveMesh(self._simulation, since=time.time(), sources=SOURCES)
        self._cores: deque[Floats] = deque(maxlen=window_ticks)
        self._rows: list[tuple[float, Floats, Floats, float, float]] = []
        self._trust: list[tuple[float, float]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stage", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether ticks go on; an error has ended them if not."""
        return self._thread.is_alive()

    def usages(self) -> list[Usage]:
        """The CPU of all ready pods: that of their service, shared equally."""
        cores = np.mean(list(self._cores), axis=0) if self._cores else np.zeros(len(self._mesh.services))
        ready = [pod for pod in self._pods.now if pod.is_ready and _key(pod) in self._mesh.index]
        counts = Counter(_key(pod) for pod in ready)
        return [
            Usage(
                pod.namespace,
                pod.name,
                pod.labels,
                pod.labels["app"],
                float(cores[self._mesh.index[key]]) / counts[key],
            )
            for pod in ready
            for key in (_key(pod),)
        ]

    def note_trust(self, share: float) -> None:
        """The share of the services whose hints are offered now."""
        self._trust.append((time.time(), share))

    def course(self, since: float, until: float, *, with_trust: bool) -> Course:
        """What happened between two moments, unix seconds."""
        rows = [row for row in self._rows if since <= row[0] < until]
        times = np.array([row[0] for row in rows])
        trusted: Floats | None = None
        if with_trust:
            seen = np.array([0.0, *(moment for moment, _ in self._trust)])
            shares = np.array([0.0, *(share for _, share in self._trust)])
            trusted = shares[np.searchsorted(seen, times, side="right") - 1]
        return Course(
            names=tuple(self._mesh.services[position].name for position in self._positions),
            tick_seconds=self._tick_seconds * self._factor,
            over=np.array([row[1] for row in rows]),
            replicas=np.array([row[2] for row in rows]),
            refused=np.array([row[3] for row in rows]),
            entered=np.array([row[4] for row in rows]),
            trusted=trusted,
        )

    def _run(self) -> None:
        tick = int(time.time() // self._tick_seconds)
        while True:
            tick += 1
            # Ticks that were missed on a busy host are made up for, with the pods of now.
            if self._stopped.wait(max(tick * self._tick_seconds - time.time(), 0)):
                return
            self._one(tick)

    def _one(self, tick: int) -> None:
        pods = self._pods.now
        self._follow(Counter(_key(pod) for pod in pods if pod.is_ready))
        traffic = self._simulation.between(tick, tick + 1)
        there = Counter(_key(pod) for pod in pods)
        p95 = p95_of(traffic.log_latency_mean, traffic.log_latency_spread)[self._positions, 0]
        self._cores.append(traffic.cpu_cores[:, 0])
        replicas = np.array([float(there[self._mesh.services[position].key]) for position in self._positions])
        entered = sum(
            float(traffic.arriving[self._mesh.index[service.key], 0])
            for service in self._mesh.services
            if service.entry_rps
        )
        moment = tick * self._tick_seconds
        self._rows.append((moment, p95 / self._targets, replicas, float(traffic.refused.sum()), entered))

    def _follow(self, ready: Counter[str]) -> None:
        services = tuple(
            replace(
                service,
                replicas=max(ready[service.key], 1),
                # A service has at least one replica by its own rules; a schedule may say none.
                replica_schedule=() if ready[service.key] else ((0, 0),),
            )
            for service in self._mesh.services
        )
        if services != self._simulation.mesh.services:
            mesh = Mesh(self._mesh.name, services, self._mesh.calls)
            self._simulation = Simulation(mesh, self._shape, tick_seconds=self._tick_seconds, seed=self._seed)
            self.live.replace(mesh, time.time())


class PunctualServer(LiveServer):
    """
    Says of requests at which moment they had been counted.

    On a busy host an answer is late by tenths of a second. In life that is nothing beside a minute; here it is a few
    percent of a step, and forecasts would be judged by it.
    """

    def get(self, path: str) -> tuple[int, str, str]:
        """The status, content type and text for a path."""
        if path != "/metrics":
            return super().get(path)
        now = time.time()
        parts = []
        for source, readings in self.live.scrape(now).items():
            text = exposition(readings)
            parts.append(_at(text, now) if source.startswith("istio") else text)
        return 200, CONTENT_TYPE, "".join(parts)


def _at(text: str, now: float) -> str:
    stamp = f" {round(now * 1000)}"
    lines = (line if line.startswith("#") else line + stamp for line in text.splitlines())
    return "\n".join(lines) + "\n"


def _key(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.labels.get('app', '')}"


def wait_until(moment: float, is_well: Callable[[], bool], every: float, do: Callable[[], None]) -> None:
    """
    Does something again and again until a moment has come, unix seconds.

    Raises:
        RuntimeError: If something is not well any more.
    """
    while (left := moment - time.time()) > 0:
        if not is_well():
            raise RuntimeError("a part of the closed loop has ended; see the logs")
        do()
        time.sleep(min(every, max(left, 0)))


def utilisation_request(mesh: Mesh, name: str) -> str:
    """The CPU request of a pod, as a quantity."""
    service = next(service for service in mesh.services if service.name == name)
    return f"{round(1000 * requested_cores(service))}m"
