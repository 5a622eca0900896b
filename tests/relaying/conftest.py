"""
A network of replicas that ends with its test.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from relaying.replicas import NAME, Network


@pytest.fixture
async def network(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    """Loopback addresses with one port that is free at all of them."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("0.0.0.0", 0)) as free:  # noqa: S104 - to find a port, nobody listens
        port = free.getsockname()[1]
    async with AsyncExitStack() as stack:
        made = Network(stack, ["127.0.0.1"], port)

        async def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
            if host != NAME or made.addresses is None:
                raise socket.gaierror(f"{host} is not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in made.addresses]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        yield made
