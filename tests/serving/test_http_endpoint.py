import asyncio
import contextlib
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from builders.engines import FakeForecaster, engine, server, serving
from builders.snapshots import snapshot
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.predictor_client import PredictorClient


async def get(predictor, path, *, method="GET"):
    def fetch():
        request = urllib.request.Request(f"http://127.0.0.1:{predictor.http_port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http it is
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


async def samples(predictor):
    _, text = await get(predictor, "/metrics")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_readiness_follows_the_engine_and_liveness_does_not():
    loading = server(engine())
    await loading.start()
    assert (await get(loading, "/healthz"))[0] == 200
    assert (await get(loading, "/readyz"))[0] == 503
    await loading.load()
    assert await get(loading, "/readyz") == (200, "ok\n")
    await loading.stop()


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/healthz", "POST", 405)])
async def test_other_paths_and_methods_are_refused(predictor, path, method, status):
    assert (await get(predictor, path, method=method))[0] == status


async def test_a_head_request_gets_the_head_alone(predictor):
    reader, writer = await asyncio.open_connection("127.0.0.1", predictor.http_port)
    writer.write(b"HEAD /healthz HTTP/1.1\r\nHost: predictor\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_a_client_that_sends_nonsense_does_no_harm(predictor):
    for nonsense in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01", b"x" * 200_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", predictor.http_port)
        writer.write(nonsense)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
    assert (await get(predictor, "/healthz"))[0] == 200


async def test_inferences_are_counted_with_their_outcome(client, predictor, fakes):
    await client.forecast(snapshot(), 4)
    fakes.forecaster.error = RuntimeError("broken")
    with pytest.raises(PredictorUnavailable):
        await client.forecast(snapshot(), 4)
    seen = await samples(predictor)
    assert seen["tidecast_predictor_inference_requests_total", "OK"] == 1
    assert seen["tidecast_predictor_inference_requests_total", "INTERNAL"] == 1
    assert seen["tidecast_predictor_inference_duration_seconds_count",] == 2
    assert seen["tidecast_predictor_inference_batch_services_sum",] == 4


async def test_an_inference_that_nobody_waits_for_any_more_is_counted_as_cancelled():
    slow = FakeForecaster(is_blocked=True)
    async with serving(engine(forecaster=slow)) as predictor:
        client = PredictorClient(f"127.0.0.1:{predictor.port}", timeout_seconds=0.3)
        with pytest.raises(PredictorUnavailable):
            await client.forecast(snapshot(), 4)
        await client.close()
        while ("tidecast_predictor_inference_requests_total", "CANCELLED") not in await samples(predictor):
            pass  # the server learns of it a moment later
        slow.may_answer.set()


async def test_the_metrics_say_what_the_engine_says(client, predictor):
    await client.append_history([snapshot()])
    seen = await samples(predictor)
    assert seen["tidecast_predictor_ready",] == 1
    assert seen["tidecast_predictor_history_steps",] == 3
    assert seen["tidecast_predictor_history_services",] == 2
    assert seen["tidecast_predictor_training_state", "Running"] == 1
    assert seen["tidecast_predictor_training_state", "Idle"] == 0
    assert seen["tidecast_predictor_training_progress",] == 0.25
    assert seen["tidecast_predictor_model_info", "GCN-GRU", "v1"] == 1
    assert seen["tidecast_predictor_model_skill",] == pytest.approx(0.25)


async def test_what_a_model_does_not_know_of_itself_has_no_sample():
    async with serving(engine(forecaster=FakeForecaster(ModelInfo(ModelKind.LAST_VALUE)))) as predictor:
        seen = await samples(predictor)
    assert ("tidecast_predictor_model_info", "LastValue", "") in seen
    assert ("tidecast_predictor_model_skill",) not in seen
    assert ("tidecast_predictor_model_trained_timestamp_seconds",) not in seen


async def test_a_server_that_loads_has_metrics_too():
    loading = server(engine())
    await loading.start()
    assert (await samples(loading))["tidecast_predictor_ready",] == 0
    await loading.stop()
