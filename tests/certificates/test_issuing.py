import ssl

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from builders.certificates import (
    AUTHORITY,
    NAMES,
    NAMESPACE,
    OPERATOR,
    PREDICTOR,
    WANTED,
    Rotation,
    authorities,
    mount,
)
from tidecast_operator.api_answers import WriteRefused
from tidecast_operator.certificates.issuer import ISSUED_BY, Issuer
from tidecast_operator.certificates.signing import has_signed
from tidecast_operator.certificates.wanted import Wanted
from tidecast_operator.errors import Misconfigured

NOW = 1_767_225_600.0


def issuer(cluster, wanted=WANTED, *, leads=lambda: True):
    return Issuer(cluster, wanted, may_write=leads, clock=lambda: NOW)


def certificate(cluster, name):
    return x509.load_pem_x509_certificate(cluster.data(name)["tls.crt"])


def annotated(cluster, name, **changes):
    held = cluster.secrets[name]
    cluster.put(name, {**held.data, **changes}, dict(held.annotations), held.type)


def test_a_certificate_is_for_its_names_and_for_server_and_client(cluster):
    issuer(cluster).step()
    extensions = certificate(cluster, PREDICTOR).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert tuple(names.get_values_for_type(x509.DNSName)) == NAMES[PREDICTOR]
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_an_address_is_a_name_too(cluster):
    issuer(cluster, Wanted(NAMESPACE, AUTHORITY, {PREDICTOR: ("predictor", "127.0.0.1", "::1")})).step()
    names = certificate(cluster, PREDICTOR).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_only_the_secret_of_the_authority_holds_its_key(cluster):
    issuer(cluster).step()

    assert [set(cluster.data(name)) for name in (AUTHORITY, OPERATOR, PREDICTOR)] == [
        {"ca.crt", "ca.key"},
        {"tls.crt", "tls.key", "ca.crt"},
        {"tls.crt", "tls.key", "ca.crt"},
    ]


def test_the_files_of_a_mounted_secret_can_be_used(cluster, tmp_path):
    issuer(cluster).step()
    files = mount(tmp_path / "tls", cluster.data(OPERATOR))
    context = ssl.create_default_context(cafile=files.authority)

    context.load_cert_chain(files.certificate, files.key)


def test_the_time_of_every_expiry_is_told(cluster):
    told = issuer(cluster).step().expiries

    assert told.keys() == {AUTHORITY, OPERATOR, PREDICTOR}
    assert told[PREDICTOR] == NOW + 90 * 86_400
    assert told[AUTHORITY] == NOW + 3650 * 86_400


def test_a_secret_that_is_missing_is_named_with_the_remedy_and_the_others_are_filled(cluster):
    del cluster.secrets[OPERATOR]
    (problem,) = issuer(cluster).step().problems

    assert problem.startswith(f"--issue-certificate: there is no Secret {NAMESPACE}/{OPERATOR}; create it")
    assert "tls.crt" in cluster.data(PREDICTOR)


def test_an_authority_that_is_missing_is_named_and_nothing_is_issued(cluster):
    del cluster.secrets[AUTHORITY]
    (problem,) = issuer(cluster).step().problems

    assert problem.startswith(f"--issue-authority: there is no Secret {NAMESPACE}/{AUTHORITY}; create it")
    assert not cluster.written


def test_a_secret_that_appears_later_is_filled(cluster):
    held = cluster.secrets.pop(PREDICTOR)
    made = issuer(cluster)
    made.step()
    cluster.secrets[PREDICTOR] = held

    assert not made.step().problems
    assert "tls.crt" in cluster.data(PREDICTOR)


@pytest.mark.parametrize("name", [AUTHORITY, PREDICTOR])
@pytest.mark.parametrize(
    ("data", "annotations"),
    [
        ({"tls.crt": b"x", "tls.key": b"y"}, {}),
        ({"password": b"x"}, {}),
        ({"ca.crt": b"x"}, {ISSUED_BY: "another-authority"}),
        ({}, {"cert-manager.io/certificate-name": "predictor"}),
    ],
    ids=["a certificate", "something else", "of another authority", "cert-manager's"],
)
def test_a_secret_of_somebody_else_is_refused_and_left_alone(cluster, name, data, annotations):
    cluster.put(name, data, annotations)
    problems = issuer(cluster).step().problems

    assert any(f"{NAMESPACE}/{name} holds data that {AUTHORITY} did not issue" in one for one in problems)
    assert cluster.data(name) == data


