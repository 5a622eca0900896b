import asyncio
import threading
from dataclasses import replace

import pytest
from grpc import aio

from builders.hints import NOW, decided, entry
from relaying.replicas import NAME, SOON, Replica, board, until
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Noticeboard, Unknown, Withheld
from tidecast_operator.relaying import encoding
from tidecast_operator.relaying import relay_pb2 as pb
from tidecast_operator.relaying.client import RelayClient
from tidecast_operator.relaying.pace import Pace
from tidecast_operator.relaying.relay_pb2_grpc import BoardsServicer, add_BoardsServicer_to_server


class Saying(BoardsServicer):
    """Sends some messages to whoever watches, and then is silent."""

    def __init__(self, *messages):
        self.messages = messages
        self.watched = 0

    async def Watch(self, _request, _context):  # noqa: N802 - gRPC's name
        self.watched += 1
        for message in self.messages:
            yield message
        await asyncio.Event().wait()


async def serve(network, servicer, host):
    server = aio.server()
    add_BoardsServicer_to_server(servicer, server)
    server.add_insecure_port(f"{host}:{network.port}")
    await server.start()
    network.stack.push_async_callback(server.stop, None)


async def test_every_follower_shows_what_the_leader_shows(network):
    leader, followers = Replica(leads=True), [Replica(), Replica()]
    await network.serve(leader, "127.0.0.1")
    for follower in followers:
        network.follow(follower)
    for time in (NOW, NOW + 60):
        leader.show(time)
        for follower in followers:
            await follower.has(time)
            assert follower.noticeboard.board.entries == leader.noticeboard.board.entries


async def test_a_follower_answers_as_the_leader_does(network):
    leader, follower = Replica(leads=True), Replica()
    await network.serve(leader, "127.0.0.1")
    network.follow(follower)
    hidden = entry(name="cart", withheld="not trusted: NoSkill")
    leader.noticeboard.show(board(NOW, entry(), hidden))
    await follower.has(NOW)
    theirs = follower.noticeboard.board
    assert theirs.offered("shop", "checkout", NOW) == leader.noticeboard.board.offered("shop", "checkout", NOW)
    with pytest.raises(Withheld, match="not trusted: NoSkill"):
        theirs.offered("shop", "cart", NOW)
    with pytest.raises(Unknown):
        theirs.offered("shop", "nobody", NOW)


async def test_those_who_do_not_lead_are_passed_over(network):
    network.addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]
    leader, follower = Replica(leads=True), Replica()
    await network.serve(Replica(), "127.0.0.1")
    await network.serve(leader, "127.0.0.3")
    network.follow(follower)
    leader.show()
    await follower.has(NOW)


async def test_all_addresses_are_asked_before_there_is_a_pause(network):
    network.addresses = [f"127.0.0.{host}" for host in range(1, 9)]
    leader, follower = Replica(leads=True), Replica()
    leader.show()
    for address in network.addresses[:-1]:
        await network.serve(Replica(), address)
    await network.serve(leader, network.addresses[-1])
    network.follow(follower, pace=Pace(first_pause_seconds=3600, longest_pause_seconds=3600))
    await follower.has(NOW)


async def test_followers_go_over_to_a_new_leader(network):
    network.addresses = ["127.0.0.1", "127.0.0.2"]
    old, new, follower = Replica(leads=True), Replica(), Replica()
    await network.serve(old, "127.0.0.1")
    await network.serve(new, "127.0.0.2")
    network.follow(follower)
    old.show(NOW)
    await follower.has(NOW)
    old.leads, new.leads = False, True
    new.show(NOW + 60)
    await follower.has(NOW + 60)
    old.show(NOW + 120)
    new.show(NOW + 180)
    await follower.has(NOW + 180)
    assert follower.shown == [NOW, NOW + 60, NOW + 180]


async def test_a_former_leader_keeps_its_board_until_the_new_one_has_a_newer(network):
    network.addresses = ["127.0.0.1", "127.0.0.2"]
    former, new = Replica(leads=True), Replica()
    await network.serve(former, "127.0.0.1")
    await network.serve(new, "127.0.0.2")
    network.follow(former)
    former.show(NOW)
    former.leads, new.leads = False, True
    new.show(NOW - 60)
    await former.keeps_on()
    assert former.shown == [NOW]
    new.show(NOW + 60)
    await former.has(NOW + 60)


async def test_a_server_that_was_started_anew_is_found_again(network):
    leader, follower = Replica(leads=True), Replica()
    first = await network.serve(leader, "127.0.0.1")
    network.follow(follower)
    leader.show(NOW)
    await follower.has(NOW)
    await first.stop()
    leader.show(NOW + 60)
    await network.serve(leader, "127.0.0.1")
    await follower.has(NOW + 60)


async def test_the_last_board_stays_when_the_leader_is_lost_and_expires_by_itself(network):
    leader, follower = Replica(leads=True), Replica()
    server = await network.serve(leader, "127.0.0.1")
    network.follow(follower)
    leader.show()
    await follower.has(NOW)
    await server.stop()
    await follower.keeps_on()
    last = follower.noticeboard.board
    assert last.offered("shop", "checkout", NOW + 539)
    with pytest.raises(Withheld, match="expired"):
        last.offered("shop", "checkout", NOW + 540)


async def test_who_leads_asks_nobody_and_shows_nothing(network):
    other, leader = Saying(), Replica(leads=True)
    await serve(network, other, "127.0.0.1")
    network.follow(leader)
    await leader.keeps_on()
    assert other.watched == 0


async def test_who_comes_to_lead_shows_nothing_of_the_other_any_more(network):
    other, replica = Replica(leads=True), Replica()
    server = await network.serve(other, "127.0.0.1")
    network.follow(replica)
    other.show(NOW)
    await replica.has(NOW)
    replica.leads = True
    other.show(NOW + 60)
    await until(lambda: not server._service._watchers)
    assert replica.shown == [NOW]


