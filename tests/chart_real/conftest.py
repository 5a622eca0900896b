"""
A cluster with services that are called, for releases of the chart: a real control plane, and a node of processes.

Three namespaces with three services each; no workload has pods, so no autoscaler acts. The telemetry is real all the same.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import config

from chart.rendering import NAMESPACE
from chart_real.installed import Installed
from chart_real.inventory import Inventory
from chart_real.releasing import Release
from chart_real.shop import Shop
from tidecast_simulator.kubernetes_objects import apply, objects_of
from tidecast_simulator.live import LiveMesh, LiveServer
from tidecast_simulator.load import usual_load
from tidecast_simulator.mesh_generation import Blueprint, generate
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.node import Node
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.traffic import Simulation

PROGRAMS = {"ghcr.io/tidecast/operator": ["tidecast-operator"], "ghcr.io/tidecast/predictor": ["tidecast-predictor"]}


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: releases bring definitions and take them away."""
    with ControlPlane.start(tmp_path_factory.mktemp("releases") / "plane", is_audited=True) as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        yield plane


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory, plane: ControlPlane) -> Iterator[Shop]:
    """The services and their Prometheus, which scrapes every other second."""
    mesh = generate(Blueprint(size=9, depth=3, namespaces=3, sparse_share=0.0, queue_share=0.0))
    with config.new_client_from_config(str(plane.kubeconfig)) as api:
        apply([_without_pods(body) for body in objects_of(mesh)], api)
        live = LiveServer(LiveMesh(Simulation(mesh, usual_load(), tick_seconds=1), since=time.time() - 60)).start()
        directory = tmp_path_factory.mktemp("mesh")
        with PrometheusServer.start(directory, targets=[live.target], scrape_interval_seconds=2) as server:
            shop = Shop(plane, server.url)
            yield shop
            shop.close()
        live.stop()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, plane: ControlPlane) -> Iterator[Node]:
    """It has the images of the chart, of any version."""
    directory = tmp_path_factory.mktemp("node")
    with Node(plane, namespaces=[NAMESPACE], programs=PROGRAMS, directory=directory, patience=8) as node:
        yield node


@pytest.fixture(scope="package")
def inventory(plane: ControlPlane) -> Iterator[Inventory]:
    """Everything on the API server."""
    inventory = Inventory(plane)
    yield inventory
    inventory.close()


@pytest.fixture(scope="module")
def not_installed(plane: ControlPlane, shop: Shop, node: Node, inventory: Inventory) -> Iterator[Installed]:
    """A cluster for one release, which is taken away at the end if it is still there."""
    installed = Installed(Release(plane), shop, node, inventory, before=inventory.take_at_rest())
    yield installed
    installed.release.discard()
    installed.left()


def _without_pods(body: dict[str, Any]) -> dict[str, Any]:
    spec = body.get("spec", {})
    return {**body, "spec": {**spec, "replicas": 0}} if "replicas" in spec else body
