"""
Sets the demo's stage: a recording, Prometheus, a control plane with the shop's objects, predictor and operator.
"""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kubernetes import config

from tidecast_simulator import kubernetes_objects
from tidecast_simulator.demo.telling import step
from tidecast_simulator.load import DAY_SECONDS, usual_load
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.recording import record
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.testbed.world import World

SCRAPE_SECONDS = 30
HISTORY_SECONDS = 14 * DAY_SECONDS
# The recording reaches ahead of now, so that a forecast can be compared at once with what will have come true.
AHEAD_SECONDS = 2 * 3600
# A demo is watched: the training ends before the cycle that comes a minute after the one that asked for it.
PREDICTOR_ARGUMENTS = ("--training-seconds=52",)


@dataclass(frozen=True, slots=True)
class Stage:
    """
    Everything that runs.

    Attributes:
        world: Control plane, predictor and operator.
        prometheus: With the recorded traffic.
    """

    world: World
    prometheus: PrometheusServer


def record_traffic(mesh: Mesh, directory: Path) -> Path:
    """A storage folder for Prometheus with two weeks of traffic up to now, and two hours of what is to come."""
    now = int(time.time()) // 60 * 60
    with step("recording two weeks of simulated traffic"):
        return record(
            mesh,
            usual_load(),
            start=now - HISTORY_SECONDS,
            end=now + AHEAD_SECONDS,
            directory=directory,
            scrape_seconds=SCRAPE_SECONDS,
            progress=sys.stderr.isatty(),
        )


def set_up(mesh: Mesh, directory: Path, stack: ExitStack) -> Stage:
    """
    Start everything; it ends with *stack*, the last first.

    Raises:
        MissingProgram: If a program is not on this machine.
        NotReady: If one does not start.
    """
    storage = record_traffic(mesh, directory / "prometheus" / "data")
    with step("starting Prometheus on it"):
        prometheus = stack.enter_context(PrometheusServer.start(directory / "prometheus", storage=storage))
    with step("starting etcd, kube-apiserver and kube-controller-manager"):
        control_plane = stack.enter_context(ControlPlane.start(directory / "control-plane"))
    with step(f"applying the {mesh.name}'s namespaces, workloads and services"):
        api = stack.enter_context(config.new_client_from_config(str(control_plane.kubeconfig)))  # type: ignore[no-untyped-call]
        kubernetes_objects.apply(kubernetes_objects.objects_of(mesh), api)
    with step("starting predictor and operator, applying a Forecaster"):
        world = World.start(
            directory,
            control_plane=control_plane,
            prometheus_url=prometheus.url,
            predictor_arguments=PREDICTOR_ARGUMENTS,
            training={"historySeconds": HISTORY_SECONDS},
        )
    return Stage(stack.enter_context(world), prometheus)
