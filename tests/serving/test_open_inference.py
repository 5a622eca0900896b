import asyncio
from contextlib import asynccontextmanager

import pytest
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from builders.engines import FakeForecaster, FakeHistory, engine, server, serving
from builders.snapshots import snapshot
from tidecast_contract import wire
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.rpc import messages
from tidecast_contract.rpc import open_inference_pb2 as pb
from tidecast_contract.rpc.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tidecast_contract.services import ServiceId
from tidecast_contract.status import HistoryStatus
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.server import HEALTH_NAMES

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def question(*, horizon_steps=4, parameters=None, **changes):
    message = wire.encode_snapshot(snapshot(**changes), horizon_steps=horizon_steps)
    return messages.to_request(wire.Message(message.tensors, {**message.parameters, **(parameters or {})}))


@asynccontextmanager
async def connected(fakes, **changes):
    async with serving(fakes, **changes) as predictor, aio.insecure_channel(f"127.0.0.1:{predictor.port}") as channel:
        yield channel, predictor


@pytest.fixture
def inference(channel):
    return GRPCInferenceServiceStub(channel)


async def refusal(call):
    with pytest.raises(aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details()


async def healths(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    return [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in HEALTH_NAMES]


async def test_the_answer_bears_the_question_s_id_and_the_model_s_version(inference):
    asked = question()
    asked.id = "42"
    answer = await inference.ModelInfer(asked)
    assert (answer.id, answer.model_name, answer.model_version) == ("42", "tidecast", "v1")


async def test_a_request_for_one_output_gets_that_one(inference):
    asked = question()
    asked.outputs.add(name="values")
    assert [output.name for output in (await inference.ModelInfer(asked)).outputs] == ["values"]


async def test_another_contract_version_is_a_failed_precondition(inference):
    code, text = await refusal(inference.ModelInfer(question(parameters={"contract_version": 3})))
    assert code is StatusCode.FAILED_PRECONDITION
    assert "speaks contract version 3, this side 2" in text


async def test_an_input_that_does_not_fit_is_an_invalid_argument_that_names_it(inference):
    asked = question()
    asked.inputs[1].datatype = "FP64"
    code, text = await refusal(inference.ModelInfer(asked))
    assert code is StatusCode.INVALID_ARGUMENT
    assert "'values'" in text


async def test_a_question_without_a_horizon_is_an_invalid_argument(inference):
    asked = question()
    del asked.parameters["horizon_steps"]
    assert (await refusal(inference.ModelInfer(asked)))[0] is StatusCode.INVALID_ARGUMENT


async def test_a_horizon_whose_answer_would_not_fit_is_refused_before_any_work(inference, fakes):
    many = tuple(ServiceId("shop", "Deployment", f"s{index}") for index in range(2000))
    code, text = await refusal(inference.ModelInfer(question(services=many, horizon_steps=1440)))
    assert code is StatusCode.INVALID_ARGUMENT
    assert "'horizon_steps' is 1440: the forecast of 2000 services would have" in text
    assert not fakes.forecaster.asked


@pytest.mark.parametrize(("name", "version"), [("other", ""), ("tidecast", "v0")])
async def test_a_model_that_is_not_served_is_not_found(inference, name, version):
    asked = question()
    asked.model_name, asked.model_version = name, version
    assert (await refusal(inference.ModelInfer(asked)))[0] is StatusCode.NOT_FOUND
    assert (await refusal(inference.ModelMetadata(pb.ModelMetadataRequest(name=name, version=version))))[0] is (
        StatusCode.NOT_FOUND
    )
    assert not (await inference.ModelReady(pb.ModelReadyRequest(name=name, version=version))).ready


async def test_what_nobody_expected_is_internal_and_goes_to_the_log(caplog):
    async with connected(engine(forecaster=FakeForecaster(error=RuntimeError("out of memory")))) as (channel, _):
        refused = await refusal(GRPCInferenceServiceStub(channel).ModelInfer(question()))
    assert refused == (StatusCode.INTERNAL, "RuntimeError: out of memory")
    assert "out of memory" in caplog.text


async def test_the_metadata_describe_what_is_sent_and_what_comes_back(inference):
    told = await inference.ModelMetadata(pb.ModelMetadataRequest(name="tidecast"))
    asked = question()
    answer = await inference.ModelInfer(asked)
    assert list(told.versions) == ["v1"]
    for described, tensors in ((told.inputs, asked.inputs), (told.outputs, answer.outputs)):
        assert [tensor.name for tensor in described] == [tensor.name for tensor in tensors]
        assert [tensor.datatype for tensor in described] == [tensor.datatype for tensor in tensors]
        for is_told, is_so in zip(described, tensors, strict=True):
            assert all(told in (-1, so) for told, so in zip(is_told.shape, is_so.shape, strict=True))


async def test_the_metadata_name_every_parameter_that_a_question_has(inference):
    told = await inference.ModelMetadata(pb.ModelMetadataRequest(name="tidecast"))
    named = dict(parameter.split(":") for parameter in told.properties["input_parameters"].split(","))
    sent = {name: value.WhichOneof("parameter_choice") for name, value in question().parameters.items()}
    assert {name: f"{datatype}_param" for name, datatype in named.items()} == sent
    assert told.properties["features"] == question().parameters["features"].string_param


async def test_a_server_that_is_ready_says_so_everywhere(inference, channel):
    assert (await inference.ServerLive(pb.ServerLiveRequest())).live
    assert (await inference.ServerReady(pb.ServerReadyRequest())).ready
    assert (await inference.ModelReady(pb.ModelReadyRequest(name="tidecast"))).ready
    assert (await inference.ServerMetadata(pb.ServerMetadataRequest())).name == "tidecast-predictor"
    assert set(await healths(channel)) == {SERVING}


async def test_a_server_that_loads_is_alive_and_not_ready():
    loading = server(engine())
    await loading.start()
    async with aio.insecure_channel(f"127.0.0.1:{loading.port}") as channel:
        inference = GRPCInferenceServiceStub(channel)
        assert (await inference.ServerLive(pb.ServerLiveRequest())).live
        assert not (await inference.ServerReady(pb.ServerReadyRequest())).ready
        assert not (await inference.ModelReady(pb.ModelReadyRequest(name="tidecast"))).ready
        assert set(await healths(channel)) == {NOT_SERVING}
        assert (await refusal(inference.ModelInfer(question())))[0] is StatusCode.UNAVAILABLE
        await loading.load()
        assert set(await healths(channel)) == {SERVING}
        assert (await inference.ModelInfer(question())).outputs
    await loading.stop()


async def test_health_and_status_answer_while_an_inference_blocks():
    slow = FakeForecaster(is_blocked=True)
    async with connected(engine(forecaster=slow)) as (channel, _):
        inference = GRPCInferenceServiceStub(channel)
        asked = [asyncio.ensure_future(inference.ModelInfer(question())) for _ in range(8)]
        await asyncio.to_thread(slow.was_asked.wait, 30)
        assert set(await healths(channel)) == {SERVING}
        assert (await inference.ModelMetadata(pb.ModelMetadataRequest(name="tidecast"))).versions
        assert not any(one.done() for one in asked)
        slow.may_answer.set()
        assert len(await asyncio.gather(*asked)) == 8


async def test_health_turns_when_the_server_is_told_to_stop_and_what_runs_is_finished():
    slow = FakeForecaster(is_blocked=True)
    fakes = engine(forecaster=slow)
    async with connected(fakes, grace_seconds=20) as (channel, predictor):
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watched.read()).status == SERVING
        asked = asyncio.ensure_future(GRPCInferenceServiceStub(channel).ModelInfer(question()))
        await asyncio.to_thread(slow.was_asked.wait, 30)
        stopping = asyncio.create_task(predictor.stop())
        assert (await watched.read()).status == NOT_SERVING
        watched.cancel()
        slow.may_answer.set()
        assert (await asked).outputs
        await stopping
    assert fakes.trainer.stopped


def test_a_model_is_warmed_up_for_the_steps_of_the_history():
    fakes = engine(history=FakeHistory(held=HistoryStatus(30, 30, 300, 2)))
    fakes.warm_up(TrainingSettings(window_steps=20, horizon_steps=10))
    [asked] = fakes.forecaster.asked
    assert (asked.steps, asked.step_seconds) == (20, 30)


def test_without_a_model_nothing_is_warmed_up():
    fakes = engine(forecaster=FakeForecaster(ModelInfo(ModelKind.NONE)))
    fakes.warm_up(TrainingSettings())
    assert not fakes.forecaster.asked
