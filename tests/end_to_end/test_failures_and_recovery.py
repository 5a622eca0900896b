"""
What goes wrong in production, on real components: nothing is overwritten, forecasts age visibly, all recovers by itself.
"""

import re
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import grpc
import pytest

from tidecast_contract.wire import CONTRACT_VERSION
from tidecast_simulator.testbed.gateway import Fault, Gateway, half_of_the_series, no_series
from tidecast_simulator.testbed.world import World

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SPF = ("spf", "frontend", "--namespace=shop")
FORECASTER = ("forecaster", "default")


@pytest.fixture(autouse=True)
def recovers_without_a_restart(live_world: World) -> Iterator[None]:
    """After every bad day the same operator, never restarted, forecasts again."""
    recovered(live_world)
    before = live_world.operator.process.pid
    yield
    recovered(live_world)
    assert live_world.operator.process.pid == before
    assert live_world.operator.is_running


DOWN = [
    pytest.param(Fault(status=503), id="503"),
    pytest.param(Fault(delay_seconds=20), id="slow"),
]


@pytest.mark.parametrize("fault", DOWN)
def test_a_prometheus_that_fails_is_told_and_the_forecast_stays(
    fault: Fault, live_world: World, gateway: Gateway
) -> None:
    with gateway.suffering(fault):
        told = until(live_world, "PrometheusReachable", "False", *FORECASTER)
        status = live_world.get(*SPF)["status"]

    assert told["reason"] == "PrometheusUnavailable"
    assert gateway.url in told["message"]
    assert numbers_of(status)


def test_a_forecast_that_cannot_be_renewed_expires_visibly(live_world: World, gateway: Gateway) -> None:
    with gateway.suffering(Fault(status=503)):
        until(live_world, "ForecastFresh", "False", *SPF, seconds=150)
        expired = live_world.get(*SPF)["status"]
        ready = live_world.condition("Ready", *SPF)

    assert seconds(expired["issuedTime"]) < seconds(expired["expireTime"])
    assert numbers_of(expired), "the last forecast stays"
    assert ready["status"] == "False"
    assert ready["reason"] == "ForecastExpired"


def test_a_prometheus_without_data_is_told_and_nothing_becomes_zero(live_world: World, gateway: Gateway) -> None:
    with gateway.suffering(Fault(keep=no_series)):
        told = until(live_world, "TelemetryFound", "False", *FORECASTER)
        status = live_world.get(*SPF)["status"]

    assert told["reason"] == "NoTelemetry"
    assert 0 not in numbers_of(status)
    assert numbers_of(status)


def test_services_whose_series_are_missing_keep_their_last_forecast(live_world: World, gateway: Gateway) -> None:
    with gateway.suffering(Fault(keep=half_of_the_series)):
        cycles(live_world, 3)
        statuses = [item["status"] for item in live_world.get("spf", "--namespace=shop")["items"]]

    assert statuses
    for status in statuses:
        assert numbers_of(status)
        assert status["current"].get("requestsPerSecond") != "0"


def test_a_predictor_that_is_away_is_told_and_found_again(live_world: World) -> None:
    live_world.predictor.stop()
    try:
        told = until(live_world, "PredictorReachable", "False", *FORECASTER)
        status = live_world.get(*SPF)["status"]
    finally:
        live_world.predictor.start()

    assert told["reason"] == "PredictorUnavailable"
    assert numbers_of(status)
    assert until(live_world, "PredictorReachable", "True", *FORECASTER)


def test_a_predictor_that_lost_its_history_is_filled_again(live_world: World) -> None:
    live_world.predictor.kill()
    for chunk in sorted((live_world.directory / "predictor").rglob("*"), reverse=True):
        chunk.rmdir() if chunk.is_dir() else chunk.unlink()
    live_world.predictor.start()

    issued = seconds(live_world.get(*SPF)["status"]["issuedTime"])
    assert live_world.wait_for(
        lambda: seconds(live_world.get(*SPF)["status"]["issuedTime"]) > issued, timeout_seconds=90
    )


