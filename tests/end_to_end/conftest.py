"""
Two whole worlds of real components: a recorded shop for the main job, and a small live mesh for the bad days.

The recording reaches into the future: Prometheus answers the operator for times up to now only as they come, and a test
can score a forecast at once against what will come true.
"""

import time
from collections.abc import Iterator

import pytest
from kubernetes import client

from builders.worlds import FUTURE_SECONDS, HISTORY_SECONDS, LATE
from tidecast_simulator.kubernetes_objects import apply, delete, objects_of
from tidecast_simulator.live import LiveMesh, LiveServer
from tidecast_simulator.load import usual_load
from tidecast_simulator.recording import record
from tidecast_simulator.shop import shop
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.gateway import Gateway
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.testbed.world import World
from tidecast_simulator.traffic import Simulation

SOURCES = ("istio-lean", "cadvisor", "kube-state-metrics", "opentelemetry")


@pytest.fixture(scope="package")
def simulation() -> Simulation:
    """The shop under its usual load, the same that is recorded."""
    return Simulation(shop(), usual_load())


@pytest.fixture(scope="package")
def recorded_shop(tmp_path_factory: pytest.TempPathFactory, simulation: Simulation) -> Iterator[PrometheusServer]:
    """A Prometheus with two weeks of the shop's past and five days of its future."""
    now = int(time.time()) // 60 * 60
    storage = record(
        simulation.mesh,
        simulation.shape,
        start=now - HISTORY_SECONDS,
        end=now + FUTURE_SECONDS,
        directory=tmp_path_factory.mktemp("recording"),
        sources=SOURCES,
    )
    with PrometheusServer.start(tmp_path_factory.mktemp("prometheus"), storage=storage) as server:
        yield server


@pytest.fixture(scope="module")
def shop_world(
    tmp_path_factory: pytest.TempPathFactory,
    control_plane: ControlPlane,
    api_client: client.ApiClient,
    recorded_shop: PrometheusServer,
) -> Iterator[World]:
    """The shop in a real cluster with predictor and operator, its model trained and its forecasts written."""
    objects = objects_of(shop())
    apply([body for body in objects if (body["kind"], body["metadata"]["name"]) != ("Deployment", LATE)], api_client)
    training = {"historySeconds": HISTORY_SECONDS, "minimumHistorySeconds": HISTORY_SECONDS // 2}
    with World.start(
        tmp_path_factory.mktemp("shop-world"),
        control_plane=control_plane,
        prometheus_url=recorded_shop.url,
        # A quarter of what two weeks are worth, which takes minutes.
        predictor_arguments=["--training-updates", "600", "--training-seconds", "600"],
        training=training,
    ) as world:
        world.wait_for(lambda: speaks(world, "GCN-GRU"), timeout_seconds=780)
        yield world
    delete(objects, api_client)
    control_plane.kubectl("wait", "--for=delete", "namespace/shop", "--timeout=90s", timeout_seconds=100)


def speaks(world: World, kind: str) -> bool:
    """Whether all forecasts of the shop come from this kind of model."""
    resources = world.get("spf", "--namespace=shop").get("items", [])
    kinds = {resource.get("status", {}).get("model", {}).get("kind") for resource in resources}
    return kinds == {kind}


@pytest.fixture(scope="package")
def live_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A Prometheus that scrapes the shop's live exporters every second."""
    simulation = Simulation(shop(), usual_load(), tick_seconds=1)
    live = LiveServer(LiveMesh(simulation, since=time.time() - 60)).start()
    with PrometheusServer.start(tmp_path_factory.mktemp("live"), targets=[live.target]) as server:
        yield server
    live.stop()


@pytest.fixture(scope="package")
def gateway(live_prometheus: PrometheusServer) -> Iterator[Gateway]:
    """What the operator of the live shop takes for its Prometheus."""
    with Gateway(live_prometheus.url) as passing:
        yield passing


@pytest.fixture(scope="module")
def live_world(
    tmp_path_factory: pytest.TempPathFactory,
    control_plane: ControlPlane,
    api_client: client.ApiClient,
    gateway: Gateway,
) -> Iterator[World]:
    """A live shop with steps of five seconds; its history stays too short for more than last value."""
    objects = objects_of(shop())
    apply(objects, api_client)
    with World.start(
        tmp_path_factory.mktemp("live-world"),
        control_plane=control_plane,
        prometheus_url=gateway.url,
        prometheus={"url": gateway.url, "timeoutSeconds": 2},
        stepSeconds=5,
        windowSteps=24,
        horizonSteps=12,
        training={"historySeconds": 7200, "minimumHistorySeconds": 7200},
    ) as world:
        world.wait_for(lambda: speaks(world, "LastValue"), timeout_seconds=240)
        yield world
    delete(objects, api_client)
    control_plane.kubectl("wait", "--for=delete", "namespace/shop", "--timeout=90s", timeout_seconds=100)
