import asyncio
import threading
from contextlib import suppress

import numpy as np
import pytest
from grpc import aio

from builders.engines import FakeForecaster, FakeHistory, FakeTrainer, engine, server, serving
from builders.snapshots import MIDDAY, snapshot
from tidecast_contract import wire
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.rpc import messages
from tidecast_contract.rpc import tidecast_pb2 as pb
from tidecast_contract.rpc.limits import HISTORY_CHUNK_BYTES
from tidecast_contract.rpc.tidecast_pb2_grpc import TrainingStub
from tidecast_contract.services import ServiceId
from tidecast_operator.errors import ContractMismatch, PredictorUnavailable
from tidecast_operator.predictor_client import PredictorClient, split
from tidecast_simulator.testbed.process import free_port


def big(services, *, steps):
    names = tuple(ServiceId("shop", "Deployment", f"service-{i}") for i in range(services))
    values = np.random.default_rng(0).random((steps, services, 7), dtype=np.float32)
    values[0, ::3] = np.nan
    ring = np.arange(services)
    return snapshot(
        services=names,
        values=values,
        calls=np.stack([ring, np.roll(ring, 1)]),
        rates=np.ones(services, np.float32),
    )


async def test_the_predictor_gets_the_snapshot_bit_for_bit(client, fakes):
    values = np.random.default_rng(0).normal(size=(3, 2, 7)).astype(np.float32)
    values[0, 1] = np.nan
    await client.forecast(snapshot(values=values), 4)
    assert fakes.forecaster.asked[-1].values.tobytes() == values.tobytes()


async def test_the_forecast_comes_back_bit_for_bit(client):
    values = np.full((3, 2, 7), 0.1, dtype=np.float32)
    values[-1, 1, 0] = np.nan
    came = await client.forecast(snapshot(values=values), 30)
    assert came.values.shape == (2, 6, 30, 3)
    assert np.unique(came.values[0]).tolist() == [np.float32(0.1)]
    assert np.isnan(came.values[1]).all()


async def test_ten_thousand_services_fit_into_one_message(client):
    question = big(10_000, steps=60)
    came = await client.forecast(question, 30)
    assert came.services == question.services
    assert np.array_equal(came.values[:, 0, 29, 2], question.values[-1, :, 0])


async def test_the_status_is_what_the_engine_says(client, fakes):
    fakes.history.snapshots.append(snapshot())
    assert await client.status() == fakes.status()


async def test_history_arrives_in_order(client, fakes):
    parts = [snapshot(end_time=MIDDAY + 180 * i) for i in range(3)]
    held = await client.append_history(parts)
    assert [part.end_time for part in fakes.history.snapshots] == [part.end_time for part in parts]
    assert held == fakes.history.status()


async def test_history_may_come_as_it_is_collected(client, fakes):
    async def collected():
        for i in range(2):
            await asyncio.sleep(0)
            yield snapshot(end_time=MIDDAY + 180 * i)

    await client.append_history(collected())
    assert len(fakes.history.snapshots) == 2


async def test_no_history_at_all_is_no_error(client):
    assert (await client.append_history([])).steps == 0


async def test_long_history_is_sent_in_chunks_that_add_up_to_it(client, fakes):
    whole = big(2000, steps=700)
    await client.append_history([whole])
    parts = fakes.history.snapshots
    assert len(parts) == 3
    assert all(part.values.nbytes <= HISTORY_CHUNK_BYTES for part in parts)
    assert np.concatenate([part.values for part in parts]).tobytes() == whole.values.tobytes()
    assert np.array_equal(np.concatenate([part.times for part in parts]), whole.times)


def test_one_step_is_never_split():
    assert [part.end_time for part in split(snapshot(), 1)] == [MIDDAY - 120, MIDDAY - 60, MIDDAY]


async def test_an_error_of_whoever_collects_history_passes_through(client):
    def broken():
        yield snapshot()
        raise OSError("Prometheus is gone")

    with pytest.raises(OSError, match="Prometheus is gone"):
        await client.append_history(broken())