def test_a_predictor_of_another_contract_version_is_refused_with_both_versions(live_world: World) -> None:
    live_world.predictor.stop()
    try:
        with predictor_of_contract(99, live_world.predictor_address):
            told = until(live_world, "PredictorReachable", "False", *FORECASTER, reason="ContractMismatch")
    finally:
        live_world.predictor.start()

    assert "99" in told["message"]
    assert re.search(rf"\b{CONTRACT_VERSION}\b", told["message"])


def test_an_api_server_that_restarts_is_found_again(live_world: World) -> None:
    before = seconds(live_world.get(*FORECASTER)["status"]["cycle"]["startTime"])

    live_world.control_plane.restart_api_server()

    assert live_world.wait_for(
        lambda: seconds(live_world.get(*FORECASTER)["status"]["cycle"]["startTime"]) > before + 10, timeout_seconds=120
    )


def test_an_invalid_forecaster_is_told_which_field_to_mend(live_world: World) -> None:
    valid = live_world.get(*FORECASTER)["spec"]
    broken = valid | {"training": {**valid["training"], "schedule": "every now and then"}}
    live_world.apply(live_world.forecaster(**broken))
    try:
        told = until(live_world, "Ready", "False", *FORECASTER, reason="InvalidSpec")
        status = live_world.get(*SPF)["status"]
    finally:
        live_world.apply(live_world.forecaster(**valid))

    assert "training.schedule" in told["message"]
    assert numbers_of(status)


def test_a_second_replica_waits_until_the_first_one_hangs(live_world: World) -> None:
    with live_world.new_operator("second").start():
        cycles(live_world, 2)
        assert leader(live_world) == "operator"

        live_world.operator.process.pause()
        try:
            live_world.wait_for(lambda: leader(live_world) == "second", timeout_seconds=90)
            cycles(live_world, 1)
        finally:
            live_world.operator.process.resume()
        cycles(live_world, 2)
        assert leader(live_world) == "second", "the one that hung must not take the lease back"

    live_world.wait_for(lambda: leader(live_world) == "operator", timeout_seconds=90)


def leader(world: World) -> str:
    """The replica that holds the Lease."""
    leases = world.get("leases", "--namespace=tidecast-system")["items"]
    return str(leases[0]["spec"].get("holderIdentity", ""))


def recovered(world: World) -> None:
    """Waits until the Forecaster is ready and the forecast fresh."""
    until(world, "Ready", "True", *FORECASTER, seconds=150)
    until(world, "ForecastFresh", "True", *SPF, seconds=150)


def until(
    world: World, kind: str, status: str, *what: str, reason: str | None = None, seconds: float = 60
) -> dict[str, Any]:
    """Waits until a condition has this status, and returns it."""

    def found() -> dict[str, Any]:
        condition = world.condition(kind, *what)
        fits = condition.get("status") == status and reason in (None, condition.get("reason"))
        return condition if fits else {}

    return world.wait_for(found, timeout_seconds=seconds)


def cycles(world: World, count: int) -> None:
    """Waits for so many more cycles."""

    def start() -> str:
        return str(world.get(*FORECASTER)["status"]["cycle"]["startTime"])

    for _ in range(count):
        before = start()
        world.wait_for(lambda before=before: start() != before, timeout_seconds=60)


def numbers_of(status: dict[str, Any]) -> list[float]:
    """The medians of requests per second that a status holds; quantities are compared as text elsewhere."""
    series = [entry for entry in status.get("forecasts", []) if entry["metric"] == "RequestsPerSecond"]
    values = [
        quantile["values"] for entry in series for quantile in entry["quantiles"] if quantile["quantile"] == "0.5"
    ]
    return [float(value.removesuffix("m")) for row in values for value in row]


def seconds(time: str) -> float:
    """A Kubernetes time as unix seconds."""
    return datetime.fromisoformat(time).timestamp()


@contextmanager
def predictor_of_contract(version: int, address: str) -> Iterator[None]:
    """Answers every call as a predictor of another contract version does."""

    class Refuse(grpc.GenericRpcHandler):
        def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION, f"contract version {version} here, {CONTRACT_VERSION} there"
                )

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Refuse()])
    server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        server.stop(1).wait()
