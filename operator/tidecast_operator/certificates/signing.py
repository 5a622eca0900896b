"""
Makes an authority and certificates that it signs. Pure but for the randomness of keys.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=90)
_SKEW = timedelta(hours=1)
"""A clock of another machine may be behind."""

_COMMON_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Issued:
    """
    A certificate and its key.

    Attributes:
        certificate: PEM; where there are several, the first is meant.
        key: PEM, not encrypted.
    """

    certificate: bytes
    key: bytes


def new_authority(now: datetime, life: timedelta = AUTHORITY_LIFE) -> Issued:
    """An authority that signs with its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Two authorities of one name could be taken for each other, and the bundle may have two.
    name = _name(f"Tidecast authority {x509.random_serial_number():x}"[:40])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _issued(certificate, key)


def issue(authority: Issued, names: Sequence[str], now: datetime, life: timedelta = CERTIFICATE_LIFE) -> Issued:
    """
    A certificate for a server of the given names, which may also be shown by a client.

    Args:
        authority: Who signs.
        names: Host names and IP addresses; at least one.
        now: From when on it holds.
        life: How long; never longer than the authority itself.

    Raises:
        ValueError: If the authority's certificate or key is none.
    """
    signer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    life = min(life, signer.not_valid_after_utc - now)
    certificate = (
        _builder(_name(names[0][:_COMMON_NAME_LENGTH]), signer.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(_private(authority.key), hashes.SHA256())
    )
    return _issued(certificate, key)


def is_due(issued: Issued, now: datetime) -> bool:
    """Whether it is to be renewed: a third of its time is left, or it does not hold yet."""
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not start <= now < end - (end - start) / 3


def is_of(issued: Issued, authority: Issued, names: Sequence[str]) -> bool:
    """Whether a certificate is for exactly these names and signed by that authority."""
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    try:
        told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    signer = x509.load_pem_x509_certificate(authority.certificate)
    return list(told) == [_alternative(name) for name in names] and has_signed(signer, certificate)


@lru_cache(maxsize=64)  # the same ones are asked for at every pass
def has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether a certificate is signed by that authority."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def belongs(issued: Issued) -> bool:
    """
    Whether the key is that of the certificate.

    Raises:
        ValueError: If one of them is none.
    """
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    try:
        return certificate.public_key() == _private(issued.key).public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def pem(certificate: x509.Certificate) -> bytes:
    """As text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:  # the former where it is encrypted
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is of another kind than those that are made here")  # noqa: TRY004 - of a file
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        pem(certificate),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