async def test_a_training_is_asked_for_with_its_settings(client, fakes):
    assert await client.train(window_steps=20, horizon_steps=10, minimum_history_seconds=3600)
    [settings] = fakes.trainer.started
    assert (settings.window_steps, settings.horizon_steps, settings.minimum_history_seconds) == (20, 10, 3600)


async def test_a_training_that_cannot_start_is_no_error():
    async with serving(engine(trainer=FakeTrainer(may_start=False))) as predictor:
        client = PredictorClient(f"127.0.0.1:{predictor.port}", timeout_seconds=5)
        assert not await client.train(window_steps=20, horizon_steps=10, minimum_history_seconds=3600)
        await client.close()


async def test_a_predictor_of_another_contract_version_is_told_apart(client, monkeypatch):
    request = wire.encode_snapshot(snapshot(), horizon_steps=4)
    monkeypatch.setattr(
        wire,
        "encode_snapshot",
        lambda *_, **__: wire.Message(request.tensors, {**request.parameters, "contract_version": 3}),
    )
    with pytest.raises(ContractMismatch, match="speaks contract version 3, this side 2"):
        await client.forecast(snapshot(), 4)
    with pytest.raises(ContractMismatch, match="speaks contract version 3, this side 2"):
        await client.append_history([snapshot()])


async def test_an_answer_in_another_contract_version_is_refused(client, monkeypatch):
    encode = wire.encode_forecast

    def newer(forecast):
        message = encode(forecast)
        return wire.Message(message.tensors, {**message.parameters, "contract_version": 3})

    monkeypatch.setattr(wire, "encode_forecast", newer)
    with pytest.raises(ContractMismatch, match="speaks contract version 3, this side 2"):
        await client.forecast(snapshot(), 4)


@pytest.mark.parametrize("ask", ["status", "train"])
async def test_every_other_call_checks_the_version_too(client, monkeypatch, ask):
    monkeypatch.setattr("tidecast_operator.predictor_client.wire", _Newer)
    with pytest.raises(ContractMismatch, match="speaks contract version 3, this side 2"):
        await (
            client.status()
            if ask == "status"
            else client.train(window_steps=1, horizon_steps=1, minimum_history_seconds=1)
        )


class _Newer:
    CONTRACT_VERSION = 3


async def test_an_answer_to_another_question_is_refused(client, fakes, monkeypatch):
    answer = fakes.forecaster.forecast
    monkeypatch.setattr(FakeForecaster, "forecast", lambda _, asked, steps: answer(asked, steps + 1))
    with pytest.raises(ContractMismatch, match=r"asked for .* 4\), told of .* 5\)"):
        await client.forecast(snapshot(), 4)


async def test_a_predictor_that_is_not_there_is_unavailable():
    client = PredictorClient(f"127.0.0.1:{free_port()}", timeout_seconds=0.5)
    with pytest.raises(PredictorUnavailable, match="answered UNAVAILABLE"):
        await client.status()
    with pytest.raises(PredictorUnavailable, match="answered UNAVAILABLE"):
        await client.append_history([snapshot()])
    await client.close()


async def test_a_predictor_that_is_loading_is_unavailable():
    loading = server(engine())
    await loading.start()
    client = PredictorClient(f"127.0.0.1:{loading.port}", timeout_seconds=0.5)
    with pytest.raises(PredictorUnavailable, match="loading or stopping"):
        await client.forecast(snapshot(), 4)
    await client.close()
    await loading.stop()


async def test_a_predictor_that_takes_too_long_is_unavailable():
    slow = FakeForecaster(is_blocked=True)
    async with serving(engine(forecaster=slow)) as predictor:
        client = PredictorClient(f"127.0.0.1:{predictor.port}", timeout_seconds=0.3)
        with pytest.raises(PredictorUnavailable, match="answered DEADLINE_EXCEEDED"):
            await client.forecast(snapshot(), 4)
        slow.may_answer.set()
        await client.close()


