import asyncio
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from grpc import aio

from builders.certificates import mount
from builders.engines import FakeForecaster, engine, server, serving
from builders.snapshots import snapshot
from tidecast_contract.rpc import tidecast_pb2 as pb
from tidecast_contract.rpc.tidecast_pb2_grpc import TrainingStub
from tidecast_contract.rpc.tls import TlsFiles, TlsReader
from tidecast_operator import predictor_client
from tidecast_operator.certificates import signing
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.predictor_client import PredictorClient
from tidecast_predictor import cli, secure_port

NAME = "localhost"
EMPTY = {"tls.crt": b"", "tls.key": b"", "ca.crt": b""}
"""A Secret that is to be filled by somebody, as kubelet mounts it."""


@pytest.fixture(autouse=True)
def once(monkeypatch):
    """Who is refused is not told so again and again."""
    monkeypatch.setattr(predictor_client, "ATTEMPTS", 1)


class Identities:
    """Folders with certificates of one authority."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.authority = signing.new_authority(datetime.now(UTC))

    def data(self, name=NAME, *, age=timedelta(0), believes=None):
        issued = signing.issue(self.authority, [name], datetime.now(UTC) - age, timedelta(days=1))
        believed = (believes or self).authority.certificate
        return {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": believed}

    def files(self, folder, name=NAME, **changes):
        return mount(self.folder / folder, self.data(name, **changes))


@pytest.fixture
def ours(tmp_path):
    return Identities(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path):
    return Identities(tmp_path / "theirs")


async def told(client):
    """What it is told if it is not answered."""
    try:
        await client.status()
    except PredictorUnavailable as error:
        return str(error)
    return ""


async def answered(port, tls, *, host=NAME, seconds=20.0, **more):
    """Whether a client with these files is answered; what it is told if not."""
    client = PredictorClient(f"{host}:{port}", timeout_seconds=seconds, tls=tls, **more)
    try:
        return await told(client)
    finally:
        await client.close()


async def test_a_client_of_the_same_authority_is_answered(ours):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        assert await answered(predictor.port, ours.files("client")) == ""


async def test_a_client_without_tls_is_refused(ours):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        assert "UNAVAILABLE" in await answered(predictor.port, None)


async def test_a_client_without_a_certificate_is_refused(ours):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        believes = grpc.ssl_channel_credentials(ours.authority.certificate)
        async with aio.secure_channel(f"{NAME}:{predictor.port}", believes) as channel:
            with pytest.raises(aio.AioRpcError, match="UNAVAILABLE"):
                await TrainingStub(channel).Status(pb.StatusRequest(contract_version=2))


async def test_a_client_with_a_certificate_of_another_authority_is_refused(ours, theirs):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        foreign = theirs.files("client", believes=ours)
        assert "UNAVAILABLE" in await answered(predictor.port, foreign)


async def test_a_client_with_a_certificate_that_has_expired_is_refused(ours):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        expired = ours.files("client", age=timedelta(days=2))
        assert "UNAVAILABLE" in await answered(predictor.port, expired)


async def test_a_predictor_of_another_authority_is_not_believed(ours, theirs):
    async with serving(engine(), tls=theirs.files("server", believes=ours)) as predictor:
        assert "CERTIFICATE_VERIFY_FAILED" in await answered(predictor.port, ours.files("client"))


async def test_a_predictor_whose_certificate_has_expired_is_not_believed(ours):
    async with serving(engine(), tls=ours.files("server", age=timedelta(days=2))) as predictor:
        assert "CERTIFICATE_VERIFY_FAILED" in await answered(predictor.port, ours.files("client"))


@pytest.mark.parametrize(("name", "host"), [("somebody-else", NAME), (NAME, "127.0.0.1")])
async def test_a_predictor_with_a_certificate_for_another_name_is_not_believed(ours, name, host):
    async with serving(engine(), tls=ours.files("server", name)) as predictor:
        told = await answered(predictor.port, ours.files("client"), host=host)
        assert "UNAVAILABLE" in told
        assert "verif" in told.lower()


async def test_an_address_that_the_certificate_is_for_is_believed(ours):
    async with serving(engine(), tls=ours.files("server", "127.0.0.1")) as predictor:
        assert await answered(predictor.port, ours.files("client"), host="127.0.0.1") == ""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("tls.key"),
        lambda data: data.update({"ca.crt": b"none"}),
        lambda data: data.update(EMPTY),
        lambda data: data.update({"ca.crt": b""}),
    ],
    ids=["a file is missing", "no authority", "empty files", "an empty authority"],
)
async def test_files_that_cannot_be_used_yet_are_named_and_looked_at_again(ours, spoil):
    data = ours.data()
    spoil(data)
    async with serving(engine(), tls=ours.files("server")) as predictor:
        files = mount(ours.folder / "client", data)
        client = PredictorClient(f"{NAME}:{predictor.port}", timeout_seconds=20, tls=files)
        with pytest.raises(PredictorUnavailable, match=r"the certificate for it cannot be used: .*(tls\.key|ca\.crt)"):
            await client.status()
        mount(ours.folder / "client", ours.data())
        await client.status()
        await client.close()


async def test_a_new_certificate_gets_a_new_connection_and_calls_under_way_end_on_the_old_one(ours, monkeypatch):
    slow = FakeForecaster(is_blocked=True)
    async with serving(engine(forecaster=slow), tls=ours.files("server")) as predictor:
        files = ours.files("client")
        client = PredictorClient(f"{NAME}:{predictor.port}", timeout_seconds=20, tls=files)
        opened, open_channel = [], aio.secure_channel
        monkeypatch.setattr(aio, "secure_channel", lambda *a, **k: opened.append(a) or open_channel(*a, **k))
        asked = asyncio.create_task(client.forecast(snapshot(), 4))
        while not slow.asked:  # noqa: ASYNC110 - a double in another thread, which knows no events of this loop
            await asyncio.sleep(0.01)
        ours.files("client")
        for _ in range(3):
            await client.status()
        assert (len(opened), len(client._open)) == (2, 2)
        assert not asked.done()
        slow.may_answer.set()
        assert (await asked).horizon_steps == 4
        await client.status()
        assert len(client._open) == 1
        await client.close()


async def test_a_client_goes_on_with_what_it_had_while_its_files_cannot_be_used(ours, caplog):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        client = PredictorClient(f"{NAME}:{predictor.port}", timeout_seconds=20, tls=ours.files("client"))
        await client.status()
        mount(ours.folder / "client", EMPTY)
        await client.status()
        await client.close()
    assert "the old certificate stays" in caplog.text


async def test_a_closed_client_opens_nothing_anew(ours):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        client = PredictorClient(f"{NAME}:{predictor.port}", timeout_seconds=20, tls=ours.files("client"))
        await client.close()
        with pytest.raises(PredictorUnavailable, match="was closed"):
            await client.status()


@pytest.mark.parametrize("read", ["read", "newer"], ids=["first", "renewed"])
async def test_a_client_that_is_closed_while_its_files_are_read_opens_nothing(ours, monkeypatch, read):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        client = PredictorClient(f"{NAME}:{predictor.port}", timeout_seconds=20, tls=ours.files("client"))
        if read == "newer":
            await client.status()
            ours.files("client")
        is_reading, may_end, read_files = threading.Event(), threading.Event(), getattr(TlsReader, read)

        def slowly(reader):
            is_reading.set()
            assert may_end.wait(30)
            return read_files(reader)

        monkeypatch.setattr(TlsReader, read, slowly)
        asked = asyncio.create_task(client.status())
        assert await asyncio.to_thread(is_reading.wait, 30)
        await client.close()
        may_end.set()
        with pytest.raises(PredictorUnavailable, match="was closed"):
            await asked
        assert not client._open


async def test_a_predictor_whose_certificate_is_for_a_name_that_was_given_is_believed(ours):
    async with serving(engine(), tls=ours.files("server", "tidecast-predictor")) as predictor:
        files = ours.files("client")
        assert "UNAVAILABLE" in await answered(predictor.port, files)
        assert await answered(predictor.port, files, tls_name="tidecast-predictor") == ""


async def test_a_predictor_takes_up_a_new_certificate_without_a_restart(ours, theirs):
    async with serving(engine(), tls=ours.files("server")) as predictor:
        mount(ours.folder / "server", theirs.data())
        assert await answered(predictor.port, theirs.files("client")) == ""
        assert "UNAVAILABLE" in await answered(predictor.port, ours.files("client"))


async def test_a_connection_is_ended_after_a_while_so_that_the_certificate_is_looked_at_again(
    ours, theirs, monkeypatch
):
    monkeypatch.setattr(secure_port, "OPTIONS", (("grpc.max_connection_age_ms", 200),))
    async with serving(engine(), tls=ours.files("server")) as predictor:
        client = PredictorClient(f"{NAME}:{predictor.port}", timeout_seconds=20, tls=ours.files("client"))
        await client.status()
        mount(ours.folder / "server", theirs.data())
        refused = ""
        for _ in range(300):
            await asyncio.sleep(0.02)
            if refused := await told(client):
                break
        assert "CERTIFICATE_VERIFY_FAILED" in refused
        await client.close()


async def page(port, path):
    def fetch():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


@pytest.mark.parametrize("there", [{}, EMPTY], ids=["no files", "empty files"])
async def test_a_predictor_waits_for_its_files_alive_and_not_ready(tmp_path, ours, monkeypatch, there):
    monkeypatch.setattr(secure_port, "LOOK_SECONDS", 0.01)
    folder = tmp_path / "mounted"
    mount(folder, there)
    predictor = server(engine(), tls=TlsFiles.in_folder(folder))
    await predictor.start()
    loading = asyncio.create_task(predictor.load())
    status, text = await page(predictor.http_port, "/readyz")
    while "no certificate" not in text:
        status, text = await page(predictor.http_port, "/readyz")
    assert status == 503
    assert str(folder / "tls.crt") in text
    assert (await page(predictor.http_port, "/healthz"))[0] == 200
    assert (await page(predictor.http_port, "/metrics"))[0] == 200
    assert not loading.done()

    mount(folder, ours.data())
    await asyncio.wait_for(loading, 30)
    assert (await page(predictor.http_port, "/readyz"))[0] == 200
    assert await answered(predictor.port, ours.files("client")) == ""
    await predictor.stop()


async def test_a_predictor_that_waits_can_be_stopped(tmp_path):
    predictor = server(engine(), tls=TlsFiles.in_folder(tmp_path))
    await predictor.start()
    loading = asyncio.create_task(predictor.load())
    await asyncio.sleep(0.05)
    loading.cancel()
    await asyncio.wait_for(predictor.stop(), 30)
    with suppress(asyncio.CancelledError):
        await loading


def test_the_flag_names_the_folder(tmp_path, monkeypatch):
    asked = []

    async def remember(_, settings):
        asked.append(settings.tls)

    monkeypatch.setattr(cli, "serve", remember)
    assert cli.main(["serve", "--tls-folder", str(tmp_path)]) == 0
    assert cli.main(["serve"]) == 0
    assert asked == [TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.crt"), None]
