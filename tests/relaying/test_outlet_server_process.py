"""
The process that only answers, started with exactly the arguments that the chart gives it.
"""

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import grpc
import pytest

from builders.hints import NOW, decided, entry
from builders.serving import Probed, comes_true, running, served
from chart.rendering import container, objects
from tidecast_operator.certificates import signing
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import ExternalScalerStub
from tidecast_simulator.testbed.node.rewriting import Rewriting
from tidecast_simulator.testbed.process import Process, free_port

VALUES = {"outletServer": {"enabled": True}, "keda": {"enabled": True, "tls": {"enabled": True}}}
NEVER = 2**31
FOLDER = "/etc/tidecast/tls"


class Running:
    """
    The process, and the leading replica that it is to find; the certificate names `localhost` for the Service.

    Attributes:
        keda: Where KEDA would ask.
        log: What the process writes.
        noticeboard: The leading replica's.
    """

    def __init__(self, folder):
        self.keda, self._relay, self._probed = free_port(), free_port(), Probed()
        self.log, self.noticeboard = folder / "log", Noticeboard()
        self._folder, self._authority = folder / "tls", signing.new_authority(datetime.now(UTC))
        self._folder.mkdir()
        self._process, self._time = None, NOW

    def issue(self):
        issued = signing.issue(self._authority, ["localhost"], datetime.now(UTC))
        for name, content in (("tls.crt", issued.certificate), ("tls.key", issued.key)):
            (self._folder / name).write_bytes(content)
        (self._folder / "ca.crt").write_bytes(self._authority.certificate)

    def start(self):
        here = Rewriting(
            folders={FOLDER: str(self._folder)},
            ports={8080: int(self._probed.address.rpartition(":")[2]), 8600: self.keda},
            own_hosts=frozenset(),
            resolve=lambda host, port: f"localhost:{self._relay}" if "relay" in host and port == 8502 else None,
        )
        told = [
            here.argument(one) for one in container(objects(VALUES), "tidecast-outlet-server/outlet-server")["args"]
        ]
        # No kubeconfig and no service account: with KEDA alone it needs neither.
        nowhere = {"HOME": str(self._folder), "KUBECONFIG": "", "KUBERNETES_SERVICE_HOST": ""}
        command = [sys.executable, "-m", "tidecast_operator", *told]
        self._process = Process.start(command, log=self.log, environment=nowhere)

    def stop(self):
        if self._process is not None:
            self._process.stop(timeout_seconds=60)

    async def says(self, path, code, text=""):
        await comes_true(lambda: self._probed.answers(path, code, text))

    @asynccontextmanager
    async def led(self):
        """As long as somebody leads."""
        files = {"certificate": "tls.crt", "key": "tls.key", "authority": "ca.crt"}
        flags = [f"--relay-tls-{name}={self._folder / file}" for name, file in files.items()]
        leader = served(f"--relay-address=127.0.0.1:{self._relay}", *flags, noticeboard=self.noticeboard, leads=True)
        async with running(leader):
            yield

    def show(self, **changes):
        self._time += 60
        self.noticeboard.show(Board(self._time, {("shop", "checkout"): entry(**changes)}, is_known=True))

    async def answers(self, expected):
        """Returns when that is what KEDA is answered: a number, or what a reason not to give one has in it."""
        reference = pb.ScaledObjectRef(name="checkout", namespace="shop", scalerMetadata={"metric": "replicas"})
        asked = pb.GetMetricsRequest(scaledObjectRef=reference, metricName="tidecast-replicas")
        credentials = grpc.ssl_channel_credentials(self._authority.certificate)
        async with grpc.aio.secure_channel(f"localhost:{self.keda}", credentials) as channel, asyncio.timeout(60):
            while True:
                try:
                    answer = await ExternalScalerStub(channel).GetMetrics(asked, wait_for_ready=True)
                    is_expected = answer.metricValues[0].metricValueFloat == expected
                except grpc.aio.AioRpcError as error:
                    is_expected = str(expected) in (error.details() or "")
                if is_expected:
                    return
                await asyncio.sleep(0.1)


CUT_OFF, CONNECTED = "\ntidecast_relay_connected 0.0\n", "\ntidecast_relay_connected 1.0\n"


@pytest.fixture
def here(tmp_path):
    made = Running(tmp_path)
    yield made
    made.stop()


async def test_it_is_ready_as_soon_as_its_certificate_is_there_whether_anybody_leads_or_not(here):
    here.start()
    await here.says("/readyz", 503, "KEDA: ")
    await here.says("/healthz", 200)
    here.issue()
    await here.says("/readyz", 200)

    await here.answers("no cycle has completed")


async def test_it_tells_whether_it_hears_the_leader_and_that_what_it_shows_has_an_age(here):
    here.issue()
    here.start()
    await here.says("/metrics", 200, CUT_OFF)
    async with here.led():
        await here.says("/metrics", 200, CONNECTED)
        here.show(expire_time=NEVER)
        await here.says("/metrics", 200, "\ntidecast_board_age_seconds ")

    await here.says("/metrics", 200, CUT_OFF)
    await here.says("/metrics", 200, "\ntidecast_board_age_seconds ")


async def test_it_answers_what_the_leader_tells_and_when_that_is_gone_what_it_knew_until_the_hint_expires(here):
    here.issue()
    here.start()
    async with here.led():
        here.show(expire_time=NEVER, withheld="not wanted yet")
        await here.answers("not wanted yet")
        here.show(expire_time=NEVER)
        await here.answers(8.0)
    await comes_true(lambda: "no longer following" in here.log.read_text())

    await here.answers(8.0)
    await here.says("/readyz", 200)
    async with here.led():
        here.show(expire_time=int(time.time()) + 5, hint=decided(1500.0))
        await comes_true(lambda: here.log.read_text().count("client following") == 2)
    await here.answers("the forecast has expired")
