"""
What KEDA is told without asking again, and what it is not told.
"""

import asyncio
import contextlib

import pytest
from grpc import StatusCode, aio

from builders.hints import NOW, decided, entry
from builders.keda import Clock, asking, board, noticeboard, reference, refused, serving, soon, until
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.scaling import Mode, Scaling

ACTIVE = pb.IsActiveResponse(result=True)
WITHHELD = entry(withheld="NotTrusted: not now")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def notices():
    return noticeboard(entry())


@pytest.fixture
async def server(notices, clock):
    async with serving(notices, clock=clock, max_streams=6) as started:
        yield started


@pytest.fixture
async def keda(server):
    async with asking(server) as stub:
        yield stub


class Listening:
    """Everything that came on a stream so far."""

    def __init__(self, call):
        self.call = call
        self.heard = []
        self.task = asyncio.create_task(self._listen())

    async def _listen(self):
        async for message in self.call:
            self.heard.append(message)

    async def count(self, number):
        await until(lambda: len(self.heard) >= number)
        return self.heard


@pytest.fixture
async def listen(keda, server):
    """Opens a stream and waits until the server has it."""
    opened = []

    async def open_stream(method="StreamIsActive", **asked):
        before = server.open_streams
        opened.append(Listening(getattr(keda, method)(reference(**asked))))
        await until(lambda: server.open_streams > before or opened[-1].task.done())
        return opened[-1]

    yield open_stream
    for stream in opened:
        stream.call.cancel()
        with contextlib.suppress(asyncio.CancelledError, aio.AioRpcError):
            await stream.task


async def looked(keda, server):
    """Returns when the streams have seen the newest board: one that is opened now is served after those that wait."""
    before = server.open_streams
    probe = keda.StreamMetricSpec(reference(metric="replicas"))
    await soon(probe.read())
    probe.cancel()
    await until(lambda: server.open_streams == before)


async def test_that_it_is_active_is_pushed_at_once(listen):
    assert await (await listen()).count(1) == [ACTIVE]


async def test_a_new_board_that_changes_nothing_pushes_nothing(listen, notices, keda, server):
    stream = await listen()
    await stream.count(1)

    for replicas in (700.0, 650.0):
        notices.show(board(entry(hint=decided(replicas), expire_time=NOW + 900)))
        await looked(keda, server)

    assert stream.heard == [ACTIVE]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(board(WITHHELD), id="withheld"),
        pytest.param(board(entry(hint=None)), id="no hint"),
        pytest.param(board(entry(expire_time=NOW)), id="expired"),
        pytest.param(Board(), id="restarted"),
    ],
)
async def test_nothing_is_pushed_when_a_hint_is_withheld_and_the_stream_stays(listen, notices, keda, server, shown):
    stream = await listen()
    await stream.count(1)

    notices.show(shown)
    await looked(keda, server)

    assert (stream.heard, stream.task.done()) == ([ACTIVE], False)


async def test_a_hint_that_is_offered_again_is_pushed(listen, notices, keda, server):
    stream = await listen()
    notices.show(board(WITHHELD))
    await looked(keda, server)

    notices.show(board(entry()))

    assert await stream.count(2) == [ACTIVE, ACTIVE]


async def test_a_hint_that_expired_while_streaming_is_pushed_again_with_the_next_forecast(listen, notices, clock):
    stream = await listen()
    await stream.count(1)
    clock.now = entry().expire_time

    notices.show(board(entry(issued_time=NOW + 600, expire_time=NOW + 1200)))

    assert await stream.count(2) == [ACTIVE, ACTIVE]


async def test_a_stream_may_be_opened_before_there_is_a_hint(listen, notices, keda, server):
    notices.show(Board())
    stream = await listen()
    await looked(keda, server)
    assert stream.heard == []

    notices.show(board(entry()))

    assert await stream.count(1) == [ACTIVE]


