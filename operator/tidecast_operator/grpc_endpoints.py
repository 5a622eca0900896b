"""
Ports of gRPC servers, and certificates of servers and clients, read anew whenever their files have changed.

gRPC asks at every handshake, in threads of its own; connections that are open keep what they began with.
"""

import asyncio
import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc import aio

from tidecast_operator.errors import Misconfigured

_log = logging.getLogger(__name__)
_Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """
    Where an identity is kept, in PEM; mounted Secrets are rotated under their names.

    Attributes:
        certificate: The own one, with its chain.
        key: Of the certificate, not encrypted.
        authority: Who must have signed the other side's certificate; None to let in everybody.
    """

    certificate: Path
    key: Path
    authority: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        files = (self.certificate, self.key)
        return files if self.authority is None else (*files, self.authority)


class Certificates:
    """
    What stands in the files, as gRPC wants it.

    Args:
        files: To be read.
        flag: Of the command line, which asked for them.
    """

    def __init__(self, files: TlsFiles, *, flag: str) -> None:
        self._files = files
        self._flag = flag
        self._lock = threading.Lock()
        self._seen: _Signature = ()

    def credentials(self) -> grpc.ServerCredentials:
        """
        For a port; reads the files.

        Raises:
            Misconfigured: If they cannot be used; names them.
        """
        self._seen = self._signature()
        try:
            initial = self._read()
        except (OSError, ValueError) as error:
            names = ", ".join(map(str, self._files.paths))
            raise Misconfigured(
                self._flag,
                f"{names}: {error}",
                "give a certificate and its own key in PEM, not encrypted",
            ) from error
        return grpc.dynamic_ssl_server_credentials(
            initial,
            self._newer,  # type: ignore[arg-type]  # its stubs do not know that None is for no change
            require_client_authentication=self._files.authority is not None,
        )

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """What stands there now, if that is something else and can be used; None to go on with what was."""
        with self._lock:
            before = self._signature()
            if before == self._seen:
                return None
            try:
                read = self._read()
            except (OSError, ValueError) as error:
                read, problem = None, error
            if self._signature() != before:
                return None  # in the middle of a rotation: the next handshake looks again
            self._seen = before
            if read is None:
                _log.warning("rotated TLS files cannot be used, the old certificate stays: %s", problem)
            else:
                _log.info("the TLS files were rotated")
            return read

    def _signature(self) -> _Signature:
        return tuple(_signature(path) for path in self._files.paths)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        """Raises OSError or ValueError: gRPC itself would notice only when clients are refused."""
        certificate, key = self._files.certificate.read_bytes(), self._files.key.read_bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key, password="")  # asks nobody for one
        authority = None
        if self._files.authority is not None:
            authority = self._files.authority.read_bytes()
            context.load_verify_locations(self._files.authority)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)


async def open_port(server: aio.Server, address: str, *, tls: TlsFiles | None, flags: str, example: str) -> int:
    """
    Has a server listen, once it is started; the port, also where *address* left that open.

    Args:
        server: Not started yet.
        address: Host and port.
        tls: Its certificate; None for none.
        flags: What the flags that asked for it begin with, as in `--keda`.
        example: Of an address, for whoever gave one that cannot be used.

    Raises:
        Misconfigured: If the address or the certificate cannot be used.
    """
    credentials = None
    if tls is not None:
        credentials = await asyncio.to_thread(Certificates(tls, flag=f"{flags}-tls-certificate").credentials)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise Misconfigured(
            f"{flags}-address", f"cannot listen on {address!r}: {error}", f"write host and port, as in {example}"
        ) from error


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """
    For one connection of a client, with what the files hold now. Synchronous: call it in a thread.

    Raises:
        OSError: If a file cannot be read.
    """
    authority = None if files.authority is None else files.authority.read_bytes()
    return grpc.ssl_channel_credentials(authority, files.key.read_bytes(), files.certificate.read_bytes())


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns
