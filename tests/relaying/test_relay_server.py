import asyncio
import threading

import pytest
from grpc import StatusCode, aio

from builders.hints import NOW
from relaying.replicas import SOON, Replica, board, until
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.relaying import encoding
from tidecast_operator.relaying import relay_pb2 as pb
from tidecast_operator.relaying.pace import Pace
from tidecast_operator.relaying.relay_pb2_grpc import BoardsStub
from tidecast_operator.relaying.server import BoardsService, RelayServer

WATCH = pb.WatchRequest(relay_version=encoding.RELAY_VERSION)


def service(replica):
    return BoardsService(replica.noticeboard, leads=replica.is_leader, pace=SOON)


def watched(server, request=WATCH):
    """A stream from *server*, without a client's understanding of it."""
    return BoardsStub(aio.insecure_channel(f"127.0.0.1:{server.port}")).Watch(request)


async def next_board(messages):
    """Reads on until a board comes, past the signs of life; its time."""
    async with asyncio.timeout(20):
        while True:
            message = await anext(messages)
            if message.HasField("board"):
                return encoding.decode(message.board).time


async def refusal_of(call):
    async with asyncio.timeout(20):
        return await call.code(), await call.details()


async def test_a_replica_that_does_not_lead_says_so_at_once(network):
    server = await network.serve(Replica(), "127.0.0.1")
    code, details = await refusal_of(watched(server))
    assert code is StatusCode.FAILED_PRECONDITION
    assert "does not lead" in details


async def test_another_version_is_refused_with_both_named(network):
    server = await network.serve(Replica(leads=True), "127.0.0.1")
    code, details = await refusal_of(watched(server, pb.WatchRequest(relay_version=7)))
    assert code is StatusCode.FAILED_PRECONDITION
    assert "relay version 7 is not 1" in details


async def test_a_stream_ends_when_the_replica_leads_no_more(network):
    leader = Replica(leads=True)
    leader.show()
    call = watched(await network.serve(leader, "127.0.0.1"))
    await next_board(aiter(call))
    leader.leads = False
    assert (await refusal_of(call))[0] is StatusCode.FAILED_PRECONDITION


async def test_whoever_comes_gets_the_newest_board_at_once():
    leader = Replica(leads=True)
    leader.show(NOW)
    leader.show(NOW + 60)
    assert (await anext(service(leader).Watch(WATCH, None))).HasField("board")
    assert await next_board(service(leader).Watch(WATCH, None)) == NOW + 60


async def test_whoever_reads_slowly_gets_the_newest_board_and_none_between():
    leader = Replica(leads=True)
    leader.show(NOW)
    messages = service(leader).Watch(WATCH, None)
    assert await next_board(messages) == NOW
    for minute in range(1, 6):
        leader.show(NOW + 60 * minute)
    assert await next_board(messages) == NOW + 300


async def test_a_board_is_sent_once_and_then_only_signs_of_life():
    leader = Replica(leads=True)
    leader.show()
    messages = service(leader).Watch(WATCH, None)
    sent = [(await anext(messages)).HasField("board") for _ in range(4)]
    assert sent == [True, False, False, False]


async def test_before_the_first_cycle_there_are_only_signs_of_life():
    messages = service(Replica(leads=True)).Watch(WATCH, None)
    assert not any([(await anext(messages)).HasField("board") for _ in range(3)])


async def test_a_new_board_is_sent_without_waiting_for_the_next_sign_of_life(network):
    leader = Replica(leads=True)
    leader.show(NOW)
    messages = aiter(watched(await network.serve(leader, "127.0.0.1", pace=Pace(heartbeat_seconds=3600))))
    assert await next_board(messages) == NOW
    await asyncio.to_thread(leader.show, NOW + 60)
    assert await next_board(messages) == NOW + 60


async def test_a_board_is_encoded_once_for_all_and_off_the_event_loop(monkeypatch):
    threads = []

    def encode(board):
        threads.append(threading.get_ident())
        return original(board)

    original = encoding.encode
    monkeypatch.setattr(encoding, "encode", encode)
    leader = Replica(leads=True)
    leader.show()
    shared = service(leader)
    watching = [shared.Watch(WATCH, None) for _ in range(3)]
    assert await asyncio.gather(*map(next_board, watching)) == [NOW] * 3
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_one_who_leaves_during_the_encoding_takes_nothing_from_the_others(monkeypatch):
    may_go_on = threading.Event()

    def encode(board):
        may_go_on.wait()
        return original(board)

    original = encoding.encode
    monkeypatch.setattr(encoding, "encode", encode)
    leader = Replica(leads=True)
    leader.show()
    shared = service(leader)
    leaving, staying = [asyncio.create_task(next_board(shared.Watch(WATCH, None))) for _ in range(2)]
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    may_go_on.set()
    assert await staying == NOW


async def test_whoever_left_is_forgotten(network):
    leader = Replica(leads=True)
    leader.show()
    server = await network.serve(leader, "127.0.0.1")
    call = watched(server)
    await next_board(aiter(call))
    assert server._service._watchers
    call.cancel()
    await until(lambda: not server._service._watchers and not server._service._encoding)


async def test_no_more_may_watch_than_there_are_places_for(network, monkeypatch):
    monkeypatch.setattr("tidecast_operator.relaying.server.MAX_WATCHERS", 1)
    leader = Replica(leads=True)
    server = await network.serve(leader, "127.0.0.1")
    first = watched(server)
    await first.read()
    assert (await refusal_of(watched(server)))[0] is StatusCode.RESOURCE_EXHAUSTED
    first.cancel()


async def test_a_server_that_stops_ends_its_streams(network):
    leader = Replica(leads=True)
    leader.show()
    server = await network.serve(leader, "127.0.0.1")
    call = watched(server)
    await next_board(aiter(call))
    await server.stop()
    assert (await refusal_of(call))[0] is not StatusCode.OK


async def test_a_port_that_is_taken_is_named_with_the_flag(network):
    await network.serve(Replica(), "127.0.0.1")
    with pytest.raises(Misconfigured, match="--relay-address"):
        await RelayServer(Noticeboard(), f"127.0.0.1:{network.port}", leads=lambda: True).start()


async def test_a_server_that_has_stopped_is_told_of_no_more_boards(network):
    leader = Replica(leads=True)
    server = await network.serve(leader, "127.0.0.1")
    watcher = asyncio.Event()
    server._service._watchers.add(watcher)
    leader.noticeboard.show(board())
    await asyncio.wait_for(watcher.wait(), 20)
    watcher.clear()
    await server.stop()
    leader.noticeboard.show(board(NOW + 60))
    await asyncio.sleep(0)
    assert not watcher.is_set()
