"""
The gRPC port with TLS, opened as soon as its certificate is there.

The Secret that is mounted may still be empty when the process starts: whoever fills it does so while the pod runs.
"""

import asyncio
import logging
from collections.abc import Callable

from grpc import aio

from tidecast_contract.rpc.tls import TlsFiles, TlsReader, UnusableFiles, server_credentials

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often it is looked whether the files are there."""

CONNECTION_SECONDS = 3600
"""
A connection is checked when it begins and never again, so each is ended after this time, once its calls are done: a
certificate that has expired since, or an authority that is believed no more, opens no other.
"""

OPTIONS = (("grpc.max_connection_age_ms", CONNECTION_SECONDS * 1000),)


async def open_when_usable(server: aio.Server, address: str, files: TlsFiles, waits: Callable[[str], None]) -> int:
    """
    Add the port to *server*, which is not started yet, as soon as *files* can be used; returns the port.

    Args:
        server: Not started yet.
        address: host:port; port 0 lets the system choose.
        files: The own certificate, and the authority of the clients': nobody without a certificate is answered.
        waits: Told what is missing, whenever that changes.

    Raises:
        RuntimeError: If the port cannot be had.
    """
    reader = TlsReader(files)
    problem = ""
    while True:
        try:
            credentials = await asyncio.to_thread(server_credentials, reader)
        except UnusableFiles as error:
            if str(error) != problem:
                problem = str(error)
                logger.warning("waiting for the certificate: %s", problem)
                waits(problem)
            await asyncio.sleep(LOOK_SECONDS)
            continue
        return server.add_secure_port(address, credentials)
