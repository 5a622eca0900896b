"""
Certificates of both ends of a connection, read anew whenever their files have changed.

A mounted Secret changes under its names while the process runs. A server asks at every handshake, in threads of gRPC's
own; a client asks before it connects. Connections that are open keep what they began with.
"""

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

_log = logging.getLogger(__name__)
_Signature = tuple[tuple[int, int, int] | None, ...]


class UnusableFiles(Exception):
    """
    The files are not there, are none of TLS, or do not belong together; the text names them.
    """


class MissingFiles(UnusableFiles):
    """
    Not all files are there, as in a Secret that somebody is still to fill.
    """


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

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The files of a mounted Secret: `tls.crt`, `tls.key` and `ca.crt`."""
        return cls(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        files = (self.certificate, self.key)
        return files if self.authority is None else (*files, self.authority)


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What stood in the files at one moment, and can be used.

    Attributes:
        certificate: The own one, with its chain, PEM.
        key: Of the certificate, PEM.
        authority: Who must have signed the other side's certificate, PEM; None to let in everybody.
    """

    certificate: bytes
    key: bytes
    authority: bytes | None = None

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For connections of a client; the server's certificate must be for the host that the client dials."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


class TlsReader:
    """
    Reads the files, and tells when they have changed. Synchronous; safe to use from several threads.

    Args:
        files: To be read.
    """

    def __init__(self, files: TlsFiles) -> None:
        self.files = files
        self._lock = threading.Lock()
        self._seen: _Signature | None = None

    def read(self) -> Identity:
        """
        What stands there now.

        Raises:
            UnusableFiles: If that cannot be used; `MissingFiles` if it is not all there.
        """
        with self._lock:
            before = self._signature()
            identity = self._read()
            if self._signature() != before:  # in the middle of a rotation: they may be of two
                raise UnusableFiles(f"{self._names()}: they are being replaced")
            self._seen = before
            return identity

    def newer(self) -> Identity | None:
        """What stands there now, if that is something else and can be used; None to go on with what was."""
        with self._lock:
            before = self._signature()
            if before == self._seen:
                return None
            problem: UnusableFiles | None = None
            identity = None
            try:
                identity = self._read()
            except UnusableFiles as error:
                problem = error
            if self._signature() != before:
                return None  # in the middle of a rotation: the next one who asks looks again
            self._seen = before
            if identity is None:
                _log.warning("rotated TLS files cannot be used, the old certificate stays: %s", problem)
            else:
                _log.info("the TLS files were rotated: %s", self.files.certificate)
            return identity

    def _signature(self) -> _Signature:
        return tuple(_signature(path) for path in self.files.paths)

    def _names(self) -> str:
        return ", ".join(map(str, self.files.paths))

    def _read(self) -> Identity:
        """Checks too what gRPC itself would notice only when the other side is refused."""
        files = self.files
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.certificate, files.key, password="")  # asks nobody for one
            if files.authority is not None:
                context.load_verify_locations(files.authority)
            authority = None if files.authority is None else files.authority.read_bytes()
            return Identity(files.certificate.read_bytes(), files.key.read_bytes(), authority)
        except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError
            # A Secret of type kubernetes.io/tls has both keys from the start, without a value.
            if missing := [str(path) for path in files.paths if not (_signature(path) or (0, 0, 0))[1]]:
                raise MissingFiles(f"{', '.join(missing)}: {error}") from error
            raise UnusableFiles(f"{self._names()}: {error}") from error


def server_credentials(reader: TlsReader) -> grpc.ServerCredentials:
    """
    For a port, which takes up what is newer at every handshake; where there is an authority, nobody gets in without a
    certificate of its own.

    Raises:
        UnusableFiles: If there is nothing to begin with.
    """

    def newer() -> grpc.ServerCertificateConfiguration | None:
        identity = reader.newer()
        return None if identity is None else _configuration(identity)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(reader.read()),
        newer,  # type: ignore[arg-type]  # its stubs do not know that None is for no change
        require_client_authentication=reader.files.authority is not None,
    )


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(identity.key, identity.certificate)], identity.authority)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns
