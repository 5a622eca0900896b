"""
The outlet for KEDA with a client of its own, and certificates for both.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc import StatusCode, aio

from builders.hints import NOW
from tidecast_operator.grpc_endpoints import TlsFiles
from tidecast_operator.hints.board import Board, Entry, Noticeboard
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import ExternalScalerStub
from tidecast_operator.outlets.keda.server import KedaServer
from tidecast_simulator.testbed import binaries

SECONDS = 20.0
"""After which a test has failed that waits for an answer."""


class Clock:
    """Unix seconds that a test sets."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


def board(*entries: Entry, time: int = NOW) -> Board:
    """A board after a completed cycle."""
    return Board(time=time, entries={entry.key: entry for entry in entries}, is_known=True)


def noticeboard(*entries: Entry) -> Noticeboard:
    """A noticeboard where such a board hangs."""
    made = Noticeboard()
    made.show(board(*entries))
    return made


@asynccontextmanager
async def serving(notices: Noticeboard, **arguments: Any) -> AsyncIterator[KedaServer]:
    """A server that has started, on a free port."""
    server = KedaServer(notices, "127.0.0.1:0", **({"clock": Clock()} | arguments))
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


@asynccontextmanager
async def connected(
    server: KedaServer, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[aio.Channel]:
    """A connection to it that no other test shares; with credentials it believes only a certificate for `localhost`."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    if credentials is None:
        channel = aio.insecure_channel(f"127.0.0.1:{server.port}", options=options)
    else:
        options = (*options, ("grpc.ssl_target_name_override", "localhost"))
        channel = aio.secure_channel(f"127.0.0.1:{server.port}", credentials, options=options)
    async with channel:
        yield channel


@asynccontextmanager
async def asking(
    server: KedaServer, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[ExternalScalerStub]:
    """A client of it."""
    async with connected(server, credentials) as channel:
        yield ExternalScalerStub(channel)


def reference(name: str = "checkout", namespace: str = "shop", **metadata: str) -> pb.ScaledObjectRef:
    """What KEDA passes on of a ScaledObject, its own keys included."""
    own = {"scalerAddress": "tidecast-operator.tidecast-system:8600", "enableTLS": "true"}
    return pb.ScaledObjectRef(name=name, namespace=namespace, scalerMetadata=own | metadata)


def metrics_request(metric_name: str = "", /, **asked: str) -> pb.GetMetricsRequest:
    """Asks for the value of a metric."""
    return pb.GetMetricsRequest(scaledObjectRef=reference(**asked), metricName=metric_name)


async def soon(awaitable: Any) -> Any:
    """Its result, or a failed test."""
    return await asyncio.wait_for(awaitable, SECONDS)


async def refused(awaitable: Any) -> tuple[StatusCode, str]:
    """How a call was refused."""
    try:
        answer = await soon(awaitable)
    except aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError(f"answered {answer!r}")


async def until(holds: Callable[[], bool]) -> None:
    """Returns when it holds."""

    async def wait() -> None:
        while not holds():  # noqa: ASYNC110 - what it asks of has no event
            await asyncio.sleep(0.01)

    await soon(wait())


@dataclass(frozen=True)
class Authority:
    """
    Somebody who issues certificates for `localhost`, made by openssl.

    Attributes:
        directory: Where everything is kept.
        name: Of the authority, unique in the directory.
    """

    directory: Path
    name: str = "authority"

    @property
    def certificate(self) -> Path:
        """Of the authority itself; made when it is first asked for."""
        path = self.directory / f"{self.name}.pem"
        if not path.exists():
            self._issue(self.name, "-addext", "keyUsage=critical,keyCertSign")
        return path

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for `localhost` and its key."""
        signed_by = ("-CA", str(self.certificate), "-CAkey", str(self.directory / f"{self.name}.key"))
        self._issue(name, *signed_by, "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE")
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"

    def locked(self, name: str) -> Path:
        """The key of that name, encrypted."""
        plain, locked = self.directory / f"{name}.key", self.directory / f"{name}.locked.key"
        self._openssl("pkey", "-in", str(plain), "-aes256", "-passout", "pass:secret", "-out", str(locked))
        return locked

    def files(self, name: str = "server", *, authority: Path | None = None) -> TlsFiles:
        """What a server with a new certificate is given."""
        certificate, key = self.issue(name)
        return TlsFiles(certificate, key, authority)

    def trusting(self, identity: tuple[Path, Path] | None = None) -> grpc.ChannelCredentials:
        """For a client that believes this authority, and shows that certificate and key if it is asked."""
        root = self.certificate.read_bytes()
        if identity is None:
            return grpc.ssl_channel_credentials(root)
        certificate, key = identity
        return grpc.ssl_channel_credentials(root, key.read_bytes(), certificate.read_bytes())

    def _issue(self, name: str, *arguments: str) -> None:
        files = ("-keyout", str(self.directory / f"{name}.key"), "-out", str(self.directory / f"{name}.pem"))
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
        self._openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={name}", *files, *arguments)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([binaries.find("openssl"), *arguments], check=True, capture_output=True)