async def test_a_predictor_that_is_back_within_the_timeout_is_not_noticed():
    port = free_port()
    client = PredictorClient(f"127.0.0.1:{port}", timeout_seconds=20)
    async with asyncio.TaskGroup() as together:
        asked = together.create_task(client.forecast(snapshot(), 4))
        await asyncio.sleep(0.3)
        async with serving(engine(), address=f"127.0.0.1:{port}"):
            assert (await asked).horizon_steps == 4
    await client.close()


async def test_the_same_client_finds_a_restarted_predictor():
    async with serving(engine()) as first:
        port = first.port
        client = PredictorClient(f"127.0.0.1:{port}", timeout_seconds=1)
        await client.status()
    with pytest.raises(PredictorUnavailable):
        await client.status()
    async with serving(engine(forecaster=FakeForecaster(ModelInfo(ModelKind.LAST_VALUE))), address=f"127.0.0.1:{port}"):
        told = None
        async with asyncio.timeout(30):
            while told is None:  # between two attempts to connect gRPC waits for up to a second
                with suppress(PredictorUnavailable):
                    told = await client.status()
        assert told.model.kind is ModelKind.LAST_VALUE
    await client.close()


async def test_history_before_an_error_is_kept_and_nothing_after_it_is_sent(monkeypatch):
    held = FakeHistory()
    keep = held.append

    def break_at_the_third(part):
        if len(held.snapshots) == 2:
            raise OSError("the disk is full")
        keep(part)

    monkeypatch.setattr(held, "append", break_at_the_third)
    collected = iter([snapshot(end_time=MIDDAY + 180 * i) for i in range(5)])
    async with serving(engine(history=held)) as predictor:
        client = PredictorClient(f"127.0.0.1:{predictor.port}", timeout_seconds=5)
        with pytest.raises(PredictorUnavailable, match="answered INTERNAL: OSError: the disk is full"):
            await client.append_history(collected)
        await client.close()
    assert len(held.snapshots) == 2
    assert len(list(collected)) == 2


async def test_an_error_is_kept_until_the_caller_has_sent_everything(channel, fakes, monkeypatch):
    def fail(_):
        failed.set()
        raise OSError("the disk is full")

    failed = threading.Event()
    monkeypatch.setattr(fakes.history, "append", fail)
    chunk = pb.HistoryChunk(snapshot=messages.to_request(wire.encode_snapshot(snapshot())))
    training = TrainingStub(channel)
    call = training.AppendHistory()
    await call.write(chunk)
    await asyncio.to_thread(failed.wait, 30)
    for _ in range(5):
        await training.Status(pb.StatusRequest(contract_version=wire.CONTRACT_VERSION))
    assert not call.done()
    await call.write(chunk)
    await call.done_writing()
    with pytest.raises(aio.AioRpcError, match="the disk is full"):
        await call


async def test_history_that_does_not_fit_the_contract_is_told_apart(client, monkeypatch):
    encode = wire.encode_snapshot

    def other_features(part, **_):
        message = encode(part)
        return wire.Message(message.tensors, {**message.parameters, "features": "CPU"})

    monkeypatch.setattr(wire, "encode_snapshot", other_features)
    with pytest.raises(ContractMismatch, match="'features' is 'CPU'; agreed is 'RequestsPerSecond"):
        await client.append_history([snapshot()])


async def test_a_model_that_fails_is_unavailable_and_is_not_asked_again():
    failing = FakeForecaster(error=RuntimeError("out of memory"))
    async with serving(engine(forecaster=failing)) as predictor:
        client = PredictorClient(f"127.0.0.1:{predictor.port}", timeout_seconds=5)
        with pytest.raises(PredictorUnavailable, match="answered INTERNAL: RuntimeError: out of memory"):
            await client.forecast(snapshot(), 4)
        await client.close()
    assert len(failing.asked) == 1
