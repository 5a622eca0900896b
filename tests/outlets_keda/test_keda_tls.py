"""
Who is believed and who is let in, also after certificates were rotated.
"""

import shutil
import threading

import pytest
from grpc import StatusCode

from builders.hints import entry
from builders.keda import Authority, asking, noticeboard, reference, refused, serving, soon
from tidecast_contract.rpc.tls import TlsReader
from tidecast_operator.errors import Misconfigured
from tidecast_operator.grpc_endpoints import TlsFiles
from tidecast_operator.outlets.keda.server import KedaServer

pytestmark = pytest.mark.real("openssl")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path):
    return Authority(tmp_path, "stranger")


@pytest.fixture
def serve(serving_stack):
    async def start(files):
        return await serving_stack.enter_async_context(serving(noticeboard(entry()), tls=files))

    return start


async def is_active(server, credentials=None):
    async with asking(server, credentials) as keda:
        return (await soon(keda.IsActive(reference()))).result


async def turned_away(server, credentials=None):
    async with asking(server, credentials) as keda:
        code, _ = await refused(keda.IsActive(reference()))
        return code is StatusCode.UNAVAILABLE


def replace_with(files, other):
    """The files of *files* hold what those of *other* do, as after the rotation of a mounted Secret."""
    for old, new in zip(files.paths, other.paths, strict=True):
        shutil.copy(new, old.with_suffix(".next"))
        old.with_suffix(".next").replace(old)


async def test_a_client_that_believes_the_authority_is_answered_over_tls(authority, serve):
    server = await serve(authority.files())

    assert await is_active(server, authority.trusting())


async def test_a_client_of_another_authority_does_not_believe_the_server(authority, stranger, serve):
    server = await serve(authority.files())

    assert await turned_away(server, stranger.trusting())


async def test_plain_text_is_not_answered_where_tls_is(authority, serve):
    server = await serve(authority.files())

    assert await turned_away(server)


async def test_a_client_with_a_certificate_is_let_in(authority, serve):
    server = await serve(authority.files(authority=authority.certificate))

    assert await is_active(server, authority.trusting(authority.issue("client")))


async def test_a_client_without_a_certificate_is_turned_away(authority, serve):
    server = await serve(authority.files(authority=authority.certificate))

    assert await turned_away(server, authority.trusting())


async def test_a_client_whose_certificate_another_authority_issued_is_turned_away(authority, stranger, serve):
    server = await serve(authority.files(authority=authority.certificate))

    assert await turned_away(server, authority.trusting(stranger.issue("client")))


async def test_a_rotated_certificate_is_shown_to_the_next_client(authority, stranger, serve):
    files = authority.files()
    server = await serve(files)
    assert await is_active(server, authority.trusting())

    replace_with(files, stranger.files("next"))

    assert await is_active(server, stranger.trusting())
    assert await turned_away(server, authority.trusting())


async def test_a_rotated_authority_of_clients_decides_who_is_let_in(authority, stranger, tmp_path, serve):
    client_ca = tmp_path / "clients.pem"
    shutil.copy(authority.certificate, client_ca)
    files = authority.files(authority=client_ca)
    server = await serve(files)
    ours, theirs = authority.issue("ours"), stranger.issue("theirs")
    assert await is_active(server, authority.trusting(ours))

    shutil.copy(stranger.certificate, client_ca)

    assert await is_active(server, authority.trusting(theirs))
    assert await turned_away(server, authority.trusting(ours))


async def test_a_connection_outlives_the_rotation(authority, stranger, serve):
    files = authority.files()
    server = await serve(files)

    async with asking(server, authority.trusting()) as keda:
        await soon(keda.IsActive(reference()))
        replace_with(files, stranger.files("next"))
        assert await is_active(server, stranger.trusting())
        assert (await soon(keda.IsActive(reference()))).result


async def test_half_a_rotation_changes_nothing_and_the_other_half_completes_it(authority, stranger, serve, caplog):
    files, other = authority.files(), stranger.files("next")
    server = await serve(files)

    shutil.copy(other.certificate, files.certificate)
    assert await is_active(server, authority.trusting())
    assert await is_active(server, authority.trusting())
    assert caplog.text.count("the old certificate stays") == 1

    shutil.copy(other.key, files.key)
    assert await is_active(server, stranger.trusting())


async def test_files_that_vanish_change_nothing(authority, serve):
    files = authority.files()
    server = await serve(files)

    for path in files.paths:
        path.unlink()

    assert await is_active(server, authority.trusting())


async def test_files_are_read_once_for_each_rotation_and_not_on_the_event_loop(authority, serve, monkeypatch):
    readers, read = [], TlsReader._read

    def remember(self):
        readers.append(threading.current_thread())
        return read(self)

    monkeypatch.setattr(TlsReader, "_read", remember)
    files = authority.files()
    server = await serve(files)
    replace_with(files, authority.files("next"))
    for _ in range(2):
        assert await is_active(server, authority.trusting())

    assert len(readers) == 2
    assert threading.main_thread() not in readers


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda files: files.key.unlink(), "No such file"),
        (lambda files: files.certificate.write_text("no certificate"), "PEM"),
        (lambda files: shutil.copy(files.authority.with_name("authority.key"), files.key), "mismatch"),
        (lambda files: files.authority.write_text(""), "clients.pem"),
    ],
    ids=["missing", "not a certificate", "another key", "no authority"],
)
async def test_files_that_cannot_be_used_are_an_error_with_a_remedy(authority, tmp_path, spoil, problem):
    client_ca = tmp_path / "clients.pem"
    shutil.copy(authority.certificate, client_ca)
    files = authority.files(authority=client_ca)
    spoil(files)

    with pytest.raises(
        Misconfigured, match=r"--keda-tls-certificate: .*; give a certificate and its own key"
    ) as caught:
        await KedaServer(noticeboard(entry()), "127.0.0.1:0", tls=files).start()

    assert problem.lower() in str(caught.value).lower()


async def test_an_encrypted_key_is_an_error_and_asks_nobody_for_a_password(authority):
    certificate, locked = authority.issue("server")[0], authority.locked("server")

    with pytest.raises(Misconfigured, match="not encrypted"):
        await KedaServer(noticeboard(entry()), "127.0.0.1:0", tls=TlsFiles(certificate, locked)).start()
