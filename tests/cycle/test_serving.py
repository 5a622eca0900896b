"""
Which flags fit together, and what runs for them.
"""

import argparse
import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import grpc
import pytest

from builders.hints import NOW, entry
from builders.waiting import eventually
from tidecast_operator import serving
from tidecast_operator.certificates import signing
from tidecast_operator.cli import _parser
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import ExternalScalerStub


class NoCluster:
    """Has no ConfigMaps."""

    def read_config_map(self, *_):
        return None


def made(*flags, noticeboard=None, leads=False):
    parser = argparse.ArgumentParser()
    serving.add_flags(parser)
    return serving.Serving(parser.parse_args(flags), noticeboard or Noticeboard(), NoCluster(), leads=lambda: leads)


def test_every_outlet_is_off_until_asked_for():
    assert not made().is_wanted


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
        made(*flags)

    assert caught.value.field == named


@pytest.mark.parametrize(
    ("flags", "named"), [([], "--relay-target"), (["--relay-target=127.0.0.1:8502"], "--metrics-api-address")]
)
def test_a_process_that_only_serves_needs_somebody_to_follow_and_something_to_serve(flags, named, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], "
        "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {}}]}"
    )
    options = _parser().parse_args(["serve", f"--kubeconfig={kubeconfig}", "--http-address=127.0.0.1:0", *flags])

    with pytest.raises(Misconfigured) as caught:
        options.command(options)

    assert caught.value.field == named


async def test_a_follower_answers_keda_with_what_the_leader_told(unused_tcp_port_factory):
    relay, keda = unused_tcp_port_factory(), unused_tcp_port_factory()
    told = Noticeboard()
    told.show(Board(NOW, {("shop", "checkout"): entry(expire_time=2**31)}, is_known=True))
    leader = made(f"--relay-address=127.0.0.1:{relay}", noticeboard=told, leads=True)
    follower = made(f"--relay-target=127.0.0.1:{relay}", f"--keda-address=127.0.0.1:{keda}")
    running = [asyncio.create_task(one.run()) for one in (leader, follower)]

    try:
        assert await _replicas(keda) == 8.0
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _replicas(port):
    reference = pb.ScaledObjectRef(name="checkout", namespace="shop", scalerMetadata={"metric": "replicas"})
    asked = pb.GetMetricsRequest(scaledObjectRef=reference, metricName="tidecast-replicas")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(20):
        while True:
            with suppress(grpc.aio.AioRpcError):
                answer = await ExternalScalerStub(channel).GetMetrics(asked, wait_for_ready=True)
                return answer.metricValues[0].metricValueFloat
            await asyncio.sleep(0.1)


async def _says(caplog, text):
    await asyncio.to_thread(eventually, lambda: text in caplog.text)


async def test_a_port_whose_certificate_is_not_there_yet_opens_when_it_is_and_keeps_nobody_waiting(tmp_path, caplog):
    files = {name: tmp_path / name for name in ("certificate", "key")}
    flags = [f"--keda-tls-{name}={path}" for name, path in files.items()]
    serves = made(
        "--keda-address=127.0.0.1:0",
        *flags,
        "--metrics-api-address=127.0.0.1:0",
        f"--metrics-api-tls-folder={tmp_path}",
    )
    caplog.set_level("INFO")

    running = asyncio.create_task(serves.run())
    try:
        await _says(caplog, "no certificate yet")
        assert "metrics API on port" in caplog.text
        assert "KEDA on port" not in caplog.text
        now = datetime.now(UTC)
        made_here = signing.issue(signing.new_authority(now), ["localhost"], now)
        files["key"].write_bytes(made_here.key)
        files["certificate"].write_bytes(made_here.certificate)
        await _says(caplog, "KEDA on port")
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
