"""
What KEDA is answered when it asks, by a client made from the proto.
"""

import math
from dataclasses import replace

import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from builders.hints import NOW, decided, entry
from builders.keda import (
    Clock,
    asking,
    board,
    connected,
    metrics_request,
    noticeboard,
    reference,
    refused,
    serving,
    soon,
)
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.outlets.keda import amounts
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.server import HEALTH_NAMES, KedaServer
from tidecast_operator.scaling import Mode, Scaling

ACTIVE = Scaling(mode=Mode.ACTIVE)
UNTRUSTED = "NotTrusted: Its forecasts are not trusted."


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def notices():
    return noticeboard(entry())


@pytest.fixture
async def keda(notices, clock):
    async with serving(notices, clock=clock) as server, asking(server) as stub:
        yield stub


async def spec_of(keda, **metadata):
    (spec,) = (await soon(keda.GetMetricSpec(reference(**metadata)))).metricSpecs
    return spec


async def value_of(keda, name="", **metadata):
    (value,) = (await soon(keda.GetMetrics(metrics_request(name, **metadata)))).metricValues
    return value


def every_question(keda, **metadata):
    return (keda.IsActive(reference(**metadata)), keda.GetMetrics(metrics_request(**metadata)))


async def test_the_load_is_told_with_what_one_replica_carries_as_its_target(keda):
    assert await spec_of(keda) == pb.MetricSpec(metricName="tidecast-load", targetSize=100, targetSizeFloat=100.0)
    assert await value_of(keda, "tidecast-load") == pb.MetricValue(
        metricName="tidecast-load", metricValue=750, metricValueFloat=750.0
    )


async def test_replicas_are_told_with_a_target_of_one(keda):
    asked = {"metric": "replicas"}

    assert await spec_of(keda, **asked) == pb.MetricSpec(
        metricName="tidecast-replicas", targetSize=1, targetSizeFloat=1.0
    )
    assert await value_of(keda, "tidecast-replicas", **asked) == pb.MetricValue(
        metricName="tidecast-replicas", metricValue=8, metricValueFloat=8.0
    )


async def test_the_forecast_is_named_like_the_scaled_object_unless_the_trigger_says_another(keda, notices):
    other = replace(entry(), name="payment", hint=decided(150.0))
    notices.show(board(entry(), other))

    assert (await value_of(keda)).metricValueFloat == 750
    assert (await value_of(keda, forecast="payment")).metricValueFloat == 150


async def test_a_forecast_of_another_namespace_cannot_be_reached(keda, notices):
    notices.show(board(replace(entry(), namespace="bank")))

    code, text = await refused(keda.GetMetrics(metrics_request()))

    assert (code, "in namespace shop" in text) == (StatusCode.NOT_FOUND, True)


async def test_it_is_active_while_a_hint_is_offered(keda):
    assert (await soon(keda.IsActive(reference()))).result is True


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"withheld": UNTRUSTED}, UNTRUSTED),
        ({"hint": None}, "there is no hint yet"),
        ({"expire_time": NOW}, "the forecast has expired; see the condition ForecastFresh"),
    ],
)
async def test_what_is_withheld_is_unavailable_with_the_reason(keda, notices, changes, reason):
    notices.show(board(entry(**changes)))

    for question in every_question(keda):
        assert await refused(question) == (StatusCode.UNAVAILABLE, reason)


async def test_a_hint_that_has_expired_without_a_new_board_is_unavailable(keda, clock):
    clock.now = entry().expire_time

    for question in every_question(keda):
        assert (await refused(question))[0] is StatusCode.UNAVAILABLE


async def test_before_the_first_cycle_everything_is_unavailable(keda, notices):
    notices.show(Board())

    for question in (*every_question(keda), keda.GetMetricSpec(reference())):
        assert await refused(question) == (StatusCode.UNAVAILABLE, "no cycle has completed since the start")


async def test_a_name_that_nobody_knows_is_not_found(keda):
    for question in (*every_question(keda, forecast="cart"), keda.GetMetricSpec(reference(forecast="cart"))):
        code, text = await refused(question)
        assert (code, "ServicePerformanceForecast cart" in text) == (StatusCode.NOT_FOUND, True)


@pytest.mark.parametrize("changes", [{"withheld": UNTRUSTED}, {"expire_time": NOW}, {"hint": None}])
async def test_the_target_of_the_load_is_told_while_the_hint_is_withheld(keda, notices, changes):
    notices.show(board(entry(**changes)))

    assert (await spec_of(keda)).targetSizeFloat == 100


async def test_the_target_that_was_learned_is_told_while_the_hint_is_withheld(keda, notices):
    learned = decided(750.0, capacity=Capacity(93.0, samples=500))
    notices.show(board(entry(scaling=ACTIVE, hint=learned, withheld=UNTRUSTED)))

    assert (await spec_of(keda)).targetSizeFloat == 93


async def test_a_target_that_is_yet_to_be_learned_is_unavailable_with_the_remedy(keda, notices):
    notices.show(board(entry(scaling=ACTIVE, hint=None)))

    code, text = await refused(keda.GetMetricSpec(reference()))

    assert code is StatusCode.UNAVAILABLE
    assert "spec.scaling.perReplica" in text
    assert "metadata.metric: replicas" in text


async def test_the_target_of_replicas_is_known_before_anything_else_is(keda, notices):
    notices.show(Board())

    assert (await spec_of(keda, metric="replicas")).targetSizeFloat == 1


