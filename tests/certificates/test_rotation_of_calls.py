"""
Real calls over loopback while certificates are rotated: two operators and a predictor see their folders late, each by
another time. TLS goes by the clock of the machine, so the simulated days end now.
"""

import time
from datetime import timedelta

import pytest

from builders.certificates import DAY, Rotation, empty_cluster, mount
from builders.engines import engine, serving
from tidecast_contract.rpc.tls import TlsFiles
from tidecast_operator import predictor_client
from tidecast_operator.certificates.authority import Periods
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.predictor_client import PredictorClient

PERIODS = Periods(authority=timedelta(days=30), certificate=timedelta(days=9))
HASTY = Periods(PERIODS.authority, PERIODS.certificate, propagation=timedelta(seconds=1))


class Installation:
    """
    Two operators that call a predictor, both on connections that stay and on new ones.
    """

    def __init__(self, folder, *, days, periods, seed):
        self.rotation = Rotation(empty_cluster(), time.time() - days * DAY - 3600, seed=seed, periods=periods)
        for number, pod in enumerate(self.rotation.pods):
            pod.folder = folder / f"{pod.secret}-{number}"
        self.files = [TlsFiles.in_folder(pod.folder) for pod in self.rotation.pods]
        self.rotation.run(600)
        self.calls = 0

    async def __aenter__(self):
        self._serving = serving(engine(), tls=self.files[2])
        self._port = (await self._serving.__aenter__()).port
        self._clients = [self._client(files) for files in self.files[:2]]
        return self

    async def __aexit__(self, *_):
        for client in self._clients:
            await client.close()
        await self._serving.__aexit__(None, None, None)

    def _client(self, files):
        return PredictorClient(f"localhost:{self._port}", timeout_seconds=10, tls=files)

    async def call(self):
        for client, files in zip(self._clients, self.files[:2], strict=True):
            await client.status()
            fresh = self._client(files)
            await fresh.status()
            await fresh.close()
            self.calls += 2

    async def run(self, seconds, tick_seconds=40.0):
        end = self.rotation.clock.now + seconds
        while self.rotation.clock.now < end:
            self.rotation.tick(tick_seconds)
            await self.call()

    def held(self, name):
        return [pod.seen[name] for pod in self.rotation.pods]


@pytest.fixture(autouse=True)
def once(monkeypatch):
    """Calls are not tried again: a handshake that fails is a failure."""
    monkeypatch.setattr(predictor_client, "ATTEMPTS", 1)


async def test_no_call_fails_while_a_certificate_is_renewed(tmp_path):
    installation = Installation(tmp_path, days=6, periods=PERIODS, seed=1)
    before = installation.held("tls.crt"), installation.held("ca.crt")
    installation.rotation.clock.now = time.time() - 5400
    async with installation:
        await installation.run(1200)

    assert not set(before[0]) & set(installation.held("tls.crt"))
    assert before[1] == installation.held("ca.crt")


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_call_fails_while_the_authority_is_renewed(tmp_path, seed):
    installation = Installation(tmp_path, days=20, periods=PERIODS, seed=seed)
    before = installation.held("ca.crt")
    installation.rotation.run(20 * DAY - 7200, tick_seconds=DAY / 4)
    installation.rotation.clock.now = time.time() - 5400
    installation.rotation.run(240)
    async with installation:
        await installation.run(2400)

    assert installation.calls > 200
    assert not set(before) & set(installation.held("ca.crt"))
    assert len(set(installation.held("ca.crt"))) == 1


async def test_calls_fail_where_an_authority_signs_before_all_believe_it(tmp_path):
    installation = Installation(tmp_path, days=20, periods=HASTY, seed=1)
    for pod in installation.rotation.pods:
        pod.longest_seconds = 400
    installation.rotation.run(20 * DAY - 7200, tick_seconds=DAY / 4)
    installation.rotation.clock.now = time.time() - 5400
    async with installation:
        with pytest.raises(PredictorUnavailable):
            await installation.run(2400)


def test_a_folder_is_replaced_all_at_once_as_kubelet_does(tmp_path):
    files = mount(tmp_path / "tls", {"tls.crt": b"a", "tls.key": b"a", "ca.crt": b"a"})
    mount(tmp_path / "tls", {"tls.crt": b"b", "tls.key": b"b", "ca.crt": b"b"})

    assert [path.read_bytes() for path in files.paths] == [b"b"] * 3
