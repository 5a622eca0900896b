import asyncio
import time
from dataclasses import replace

from builders.hints import entry
from relaying.replicas import Replica, board
from relaying.test_relay_client import Saying, serve
from tidecast_operator.relaying import encoding
from tidecast_operator.relaying import relay_pb2 as pb


def said(ahead, age=0, **extra):
    now = int(time.time())
    shown = board(
        now - age + ahead, replace(entry(), issued_time=now - age + ahead, expire_time=now - age + ahead + 600)
    )
    data = encoding.encode(shown)
    return pb.BoardMessage(
        relay_version=encoding.RELAY_VERSION, board=data, sent_time=time.time() + ahead, **extra
    ), now


class Beating(Saying):
    async def Watch(self, _request, _context):  # noqa: N802
        for message in self.messages:
            yield message
        while True:
            yield pb.BoardMessage(relay_version=encoding.RELAY_VERSION)
            await asyncio.sleep(0.02)


async def test_times_are_told_by_the_own_clock_and_a_leader_that_was_ahead_mutes_nobody(network):
    follower = Replica()
    first, now = said(300, age=60)
    second, _ = said(0)
    await serve(network, Beating(first), "127.0.0.1")
    await serve(network, Saying(second), "127.0.0.2")
    network.follow(follower)
    await follower.has(now - 60)
    (one,) = follower.noticeboard.board.entries.values()
    assert abs(one.expire_time - (now - 60 + 600)) <= 1
    network.addresses[:] = ["127.0.0.2"]
    follower.leads = True
    await asyncio.sleep(0.3)
    follower.leads = False
    await follower.has(now)
