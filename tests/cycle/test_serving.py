"""
Which flags fit together, and what runs for them.
"""

import asyncio
import socket
from contextlib import suppress

import grpc
import pytest

from builders.hints import NOW, entry
from builders.kubeconfigs import unreachable
from builders.serving import running, served
from tidecast_operator.cli import _parser
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.listening import address_of
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import ExternalScalerStub


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:\u0668"])
def test_an_address_that_is_none_is_named_with_the_remedy(text):
    with pytest.raises(Misconfigured, match=r"--http-address: .* is not host and port; write it as in"):
        address_of("--http-address", text)


def test_an_address_without_a_host_is_every_one_of_this_host():
    assert address_of("--http-address", ":65535") == ("0.0.0.0", 65535)  # noqa: S104 - as it is asked for


@pytest.mark.parametrize("outlet", ["keda", "metrics-api", "relay"])
async def test_a_port_that_is_taken_ends_the_process_with_the_flag_and_a_remedy(tmp_path, outlet):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flags = [f"--{outlet}-address=127.0.0.1:{taken.getsockname()[1]}", f"--metrics-api-tls-folder={tmp_path}"]
        with pytest.raises(
            Misconfigured, match=f"--{outlet}-address: cannot listen on .*; write host and port that are free"
        ):
            await served(*flags).run()


def test_every_outlet_is_off_until_asked_for():
    assert not served().is_wanted


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--metrics-api-address=127.0.0.1:0"], "--metrics-api-tls-folder"),
        (["--metrics-api-address=127.0.0.1", "--metrics-api-tls-folder=/tmp"], "--metrics-api-address"),
        (
            [
                "--metrics-api-address=127.0.0.1:0",
                "--metrics-api-tls-folder=/tmp",
                "--metrics-api-own-certificate=metrics",
            ],
            "--metrics-api-own-certificate",
        ),
        (["--keda-address=127.0.0.1:0", "--keda-tls-key=key"], "--keda-tls-certificate"),
        (["--keda-address=127.0.0.1:0", "--keda-tls-certificate=crt"], "--keda-tls-key"),
        (
            ["--relay-address=127.0.0.1:0", "--relay-tls-certificate=crt", "--relay-tls-key=key"],
            "--relay-tls-authority",
        ),
        (["--relay-target=relay"], "--relay-target"),
    ],
)
def test_flags_that_do_not_fit_together_are_named(flags, named):
    with pytest.raises(Misconfigured) as caught:
        served(*flags)

    assert caught.value.field == named


@pytest.mark.parametrize(
    ("flags", "named"), [([], "--relay-target"), (["--relay-target=127.0.0.1:8502"], "--metrics-api-address")]
)
def test_a_process_that_only_serves_needs_somebody_to_follow_and_something_to_serve(flags, named, tmp_path):
    options = _parser().parse_args(["serve", unreachable(tmp_path), "--http-address=127.0.0.1:0", *flags])

    with pytest.raises(Misconfigured) as caught:
        options.command(options)

    assert caught.value.field == named


async def test_a_follower_answers_keda_with_what_the_leader_told(unused_tcp_port_factory):
    relay, keda = unused_tcp_port_factory(), unused_tcp_port_factory()
    told = Noticeboard()
    told.show(Board(NOW, {("shop", "checkout"): entry(expire_time=2**31)}, is_known=True))
    leader = served(f"--relay-address=127.0.0.1:{relay}", noticeboard=told, leads=True)
    follower = served(f"--relay-target=127.0.0.1:{relay}", f"--keda-address=127.0.0.1:{keda}")

    async with running(leader, follower):
        assert await _replicas(keda) == 8.0


async def _replicas(port):
    reference = pb.ScaledObjectRef(name="checkout", namespace="shop", scalerMetadata={"metric": "replicas"})
    asked = pb.GetMetricsRequest(scaledObjectRef=reference, metricName="tidecast-replicas")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(20):
        while True:
            with suppress(grpc.aio.AioRpcError):
                answer = await ExternalScalerStub(channel).GetMetrics(asked, wait_for_ready=True)
                return answer.metricValues[0].metricValueFloat
            await asyncio.sleep(0.1)
