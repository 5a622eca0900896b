"""
What the metrics API is asked by a front proxy, and the certificates that both sides show.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from builders.hints import NOW, entry
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.outlets.metrics_api.certificates import service_names

NAMES = service_names("tidecast-metrics-api", "tidecast-system")
ALLOWED = "front-proxy-client"
USER = {"X-Remote-User": "system:kube-controller-manager", "X-Remote-Group": "system:authenticated"}


def board(*entries: Entry, is_known: bool = True) -> Board:
    """With these entries, or with eight replicas offered for the checkout."""
    shown = entries or ((entry(),) if is_known else ())
    return Board(NOW, {one.key: one for one in shown}, is_known=is_known)


class Authority:
    """
    Signs client certificates, as plainly as the authorities of many clusters do: without key usages and identifiers.
    """

    def __init__(self, name: str = "front-proxy-ca") -> None:
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def client(self, folder: Path, common_name: str = ALLOWED, *, age_days: int = 0) -> Path:
        """A file with a client certificate, which holds for ten days, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _builder(_name(common_name), self._name, key, age_days=age_days).sign(self._key, hashes.SHA256())
        file = folder / f"{certificate.serial_number:x}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return file


def config_map(authorities: str, **changes: str) -> dict[str, str]:
    """What kube-apiserver writes of its front proxy; `allowed_names="[]"` replaces the like-named value."""
    valid = {
        "requestheader-client-ca-file": authorities,
        "requestheader-allowed-names": f'["{ALLOWED}"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
    return valid | {f"requestheader-{name.replace('_', '-')}": value for name, value in changes.items()}


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Any = field(repr=False)


class Client:
    """
    Asks a server on loopback, over one connection that is kept, as the API server does.

    Args:
        port: Where the server is.
        trusted: Authorities of the server, PEM.
        certificate: A file with the client's certificate and key; None to show none.
    """

    def __init__(self, port: int, trusted: bytes, certificate: Path | None) -> None:
        context = ssl.create_default_context(cadata=trusted.decode())
        if certificate is not None:
            context.load_cert_chain(certificate)
        self._port, self._context = port, context
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    ) -> Reply:
        """One request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(f"https://127.0.0.1:{self._port}", auto_decompress=False)
        async with self._session.request(
            method, path, headers=USER if headers is None else headers, ssl=self._context, server_hostname=NAMES[0]
        ) as reply:
            text = await reply.text()
            is_json = text and reply.content_type == "application/json"
            return Reply(reply.status, reply.headers, text, await reply.json() if is_json else None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection."""
        if self._session is not None:
            await self._session.close()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, age_days: int = 0
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(days=age_days, hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=10))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