@pytest.mark.parametrize(
    ("asked", "field", "remedy"),
    [
        ({"metric": "pods"}, "metadata.metric", "write one of load, replicas"),
        ({"forecast": "shop/checkout"}, "metadata.forecast", "write the name alone"),
        ({"forecast": ""}, "metadata.forecast", "write the name alone"),
        ({"forcast": "payment"}, "metadata.forcast", "write forecast or metric"),
        ({"forecastFromEnv": "payment"}, "metadata.forecastFromEnv", "write forecast or metric"),
        ({"Metric": "replicas"}, "metadata.Metric", "write forecast or metric"),
        ({"namespace": ""}, "namespace", "pass on that of the ScaledObject"),
        ({"name": ""}, "metadata.forecast", "write the name alone"),
    ],
)
async def test_a_trigger_that_cannot_be_followed_is_refused_with_field_and_remedy(keda, asked, field, remedy):
    calls = [*every_question(keda, **asked), keda.GetMetricSpec(reference(**asked))]
    streams = [keda.StreamIsActive(reference(**asked)), keda.StreamMetricSpec(reference(**asked))]

    for question in (*calls, *(stream.read() for stream in streams)):
        code, text = await refused(question)
        assert code is StatusCode.INVALID_ARGUMENT
        assert text.startswith(f"{field}: ")
        assert remedy in text


async def test_keys_of_kedas_own_are_left_alone(keda):
    assert (await value_of(keda, metricType="Value", unsafeSsl="true", tlsCertFile="x")).metricValueFloat == 750


async def test_a_metric_that_the_trigger_does_not_have_is_refused(keda):
    code, text = await refused(keda.GetMetrics(metrics_request("tidecast-replicas")))

    assert code is StatusCode.INVALID_ARGUMENT
    assert "ask for tidecast-load" in text


async def test_a_new_board_is_told_from_then_on(keda, notices):
    await value_of(keda)
    notices.show(board(entry(hint=decided(480.0))))

    assert (await value_of(keda)).metricValueFloat == 480


def arrived_at(told, per_replica):
    """The replicas that a HorizontalPodAutoscaler arrives at: of what KEDA rounds, of what it cuts off, and of whole numbers."""
    rounded = math.ceil(round(told.exact * 1000) / round(per_replica.exact * 1000))
    cut = math.ceil(int(told.exact * 1000) / int(per_replica.exact * 1000))
    return {rounded, cut, math.ceil(told.whole / per_replica.whole)}


@pytest.mark.parametrize("per_replica", [0.0004, 0.25, 0.3337, 1.0, 1.9, 33.3333, 99.9999, 120.0, 1234.567, 6.1e7])
@pytest.mark.parametrize("scaling", [ACTIVE, None], ids=["learned", "given"])
def test_the_autoscaler_arrives_at_the_hints_replicas_whatever_one_carries(per_replica, scaling):
    capacity = Capacity(per_replica, samples=500 if scaling else 0)
    for current in range(1, 40):
        for share in (0.0, 0.3, 1.0, 1.5, 2.999, 3.0, 7.0001, 19.4, 36.0):
            hint = decided(share * per_replica, capacity=capacity, current_replicas=current)
            notice = entry(hint=hint, scaling=scaling or replace(ACTIVE, per_replica=per_replica))
            told = amounts.load(hint, amounts.load_target(notice))
            assert arrived_at(told, amounts.load_target(notice)) == {hint.replicas}
            assert arrived_at(amounts.replicas(hint), amounts.ONE) == {hint.replicas}


@pytest.mark.parametrize("load", [0.0, 640.0, 990.0])
def test_a_load_that_asks_for_other_replicas_is_told_as_the_nearest_that_asks_for_the_hints(load):
    hint = replace(decided(750.0), load=load)

    assert arrived_at(amounts.load(hint, amounts.Amount(100_000, 100)), amounts.Amount(100_000, 100)) == {8}


def test_an_amount_loses_no_thousandth_where_keda_cuts_off():
    amounts_told = [amounts.Amount(thousandths, 1) for thousandths in range(1, 50_000)]

    assert [int(amount.exact * 1000) for amount in amounts_told] == [amount.thousandths for amount in amounts_told]


async def test_a_learned_target_moves_only_with_its_third_digit(keda, notices):
    notices.show(board(entry(scaling=ACTIVE, hint=decided(750.0, capacity=Capacity(93.04, samples=500)))))
    before = await spec_of(keda)
    notices.show(board(entry(scaling=ACTIVE, hint=decided(750.0, capacity=Capacity(92.96, samples=501)))))

    assert await spec_of(keda) == before


async def test_health_tells_whether_a_board_is_known():
    notices = Noticeboard()
    async with serving(notices) as server, connected(server) as channel:
        asked = health_pb2_grpc.HealthStub(channel)
        watched = {name: asked.Watch(health_pb2.HealthCheckRequest(service=name)) for name in HEALTH_NAMES}

        before = {name: (await soon(watch.read())).status for name, watch in watched.items()}
        notices.show(board())
        after = {name: (await soon(watch.read())).status for name, watch in watched.items()}

    states = health_pb2.HealthCheckResponse
    assert set(before.values()) == {states.NOT_SERVING}
    assert set(after.values()) == {states.SERVING}


async def test_a_request_that_is_too_large_is_refused(keda):
    assert (await refused(keda.IsActive(reference(notes="x" * 70_000))))[0] is StatusCode.RESOURCE_EXHAUSTED


async def test_a_port_that_is_taken_is_an_error_with_a_remedy(notices):
    async with serving(notices) as server:
        with pytest.raises(Misconfigured, match=r"--keda-address: cannot listen .*; write host and port"):
            await KedaServer(notices, f"127.0.0.1:{server.port}").start()


async def test_a_stopped_server_answers_nobody_and_hears_of_no_board(notices):
    async with serving(notices) as server:
        await server.stop(0)
        notices.show(board())
        async with asking(server) as stub:
            code, _ = await refused(stub.IsActive(reference()))

    assert code is StatusCode.UNAVAILABLE
