"""
The server's own certificate: from files that somebody else renews, or self-signed and renewed here.
"""

import base64
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509

from tidecast_operator.certificates import signing
from tidecast_operator.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class KeyPair:
    """
    A certificate, and the key to it.

    Attributes:
        certificate: A file with the certificate and those that lead to its authority, PEM.
        key: A file with the private key, PEM.
        digest: Changes when either does.
    """

    certificate: Path
    key: Path
    digest: bytes


class Certificates(Protocol):
    """Where the server's certificate comes from. Synchronous."""

    def current(self) -> KeyPair:
        """
        The one to serve with from now on.

        Raises:
            Misconfigured: If there is none.
        """


class CertificateFiles:
    """
    Files that somebody else writes and renews, as in a mounted Secret.

    Args:
        directory: Where they are.
        certificate: The name of one, as in a Secret of type `kubernetes.io/tls`.
        key: The name of the other.
    """

    def __init__(self, directory: Path, *, certificate: str = "tls.crt", key: str = "tls.key") -> None:
        self._certificate = directory / certificate
        self._key = directory / key

    def current(self) -> KeyPair:
        """See `Certificates`."""
        try:
            digest = _digest(self._certificate.read_bytes(), self._key.read_bytes())
        except OSError as error:
            raise Misconfigured(
                str(self._certificate.parent), f"no certificate is there: {error}", "put tls.crt and tls.key there"
            ) from error
        return KeyPair(self._certificate, self._key, digest)


class SelfSigned:
    """
    A certificate of one's own authority, both kept in a directory and renewed when a third of their time is left.

    The API server believes it as soon as the authority is in the `caBundle` of the APIService, see `ca_bundle_patch`.
    One process for each directory: two that have to serve one Service need the same files.

    Args:
        directory: For the files; made when it is not there.
        names: That the certificate is for, see `service_names`.
        clock: Unix seconds.
    """

    def __init__(self, directory: Path, names: Sequence[str], *, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._names = tuple(names)
        self._clock = clock

    def current(self) -> KeyPair:
        """See `Certificates`."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._renew(now)
        except OSError as error:
            raise Misconfigured(
                str(self._directory), f"it cannot be written: {error}", "mount a volume there"
            ) from error
        certificate, key = self._path("tls.crt"), self._path("tls.key")
        return KeyPair(certificate, key, _digest(certificate.read_bytes(), key.read_bytes()))

    @property
    def ca_bundle(self) -> bytes:
        """
        The authorities to believe, PEM, the newest first: after a renewal also the one before, as long as it holds.

        Raises:
            OSError: If `current` was never called.
        """
        return self._path("ca.crt").read_bytes()

    def _renew(self, now: datetime) -> None:
        authority = self._read("ca.crt", "ca.key")
        if authority is None or signing.is_due(authority, now):
            before = [one for one in _certificates(authority) if one.not_valid_after_utc > now]
            authority = signing.new_authority(now)
            bundle = b"".join([authority.certificate, *map(signing.pem, before[:1])])
            self._write("ca.crt", bundle, "ca.key", authority.key)
        serving = self._read("tls.crt", "tls.key")
        if serving is None or signing.is_due(serving, now) or not signing.is_of(serving, authority, self._names):
            serving = signing.issue(authority, self._names, now)
            self._write("tls.crt", serving.certificate, "tls.key", serving.key)

    def _read(self, certificate: str, key: str) -> signing.Issued | None:
        with suppress(OSError, ValueError):  # not there, or half of it: then it is made anew
            pair = signing.Issued(self._path(certificate).read_bytes(), self._path(key).read_bytes())
            return pair if signing.belongs(pair) else None
        return None

    def _write(self, certificate: str, certificate_bytes: bytes, key: str, key_bytes: bytes) -> None:
        for name, content in ((key, key_bytes), (certificate, certificate_bytes)):
            temporary = self._path(f"{name}.new")
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            temporary.replace(self._path(name))

    def _path(self, name: str) -> Path:
        return self._directory / name


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """The names that a Service has within a cluster; the API server asks for the first."""
    full = f"{service}.{namespace}.svc"
    return full, f"{full}.cluster.local", f"{service}.{namespace}", service


def ca_bundle_patch(bundle: bytes) -> dict[str, Any]:
    """A merge patch for an APIService, so that the API server believes certificates of these authorities (PEM)."""
    return {"spec": {"caBundle": base64.b64encode(bundle).decode()}}


def _certificates(issued: signing.Issued | None) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(issued.certificate) if issued else []


def _digest(*contents: bytes) -> bytes:
    return hashlib.sha256(b"\0".join(contents)).digest()