@pytest.mark.parametrize("method", ["StreamIsActive", "StreamMetricSpec"])
async def test_a_stream_for_a_name_that_nobody_knows_ends(keda, notices, method):
    stream = getattr(keda, method)(reference())
    await soon(stream.read())

    notices.show(board())

    assert (await refused(stream.read()))[0] is StatusCode.NOT_FOUND


async def test_a_board_that_another_thread_shows_is_heard_of(listen, notices, clock):
    stream = await listen()
    await stream.count(1)
    clock.now = entry().expire_time
    asyncio.get_running_loop().set_debug(True)  # refuses what other threads may not do

    await asyncio.to_thread(notices.show, board(entry(expire_time=NOW + 1200)))

    assert await stream.count(2) == [ACTIVE, ACTIVE]


async def test_the_target_is_pushed_at_once_and_whenever_it_has_changed(listen, notices, keda, server):
    stream = await listen("StreamMetricSpec")

    for per_replica, withheld in ((100.0, "NotTrusted: not now"), (93.0, ""), (93.0, "")):
        hint = decided(750.0, capacity=Capacity(per_replica, samples=9))
        notices.show(board(entry(scaling=Scaling(mode=Mode.ACTIVE), hint=hint, withheld=withheld)))
        await looked(keda, server)
    await stream.count(2)

    assert [answer.metricSpecs[0].targetSizeFloat for answer in stream.heard] == [100, 93]
    assert stream.heard[-1] == await soon(keda.GetMetricSpec(reference()))


async def test_the_target_of_a_hint_that_is_withheld_is_pushed_as_well(listen, notices):
    notices.show(board(WITHHELD))

    (answer,) = await (await listen("StreamMetricSpec")).count(1)

    assert answer.metricSpecs[0].targetSizeFloat == 100


async def test_a_target_that_is_yet_to_be_learned_is_waited_for(listen, notices, keda, server):
    unknown = entry(scaling=Scaling(mode=Mode.ACTIVE), hint=None)
    notices.show(board(unknown))
    stream = await listen("StreamMetricSpec")
    await looked(keda, server)
    assert stream.heard == []

    notices.show(board(entry()))

    assert (await stream.count(1))[0].metricSpecs[0].targetSizeFloat == 100


async def test_streams_end_well_with_the_server_and_at_once(listen, server):
    streams = [await listen("StreamIsActive"), await listen("StreamMetricSpec")]
    await streams[0].count(1)

    await soon(server.stop(grace_seconds=3600))

    for stream in streams:
        await soon(stream.task)
        assert await stream.call.code() is StatusCode.OK


async def test_more_streams_than_may_be_open_are_refused_and_polls_are_not(listen, keda, server):
    for _ in range(6):
        await listen()

    code, text = await refused(keda.StreamIsActive(reference()).read())

    assert (code, server.open_streams) == (StatusCode.RESOURCE_EXHAUSTED, 6)
    assert "6 streams are open" in text
    assert (await soon(keda.IsActive(reference()))).result


async def test_a_stream_that_its_client_leaves_makes_room(listen, server):
    streams = [await listen() for _ in range(6)]

    streams[0].call.cancel()
    await until(lambda: server.open_streams == 5)

    assert await (await listen()).count(1) == [ACTIVE]


async def test_all_streams_that_come_back_at_once_after_a_restart_are_served(notices):
    async with serving(notices) as server, asking(server) as keda:
        calls = [keda.StreamIsActive(reference()) for _ in range(2500)]

        assert [await soon(call.read()) for call in calls] == [ACTIVE] * len(calls)


async def test_a_board_that_is_shown_while_the_loop_ends_harms_nobody():
    notices, heard = Noticeboard(), []
    notices.listen(heard.append)

    def serve_and_leave():
        async def start():
            async with serving(notices):
                return notices._listeners

        return asyncio.run(start())

    for listener in await asyncio.to_thread(serve_and_leave):
        listener(board())

    assert len(heard) == 1
    assert len(notices._listeners) == 1
