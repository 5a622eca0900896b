import asyncio

from grpc import StatusCode, aio

from builders.engines import FakeForecaster, engine, serving
from builders.snapshots import snapshot
from tidecast_contract import wire
from tidecast_contract.rpc import messages
from tidecast_contract.rpc.open_inference_pb2_grpc import GRPCInferenceServiceStub


async def test_of_too_many_calls_at_once_those_beyond_are_refused():
    slow = FakeForecaster(is_blocked=True)
    question = messages.to_request(wire.encode_snapshot(snapshot(), horizon_steps=4))
    async with (
        serving(engine(forecaster=slow)) as predictor,
        aio.insecure_channel(f"127.0.0.1:{predictor.port}") as channel,
    ):
        inference = GRPCInferenceServiceStub(channel)
        asked = [asyncio.ensure_future(_code(inference.ModelInfer(question))) for _ in range(40)]
        answers = asyncio.as_completed(asked, timeout=30)
        try:
            refused = [await next(answers) for _ in range(8)]
        finally:
            slow.may_answer.set()
        answered = [await answer for answer in answers]
    assert set(refused) == {StatusCode.RESOURCE_EXHAUSTED}
    assert answered == [StatusCode.OK] * 32


async def _code(call):
    try:
        await call
    except aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK
