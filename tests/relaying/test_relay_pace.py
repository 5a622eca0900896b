import random

import pytest

from tidecast_operator.relaying.addresses import is_name, resolve, split
from tidecast_operator.relaying.pace import Pace

PACE = Pace(first_pause_seconds=0.25, longest_pause_seconds=5.0)


def test_pauses_grow_from_the_first():
    pauses = [PACE.pause_seconds(failures) for failures in (1, 3, 5)]
    assert pauses == sorted(pauses)
    assert 0.18 < pauses[0] < 0.32


@pytest.mark.parametrize("failures", [6, 100, 10_000])
def test_no_pause_is_longer_than_the_longest_and_its_variation(failures):
    assert 3.7 < PACE.pause_seconds(failures) <= 6.25


def test_pauses_differ_between_replicas():
    random.seed(1)
    assert len({PACE.pause_seconds(4) for _ in range(10)}) == 10


@pytest.mark.parametrize(
    ("text", "parts"),
    [("relay:8502", ("relay", 8502)), ("[::1]:8502", ("::1", 8502)), ("127.0.0.1:1", ("127.0.0.1", 1))],
)
def test_host_and_port_are_told_apart(text, parts):
    assert split("--relay-target", text) == parts


@pytest.mark.parametrize(("host", "expected"), [("relay", True), ("127.0.0.1", False), ("::1", False)])
def test_a_name_is_told_from_an_address(host, expected):
    assert is_name(host) == expected


@pytest.mark.parametrize(("host", "written"), [("127.0.0.1", "ipv4:127.0.0.1:8502"), ("::1", "ipv6:[::1]:8502")])
async def test_an_address_is_written_as_grpc_reads_it(host, written):
    assert await resolve(host, 8502) == (written,)
