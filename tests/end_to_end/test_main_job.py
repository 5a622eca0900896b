"""
From Prometheus and the cluster to ServicePerformanceForecast resources, on real components all the way.
"""

import asyncio
import json
import logging
import re
import time
from typing import Any

import grpc
import numpy as np
import pytest
from kubernetes import client

from builders.scores import errors
from builders.worlds import FUTURE_SECONDS, LATE
from tidecast_contract.features import REQUESTS
from tidecast_contract.forecast import Forecast
from tidecast_contract.snapshot import Snapshot
from tidecast_operator import snapshots
from tidecast_operator.discovery.workloads import Workloads
from tidecast_operator.outlets.keda import externalscaler_pb2 as keda_pb
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import ExternalScalerStub
from tidecast_operator.predictor_client import PredictorClient
from tidecast_operator.telemetry.collector import Collector
from tidecast_operator.telemetry.prometheus import Connection, Prometheus
from tidecast_simulator.kubernetes_objects import objects_of
from tidecast_simulator.shop import shop
from tidecast_simulator.testbed.process import free_port
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.testbed.world import World
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import call_rates

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

_log = logging.getLogger(__name__)
WORKLOADS = {service.name for service in shop().services if service.namespace == "shop"}
HORIZON_STEPS = 30
WINDOW_STEPS = 60
CHUNK_SECONDS = 6 * 3600
ORIGIN_EVERY_STEPS = 10


def test_every_service_that_receives_traffic_has_a_forecast_of_its_own(
    shop_world: World, simulation: Simulation
) -> None:
    resources = shop_world.get("spf", "--namespace=shop")["items"]

    names = {resource["spec"]["targetRef"]["name"] for resource in resources}
    assert called_lately(simulation) - {LATE} <= names <= WORKLOADS
    for resource in resources:
        assert {series["metric"] for series in resource["status"]["forecasts"]} >= {"RequestsPerSecond", "CPU"}


def test_the_printer_columns_of_a_forecast_are_those_of_the_api(shop_world: World) -> None:
    header = shop_world.kubectl("get", "spf", "--namespace=shop").splitlines()[0]

    assert header.split() == [
        "NAME", "TARGET", "RPS", "RPS+5M", "RPS+30M", "P95", "P95+5M", "REPLICAS", "HINT", "MODE", "TRUSTED", "READY",
        "AGE",
    ]  # fmt: skip


def test_a_forecast_prints_numbers_where_something_is_known(shop_world: World) -> None:
    row = shop_world.kubectl("get", "spf", "frontend", "--namespace=shop", "--no-headers")

    assert re.match(r"frontend +Deployment/frontend +[0-9.]+k? +[0-9.]+k? +[0-9.]+k? +\d+[mu]? +\d+[mu]? +4 +", row), (
        row
    )


def test_kubectl_wait_sees_a_forecast_become_ready(shop_world: World) -> None:
    shop_world.kubectl("wait", "--for=condition=Ready", "spf/checkout", "--namespace=shop", "--timeout=60s")


def test_the_forecaster_prints_its_graph_and_its_model(shop_world: World) -> None:
    row = shop_world.kubectl("get", "fcst", "default", "--no-headers")

    assert "Istio" in row
    assert "GCN-GRU" in row


def test_a_status_stays_under_six_kibibytes(shop_world: World) -> None:
    sizes = {
        resource["metadata"]["name"]: len(json.dumps(resource["status"], separators=(",", ":")))
        for resource in shop_world.get("spf", "--namespace=shop")["items"]
    }

    assert max(sizes.values()) < 6 * 1024, sizes


def test_a_forecast_names_its_callers_and_callees(shop_world: World) -> None:
    status = shop_world.get("spf", "checkout", "--namespace=shop")["status"]

    assert {caller["name"] for caller in status["callers"]} == callers_of("checkout")
    assert {callee["name"] for callee in status["callees"]} == callees_of("checkout")


