import subprocess

import pytest

from builders.hints import NOW
from relaying.replicas import NAME, Replica
from tidecast_operator.errors import Misconfigured
from tidecast_operator.grpc_endpoints import Certificates, TlsFiles
from tidecast_simulator.testbed import binaries

pytestmark = pytest.mark.real("openssl")


class Authority:
    """Signs certificates, and puts them where a mounted Secret has its files."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
        self.openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", f"/CN={folder.name}", "-out", "ca.crt")

    def openssl(self, *arguments):
        subprocess.run([binaries.find("openssl"), *arguments], cwd=self.folder, check=True, capture_output=True)

    def issue(self, into, name=NAME):
        into.mkdir(exist_ok=True)
        (self.folder / "names").write_text(f"subjectAltName=DNS:{name}")
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "tls.key")
        self.openssl("req", "-new", "-key", "tls.key", "-subj", f"/CN={name}", "-out", "tls.csr")
        self.openssl(
            *("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-extfile", "names", "-out", "tls.crt"),
        )
        for file in ("tls.crt", "tls.key", "ca.crt"):
            (into / file).write_bytes((self.folder / file).read_bytes())
        return TlsFiles(into / "tls.crt", into / "tls.key", into / "ca.crt")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def another(tmp_path):
    return Authority(tmp_path / "another")


@pytest.fixture
def leader():
    replica = Replica(leads=True)
    replica.show()
    return replica


async def sees_nothing(network, tls):
    """A follower with these certificates tries again and again in vain."""
    follower = Replica()
    network.follow(follower, tls=tls)
    await follower.keeps_on()
    return not follower.shown


async def test_replicas_with_certificates_of_one_authority_follow_each_other(network, authority, leader, tmp_path):
    files = authority.issue(tmp_path / "mine")
    await network.serve(leader, "127.0.0.1", tls=files)
    follower = Replica()
    network.follow(follower, tls=files)
    await follower.has(NOW)


async def test_who_has_no_certificate_sees_nothing(network, authority, leader, tmp_path):
    await network.serve(leader, "127.0.0.1", tls=authority.issue(tmp_path / "mine"))
    assert await sees_nothing(network, None)


async def test_who_has_a_certificate_of_another_authority_sees_nothing(network, authority, another, leader, tmp_path):
    mine, theirs = authority.issue(tmp_path / "mine"), another.issue(tmp_path / "theirs")
    await network.serve(leader, "127.0.0.1", tls=mine)
    # It trusts the server; the server must not trust it.
    assert await sees_nothing(network, TlsFiles(theirs.certificate, theirs.key, mine.authority))


async def test_a_leader_that_another_authority_signed_for_is_not_believed(
    network, authority, another, leader, tmp_path
):
    mine, theirs = authority.issue(tmp_path / "mine"), another.issue(tmp_path / "theirs")
    await network.serve(leader, "127.0.0.1", tls=TlsFiles(theirs.certificate, theirs.key, mine.authority))
    assert await sees_nothing(network, mine)


async def test_a_leader_with_a_certificate_for_another_name_is_not_believed(network, authority, leader, tmp_path):
    await network.serve(leader, "127.0.0.1", tls=authority.issue(tmp_path / "mine", name="somebody-else"))
    assert await sees_nothing(network, authority.issue(tmp_path / "theirs"))


async def test_renewed_files_hold_for_every_new_connection(network, authority, another, leader, tmp_path):
    files, former = authority.issue(tmp_path / "mine"), authority.issue(tmp_path / "former")
    await network.serve(leader, "127.0.0.1", tls=files)
    early, late = Replica(), Replica()
    network.follow(early, tls=files)
    await early.has(NOW)
    another.issue(tmp_path / "mine")
    network.follow(late, tls=files)
    await late.has(NOW)
    assert await sees_nothing(network, former)
    leader.show(NOW + 60)
    await early.has(NOW + 60)


@pytest.mark.parametrize("spoil", [lambda key: key.unlink(), lambda key: key.write_text("half a k")])
async def test_a_server_keeps_its_certificate_while_the_files_cannot_be_used(
    network, authority, tmp_path, caplog, spoil
):
    files, theirs = authority.issue(tmp_path / "mine"), authority.issue(tmp_path / "theirs")
    leader, follower = Replica(leads=True), Replica()
    leader.show()
    await network.serve(leader, "127.0.0.1", tls=files)
    spoil(files.key)
    network.follow(follower, tls=theirs)
    await follower.has(NOW)
    assert "the old certificate stays" in caplog.text


@pytest.mark.parametrize("is_empty", [False, True], ids=["not there yet", "empty"])
async def test_a_client_waits_for_its_files(network, authority, leader, tmp_path, is_empty):
    files = authority.issue(tmp_path / "mine")
    await network.serve(leader, "127.0.0.1", tls=files)
    follower = Replica()
    late = tmp_path / "late"
    if is_empty:
        for file in ("tls.crt", "tls.key", "ca.crt"):
            late.mkdir(exist_ok=True)
            (late / file).touch()
    network.follow(follower, tls=TlsFiles(late / "tls.crt", late / "tls.key", late / "ca.crt"))
    await follower.keeps_on()
    authority.issue(late)
    await follower.has(NOW)


def test_a_server_without_its_files_names_them_and_the_flag(tmp_path):
    with pytest.raises(Misconfigured, match=r"--relay-tls-certificate.*tls\.crt"):
        Certificates(
            TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.crt"), flag="--relay-tls-certificate"
        ).credentials()


def test_a_key_of_another_certificate_is_refused(authority, tmp_path):
    mine, theirs = authority.issue(tmp_path / "mine"), authority.issue(tmp_path / "theirs")
    with pytest.raises(Misconfigured, match="MISMATCH"):
        Certificates(
            TlsFiles(mine.certificate, theirs.key, mine.authority), flag="--relay-tls-certificate"
        ).credentials()
