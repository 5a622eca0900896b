import base64
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from builders.hints import NOW
from builders.metrics_api import NAMES
from tidecast_operator.errors import Misconfigured
from tidecast_operator.outlets.metrics_api.certificates import (
    CertificateFiles,
    SelfSigned,
    ca_bundle_patch,
    service_names,
)

DAY = 86_400


@pytest.fixture
def time():
    return [NOW]


@pytest.fixture
def certificates(tmp_path, time):
    return SelfSigned(tmp_path / "pair", NAMES, clock=lambda: time[0])


def read(pair):
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def authorities(certificates):
    return x509.load_pem_x509_certificates(certificates.ca_bundle)


def test_the_names_are_those_of_the_service(certificates):
    names = read(certificates.current()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == [
        "tidecast-metrics-api.tidecast-system.svc",
        "tidecast-metrics-api.tidecast-system.svc.cluster.local",
        "tidecast-metrics-api.tidecast-system",
        "tidecast-metrics-api",
    ]


def test_it_is_signed_by_the_authority_of_the_bundle(certificates):
    read(certificates.current()).verify_directly_issued_by(authorities(certificates)[0])


def test_the_same_one_is_used_until_a_third_of_its_time_is_left(certificates, time):
    first = certificates.current()
    time[0] += 59 * DAY
    assert certificates.current() == first

    time[0] += 2 * DAY
    second = certificates.current()

    assert second.digest != first.digest
    assert read(second).not_valid_after_utc == datetime.fromtimestamp(time[0], UTC) + timedelta(days=90)


def test_a_renewed_certificate_is_of_the_same_authority(certificates, time):
    certificates.current()
    bundle = certificates.ca_bundle
    time[0] += 80 * DAY
    certificates.current()

    assert certificates.ca_bundle == bundle


def test_a_renewed_authority_stands_before_the_one_that_it_follows(certificates, time):
    certificates.current()
    (old,) = authorities(certificates)
    time[0] += 2600 * DAY

    serving = read(certificates.current())

    new, before = authorities(certificates)
    assert before == old
    serving.verify_directly_issued_by(new)


def test_an_authority_that_has_expired_is_believed_no_longer(certificates, time):
    certificates.current()
    time[0] += 3700 * DAY
    certificates.current()

    assert len(authorities(certificates)) == 1


def test_a_restart_goes_on_with_what_is_there(tmp_path, certificates, time):
    first = certificates.current()

    assert SelfSigned(tmp_path / "pair", NAMES, clock=lambda: time[0]).current() == first


def test_other_names_need_another_certificate(tmp_path, certificates, time):
    first = certificates.current()
    other = SelfSigned(tmp_path / "pair", service_names("other", "tidecast-system"), clock=lambda: time[0])

    assert other.current().digest != first.digest
    assert other.ca_bundle == certificates.ca_bundle


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt", "ca.key"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_files_that_a_crash_has_spoilt_are_made_again(tmp_path, certificates, name, content):
    certificates.current()
    spoilt = tmp_path / "pair" / name
    if content is None:
        spoilt.unlink()
    else:
        spoilt.write_bytes(content)

    pair = certificates.current()

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.certificate, pair.key)
    read(pair).verify_directly_issued_by(authorities(certificates)[0])


def test_a_key_of_another_certificate_is_noticed(tmp_path, certificates, time):
    certificates.current()
    other = SelfSigned(tmp_path / "other", NAMES, clock=lambda: time[0]).current()
    (tmp_path / "pair" / "tls.key").write_bytes(other.key.read_bytes())

    pair = certificates.current()

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.certificate, pair.key)


def test_keys_are_for_the_owner_alone(tmp_path, certificates):
    certificates.current()

    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "pair").glob("*.key")} == {0o600}


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Misconfigured, match="mount a volume"):
        SelfSigned(tmp_path / "file" / "pair", NAMES).current()


def test_files_of_somebody_else_are_read_again(tmp_path, certificates, time):
    certificates.current()
    files = CertificateFiles(tmp_path / "pair")
    first = files.current()
    assert files.current() == first

    time[0] += 61 * DAY
    certificates.current()

    assert files.current().digest != first.digest


def test_files_that_are_not_there_are_told(tmp_path):
    with pytest.raises(Misconfigured, match=r"put tls.crt and tls.key there"):
        CertificateFiles(tmp_path).current()


def test_the_patch_is_what_an_api_service_wants(certificates):
    certificates.current()
    patch = ca_bundle_patch(certificates.ca_bundle)

    assert base64.b64decode(patch["spec"]["caBundle"]) == certificates.ca_bundle