async def test_who_comes_to_lead_while_a_board_is_decoded_does_not_show_it(network, monkeypatch):
    other, replica = Replica(leads=True), Replica()

    def decode(data):
        replica.leads = True
        return original(data)

    original = encoding.decode
    monkeypatch.setattr(encoding, "decode", decode)
    server = await network.serve(other, "127.0.0.1")
    other.show()
    network.follow(replica)
    await until(lambda: replica.leads and not server._service._watchers)
    assert replica.shown == []


async def test_who_leads_no_more_follows_again(network):
    network.addresses = ["127.0.0.2"]
    replica, other = Replica(leads=True), Replica(leads=True)
    await network.serve(other, "127.0.0.2")
    network.follow(replica)
    other.show()
    await replica.keeps_on()
    assert replica.shown == []
    replica.leads = False
    await replica.has(NOW)


async def test_a_leader_that_has_fallen_silent_is_left(network):
    network.addresses = ["127.0.0.1", "127.0.0.2"]
    silent, follower = Saying(pb.BoardMessage(relay_version=encoding.RELAY_VERSION)), Replica()
    await serve(network, silent, "127.0.0.1")
    network.follow(follower, pace=replace(SOON, silence_seconds=0.1))
    await until(lambda: silent.watched == 1)
    leader = Replica(leads=True)
    await network.serve(leader, "127.0.0.2")
    leader.show()
    await follower.has(NOW)


async def test_an_address_where_nobody_answers_is_passed_over(network):
    network.addresses = ["127.0.0.1", "127.0.0.2"]
    leader, follower = Replica(leads=True), Replica()
    await serve(network, Saying(), "127.0.0.1")
    await network.serve(leader, "127.0.0.2")
    network.follow(follower, pace=replace(SOON, answer_seconds=0.5))
    leader.show()
    await follower.has(NOW)


@pytest.mark.parametrize(
    "message",
    [
        pb.BoardMessage(relay_version=7, board=encoding.encode(board(NOW + 60))),
        pb.BoardMessage(relay_version=encoding.RELAY_VERSION, board=b"no board"),
    ],
)
async def test_what_cannot_be_read_is_not_shown_and_the_next_is_asked(network, message):
    network.addresses = ["127.0.0.1", "127.0.0.2"]
    strange, leader, follower = Saying(message), Replica(leads=True), Replica()
    await serve(network, strange, "127.0.0.1")
    network.follow(follower)
    await until(lambda: strange.watched > 1)
    await network.serve(leader, "127.0.0.2")
    leader.show()
    await follower.has(NOW)
    assert follower.shown == [NOW]


async def test_a_board_of_no_cycle_is_not_shown(network):
    unknown = replace(board(NOW), is_known=False)
    message = pb.BoardMessage(relay_version=encoding.RELAY_VERSION, board=encoding.encode(unknown))
    known = pb.BoardMessage(relay_version=encoding.RELAY_VERSION, board=encoding.encode(board(NOW + 60)))
    follower = Replica()
    await serve(network, Saying(message, known), "127.0.0.1")
    network.follow(follower)
    await follower.has(NOW + 60)
    assert follower.shown == [NOW + 60]


async def test_the_name_is_looked_up_before_every_attempt(network):
    network.addresses = None
    leader, follower = Replica(leads=True), Replica()
    await network.serve(leader, "127.0.0.5")
    leader.show()
    network.follow(follower)
    await follower.keeps_on()
    assert follower.shown == []
    network.addresses = ["127.0.0.5"]
    await follower.has(NOW)


async def test_a_host_that_cannot_be_a_name_ends_nothing(network, monkeypatch):
    async def getaddrinfo(*_, **__):
        raise UnicodeError("label too long")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    follower = Replica()
    client = network.follow(follower)
    await follower.keeps_on()
    assert not client.done()


async def test_a_board_of_ten_thousand_entries_arrives_whole(network):
    hint = replace(decided(750.0), reason="p90 of 1080 requests/s by 10:07 UTC at 120 a replica (learned)" * 6)
    many = [entry(name=f"service-{i}", hint=hint) for i in range(10_000)]
    leader, follower = Replica(leads=True), Replica()
    await network.serve(leader, "127.0.0.1")
    network.follow(follower)
    leader.noticeboard.show(board(NOW, *many))
    await follower.has(NOW)
    assert len(encoding.encode(leader.noticeboard.board)) > 4 * 1024 * 1024
    assert follower.noticeboard.board.entries == leader.noticeboard.board.entries


async def test_a_board_is_decoded_off_the_event_loop(network, monkeypatch):
    threads = []

    def decode(data):
        threads.append(threading.get_ident())
        return original(data)

    original = encoding.decode
    monkeypatch.setattr(encoding, "decode", decode)
    leader, follower = Replica(leads=True), Replica()
    await network.serve(leader, "127.0.0.1")
    network.follow(follower)
    leader.show()
    await follower.has(NOW)
    assert threads
    assert threading.get_ident() not in threads


async def test_that_nobody_relays_is_told_once_until_somebody_does(network, caplog):
    follower = Replica()
    await network.serve(follower, "127.0.0.1")
    network.follow(follower)
    await follower.keeps_on(60)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert "FAILED_PRECONDITION: this replica does not lead" in told[0]


@pytest.mark.parametrize("target", [NAME, f"{NAME}:", ":8502", f"{NAME}:relay"])
def test_a_target_without_host_and_port_is_named_with_the_flag(target):
    with pytest.raises(Misconfigured, match="--relay-target"):
        RelayClient(target, Noticeboard(), leads=lambda: False)
