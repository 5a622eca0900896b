"""
Ports of gRPC servers, with certificates that are read anew whenever their files have changed.
"""

import asyncio

import grpc
from grpc import aio

from tidecast_contract.rpc.tls import MissingFiles, TlsFiles, TlsReader, UnusableFiles, server_credentials
from tidecast_operator.errors import Misconfigured
from tidecast_operator.listening import cannot_listen

__all__ = ["CertificateMissing", "Certificates", "TlsFiles", "channel_credentials", "open_port"]


class CertificateMissing(Misconfigured):
    """
    Not all files are there: perhaps the Secret that is mounted is still to be filled.
    """


class Certificates:
    """
    What stands in the files, as gRPC wants it.

    Args:
        files: To be read.
        flag: Of the command line, which asked for them.
    """

    def __init__(self, files: TlsFiles, *, flag: str) -> None:
        self._reader = TlsReader(files)
        self._flag = flag

    def credentials(self) -> grpc.ServerCredentials:
        """
        For a port; reads the files.

        Raises:
            Misconfigured: If they cannot be used; names them. `CertificateMissing` if they are not all there.
        """
        try:
            return server_credentials(self._reader)
        except UnusableFiles as error:
            kind = CertificateMissing if isinstance(error, MissingFiles) else Misconfigured
            raise kind(self._flag, str(error), "give a certificate and its own key in PEM, not encrypted") from error


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
        raise cannot_listen(f"{flags}-address", address, error, example=example) from error


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """
    For one connection of a client, with what the files hold now. Synchronous: call it in a thread.

    Raises:
        OSError: If a file cannot be read or used.
    """
    try:
        return TlsReader(files).read().channel_credentials()
    except UnusableFiles as error:
        raise OSError(str(error)) from error