@pytest.fixture(scope="module")
def recording(recorded_shop: PrometheusServer) -> Snapshot:
    """All that Prometheus has, past and future, by the operator's own eyes."""
    known = Workloads()
    for body in objects_of(shop()):
        known.observe("ADDED", body)
    now = int(time.time()) // 60 * 60
    start, end = now - 26 * 3600, now + FUTURE_SECONDS - 1800
    prometheus = Prometheus(Connection(recorded_shop.url, timeout_seconds=120))
    collector = Collector(prometheus, ("Istio",))
    whole: snapshots.Window | None = None
    for first in range(start, end, CHUNK_SECONDS):
        observations = collector.collect(first + 60, min(first + CHUNK_SECONDS, end), 60)
        piece = snapshots.build(observations, known.index()).snapshot
        whole = snapshots.extend(whole, piece, steps=(end - start) // 60)
    prometheus.close()
    assert whole is not None
    return whole.snapshot


@pytest.fixture(scope="module")
def forecasts(shop_world: World, recording: Snapshot) -> list[Forecast]:
    """
    Forecasts of the model that the operator uses, over the five days after all that it was trained on.

    Fewer hold too few independent moments to tell a service that is forecast badly from bad luck.
    """
    first = int(time.time()) // 60 * 60
    last = recording.end_time - HORIZON_STEPS * 60
    windows = [window_of(recording, end) for end in range(first, last + 1, ORIGIN_EVERY_STEPS * 60)]

    async def ask() -> list[Forecast]:
        predictor = PredictorClient(shop_world.predictor_address, timeout_seconds=20)
        answers = [await predictor.forecast(window, HORIZON_STEPS) for window in windows]
        await predictor.close()
        return answers

    return asyncio.run(ask())


@pytest.mark.parametrize("minutes", [15, 30])
def test_the_median_of_every_forecast_beats_last_value(
    minutes: int, forecasts: list[Forecast], recording: Snapshot
) -> None:
    scored = errors(forecasts, recording, feature=REQUESTS, offset_steps=minutes)

    known = {name: row for row, name in enumerate(map(str, forecasts[0].services)) if np.isfinite(scored.median[row])}
    rows = list(known.values())
    for name, naive in (("last value", scored.last_value), ("seasonal naive", scored.seasonal_naive)):
        skills = 1 - scored.median[rows] / naive[rows]
        _log.info("skill at %d min against %s: median %.3f, worst %.3f", minutes, name, np.median(skills), skills.min())
    ratios = {name: round(float(scored.median[row] / scored.last_value[row]), 3) for name, row in known.items()}
    _log.info("errors at %d min in those of last value: %s", minutes, ratios)
    # The predictor has never been told of the late one either: its Deployment comes later.
    assert {f"shop/Deployment/{name}" for name in (LATE, "frontend", "mail")} <= known.keys()
    assert len(ratios) >= len(WORKLOADS)
    assert {name: ratio for name, ratio in ratios.items() if ratio >= 1} == {}


def test_four_of_five_values_come_true_within_the_band(forecasts: list[Forecast], recording: Snapshot) -> None:
    services = [recording.services.index(service) for service in forecasts[0].services]
    within = []
    for forecast in forecasts:
        rows = (forecast.times - recording.start_time) // 60
        actual = recording.values[rows][:, services, 0].T
        low, high = forecast.values[:, 0, :, 0], forecast.values[:, 0, :, 2]
        within.append(np.where(np.isfinite(actual + low + high), (low <= actual) & (actual <= high), np.nan))

    assert np.nanmean(within) == pytest.approx(0.8, abs=0.05)


def test_a_deployment_that_comes_later_gets_a_forecast(shop_world: World) -> None:
    shop_world.apply(deployment_of(LATE))

    ready = shop_world.wait_for(
        lambda: shop_world.condition("Ready", "spf", LATE, "--namespace=shop").get("status") == "True",
        timeout_seconds=200,
    )

    assert ready


def test_the_forecast_of_a_deleted_deployment_goes_with_it(shop_world: World) -> None:
    shop_world.kubectl("delete", "deployment", "ads", "--namespace=shop")

    assert shop_world.wait_for(lambda: not shop_world.get("spf", "ads", "--namespace=shop"), timeout_seconds=120)
    shop_world.apply(deployment_of("ads"))


@pytest.mark.real("kube-controller-manager")
def test_a_trusted_hint_reaches_autoscalers_and_preview_takes_it_back(
    shop_world: World, api_client: client.ApiClient
) -> None:
    shop_world.operator.stop()
    shop_world.apply(autoscaler_of("checkout", floor=2))
    custom, spf = client.CustomObjectsApi(api_client), ("tidecast.dev", "v1alpha1", "shop", PLURAL, "checkout")
    # What trust takes is earned in half an hour; here it is told by the status, as after a restart.
    custom.patch_namespaced_custom_object(*spf, {"spec": {"scaling": SCALING}})
    custom.patch_namespaced_custom_object_status(*spf, {"status": earned(shop_world)})
    keda = free_port()
    operator = shop_world.new_operator("with-outlets", ["--hpa-floors", f"--keda-address=127.0.0.1:{keda}"])
    with operator.start():
        raised = shop_world.wait_for(lambda: floor_above(shop_world, 2), timeout_seconds=120)
        assert shop_world.get("spf", "checkout", "--namespace=shop")["status"]["hint"]["replicas"] == raised
        assert shop_world.wait_for(lambda: replicas_of(shop_world, "checkout") >= raised, timeout_seconds=60)
        assert replicas_told(keda) == raised

        custom.patch_namespaced_custom_object(*spf, {"spec": {"scaling": {"mode": "Preview"}}})
        assert shop_world.wait_for(lambda: not floor_above(shop_world, 2), timeout_seconds=150)
        assert shop_world.condition("HintOffered", "spf", "checkout", "--namespace=shop")["reason"] == "Preview"
        with pytest.raises(grpc.RpcError) as refused:
            replicas_told(keda)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


PLURAL = "serviceperformanceforecasts"
SCALING = {"mode": "Active", "perReplica": "1", "maxReplicas": 9, "horizontalPodAutoscalerName": "checkout"}


def autoscaler_of(name: str, *, floor: int) -> dict[str, Any]:
    """An autoscaler without metrics: it holds to its bounds all the same."""
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {
            "minReplicas": floor,
            "maxReplicas": 20,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        },
    }


def earned(world: World) -> dict[str, Any]:
    """A status that tells of good forecasts, of what the hint leans on."""
    figures = {"error": "1", "naiveError": "2", "bias": "0", "skill": "500m", "coverage": "800m", "samples": 200}
    skill = {"metric": "RequestsPerSecond", "offsetSeconds": 300, "windowSeconds": 86400, **figures}
    return {**world.get("spf", "checkout", "--namespace=shop")["status"], "skill": skill}


def floor_above(world: World, floor: int) -> int:
    """The floor of the autoscaler; 0 where it is no higher."""
    found = int(world.get("hpa", "checkout", "--namespace=shop")["spec"]["minReplicas"])
    return found if found > floor else 0


def replicas_of(world: World, name: str) -> int:
    """That a Deployment is to have."""
    return int(world.get("deployment", name, "--namespace=shop")["spec"]["replicas"])


def replicas_told(port: int) -> int:
    """What KEDA would be told."""
    reference = keda_pb.ScaledObjectRef(name="checkout", namespace="shop", scalerMetadata={"metric": "replicas"})
    asked = keda_pb.GetMetricsRequest(scaledObjectRef=reference, metricName="tidecast-replicas")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = ExternalScalerStub(channel).GetMetrics(asked, timeout=10)  # type: ignore[arg-type]
    return round(answer.metricValues[0].metricValueFloat)  # type: ignore[attr-defined]


def deployment_of(name: str) -> dict[str, Any]:
    """The Deployment of a service of the shop."""
    return next(
        dict(body) for body in objects_of(shop()) if (body["kind"], body["metadata"]["name"]) == ("Deployment", name)
    )


def called_lately(simulation: Simulation) -> set[str]:
    """Who was called in the operator's window and not just now; what comes in episodes may have had a quiet hour."""
    now = int(time.time()) // 60 * 60
    rates = call_rates(simulation, start=now - 45 * 60, end=now - 5 * 60)
    return {callee.name for _, callee in rates if callee.namespace == "shop"}


def callers_of(name: str) -> set[str]:
    """Who calls a service of the shop, by the simulator's own account."""
    return {call.caller.split("/")[-1] for call in shop().calls if call.callee == f"shop/{name}"}


def callees_of(name: str) -> set[str]:
    """Whom it calls."""
    return {call.callee.split("/")[-1] for call in shop().calls if call.caller == f"shop/{name}"}


def window_of(recording: Snapshot, end: int) -> Snapshot:
    """The window that ends then, as a cycle at that time would have sent it."""
    last = (end - recording.start_time) // 60 + 1
    return Snapshot(
        end_time=end,
        step_seconds=60,
        services=recording.services,
        values=recording.values[last - WINDOW_STEPS : last],
        calls=recording.calls,
        rates=recording.rates,
    )
