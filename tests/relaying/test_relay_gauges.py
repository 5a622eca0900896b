"""
What a replica tells Prometheus of the board that it shows, and of the leader.
"""

import sys
from types import SimpleNamespace

import pytest

from builders.gauges import Clock, series
from builders.hints import NOW
from builders.kubeconfigs import unreachable
from builders.serving import Probed
from builders.waiting import eventually
from relaying.replicas import Replica, board, until
from relaying.test_clocks import Beating, said
from relaying.test_relay_client import serve
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.relaying.gauges import RelayGauges
from tidecast_simulator.testbed.process import Process

AGE, CONNECTED = "tidecast_board_age_seconds", "tidecast_relay_connected"


def told(*boards, client=None, leads=False, now=NOW):
    """What is told when these boards were shown, by name."""
    noticeboard = Noticeboard()
    for one in boards:
        noticeboard.show(one)
    gauges = RelayGauges(noticeboard, client, leads=lambda: leads, clock=Clock(now))
    return {name: value for (name, *_), value in series(gauges.exposition()).items()}


def client(*, is_connected):
    return SimpleNamespace(is_connected=is_connected)


def of(replica, client):
    """What a replica of a network tells at this moment."""
    gauges = RelayGauges(replica.noticeboard, client, leads=replica.is_leader)
    return {name: value for (name, *_), value in series(gauges.exposition()).items()}


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_follower_tells_how_old_its_board_is_and_whether_it_hears_the_leader(is_connected):
    found = told(board(NOW - 60), client=client(is_connected=is_connected))

    assert found == {AGE: 60.0, CONNECTED: float(is_connected)}


def test_a_board_ages_until_there_is_another():
    noticeboard, clock = Noticeboard(), Clock(NOW)
    gauges = RelayGauges(noticeboard, client(is_connected=False), leads=lambda: False, clock=clock)
    noticeboard.show(board(NOW))
    clock.now += 600
    assert series(gauges.exposition())[AGE,] == 600
    noticeboard.show(board(NOW + 590))

    assert series(gauges.exposition())[AGE,] == 10


def test_a_follower_that_never_heard_of_a_cycle_has_no_age():
    assert told(client=client(is_connected=False)) == {CONNECTED: 0.0}
    assert told(Board(NOW, {}, is_known=False), client=client(is_connected=True)) == {CONNECTED: 1.0}


@pytest.mark.parametrize("follows", [client(is_connected=False), None], ids=["with a relay", "without"])
def test_the_leader_tells_the_age_alone(follows):
    assert told(board(NOW - 60), client=follows, leads=True) == {AGE: 60.0}


def test_who_neither_leads_nor_follows_tells_nothing_of_what_it_once_knew():
    assert told(board(NOW - 60)) == {}


def test_a_board_from_the_future_is_new():
    assert told(board(NOW + 5), leads=True) == {AGE: 0.0}


async def test_the_leader_is_heard_as_long_as_it_gives_signs_of_life(network):
    leader, follower = Replica(leads=True), Replica()
    server = await network.serve(leader, "127.0.0.1")
    relayed = network.client(follower)
    network.run(relayed)
    assert of(follower, relayed) == {CONNECTED: 0.0}
    await until(lambda: of(follower, relayed) == {CONNECTED: 1.0})
    await server.stop()

    await until(lambda: of(follower, relayed) == {CONNECTED: 0.0})


async def test_who_comes_to_lead_hears_nobody_any_more(network):
    other, replica = Replica(leads=True), Replica()
    await network.serve(other, "127.0.0.1")
    relayed = network.client(replica)
    network.run(relayed)
    await until(lambda: CONNECTED in of(replica, relayed) and relayed.is_connected)
    replica.leads = True

    await until(lambda: not relayed.is_connected)
    assert of(replica, relayed) == {}


async def test_the_age_is_by_the_own_clock_whatever_that_of_the_leader_says(network):
    follower = Replica()
    message, _ = said(300, age=60)
    await serve(network, Beating(message), "127.0.0.1")
    relayed = network.client(follower)
    network.run(relayed)
    await until(lambda: follower.shown)

    assert 55 < of(follower, relayed)[AGE] < 180


def test_an_operator_that_does_not_lead_tells_it_beside_its_own(tmp_path):
    """Its API server is away, and so is everybody else."""
    probed = Probed()
    flags = [unreachable(tmp_path), f"--http-address={probed.address}", "--relay-target=127.0.0.1:9"]
    process = Process.start([sys.executable, "-m", "tidecast_operator", "run", *flags], log=tmp_path / "log")
    try:
        eventually(lambda: probed.answers("/metrics", 200, f"\n{CONNECTED} 0.0\n"), 90)
        assert probed.answers("/metrics", 200, "\ntidecast_leader 0.0\n")
    finally:
        process.stop(timeout_seconds=60)