def test_a_secret_of_the_type_for_tls_keeps_the_keys_that_it_has_to_have(cluster):
    cluster.put(OPERATOR, {"tls.crt": b"", "tls.key": b""}, kind="kubernetes.io/tls")
    cluster.put(AUTHORITY, {"tls.crt": b"", "tls.key": b""}, kind="kubernetes.io/tls")
    made = issuer(cluster)
    made.step()

    assert made.step().is_settled
    assert {"tls.crt", "tls.key"} < cluster.data(AUTHORITY).keys()
    assert has_signed(authorities(cluster.data(AUTHORITY)["ca.crt"])[0], certificate(cluster, OPERATOR))


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("content", [b"", b"spoilt", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_secret_that_was_spoilt_is_repaired(cluster, key, content):
    made = issuer(cluster)
    made.step()
    annotated(cluster, PREDICTOR, **{key: content})
    made.step()

    authority = authorities(cluster.data(AUTHORITY)["ca.crt"])[0]
    if key == "ca.crt":  # whoever mounts it believes nobody: the authority is announced again before it signs
        assert cluster.data(PREDICTOR)["ca.crt"] == cluster.data(AUTHORITY)["ca.crt"]
    assert has_signed(authority, certificate(cluster, PREDICTOR))


def test_other_names_need_another_certificate(cluster):
    issuer(cluster).step()
    before = certificate(cluster, PREDICTOR)
    issuer(cluster, Wanted(NAMESPACE, AUTHORITY, {**NAMES, PREDICTOR: ("other",)})).step()

    assert certificate(cluster, PREDICTOR) != before


def test_other_values_and_annotations_of_a_secret_stay(cluster):
    cluster.put(PREDICTOR, {}, {"team": "shop"})
    issuer(cluster).step()
    annotated(cluster, PREDICTOR, **{"keystore.jks": b"\xff", "tls.crt": b""})
    issuer(cluster).step()

    assert cluster.data(PREDICTOR)["keystore.jks"] == b"\xff"
    assert cluster.secrets[PREDICTOR].annotations == {"team": "shop", ISSUED_BY: AUTHORITY}


def test_an_api_service_is_told_whom_to_believe_once(cluster):
    made = issuer(cluster)
    made.step()

    assert cluster.bundle.bundle == cluster.data(OPERATOR)["ca.crt"]
    assert made.step().is_settled


def test_an_api_service_that_is_missing_is_named_and_holds_up_nothing(cluster):
    cluster.bundle = None
    rotation = Rotation(cluster, NOW)
    (problem,) = rotation.leader.step().problems

    assert problem.startswith("--inject-ca: there is no APIService v1beta1.external.metrics.k8s.io; create it")
    assert "tls.crt" in cluster.data(PREDICTOR)


def test_who_does_not_lead_any_more_writes_nothing(cluster):
    done = issuer(cluster, leads=lambda: False).step()

    assert not cluster.written
    assert not done.is_settled


def test_leadership_that_is_lost_between_two_writes_ends_the_writes(cluster):
    issuer(cluster, leads=lambda: len(cluster.written) < 2).step()

    assert cluster.written == [AUTHORITY, OPERATOR]


def test_a_secret_that_changed_meanwhile_is_not_overwritten(cluster):
    def edited(number):
        if number == 1:
            cluster.put(OPERATOR, {"mine": b"now"})

    cluster.at_write = edited
    assert issuer(cluster).step().conflicts == 1
    assert cluster.data(OPERATOR) == {"mine": b"now"}


def test_nothing_is_signed_by_an_authority_that_could_not_be_written(cluster):
    def edited(number):
        if number == 0:
            cluster.put(AUTHORITY, {})

    cluster.at_write = edited
    issuer(cluster).step()

    assert not cluster.written
    assert cluster.data(PREDICTOR) == {}


@pytest.mark.parametrize(
    "error", [Misconfigured("permissions", "forbidden", "grant it"), WriteRefused("the API server refuses: immutable")]
)
def test_a_write_that_is_refused_is_told_and_holds_up_no_other(cluster, error):
    def refuse(number):
        if number == 1:
            cluster.at_write = lambda _: None
            raise error

    cluster.at_write = refuse
    done = issuer(cluster).step()

    assert done.problems == [str(error)]
    assert cluster.data(OPERATOR) == {}
    assert "tls.crt" in cluster.data(PREDICTOR)


def test_a_permission_that_is_missing_is_told(cluster):
    cluster.errors[PREDICTOR] = Misconfigured("permissions", "forbidden", "grant it")

    assert issuer(cluster).step().problems == ["permissions: forbidden; grant it"]
