"""
Where the replicas are: all addresses of a name, as a headless Service has them.
"""

import asyncio
import ipaddress
import random
import socket

from tidecast_operator.errors import Misconfigured


def split(field: str, text: str) -> tuple[str, int]:
    """
    Host and port of *text*, an IPv6 address without its brackets.

    Raises:
        Misconfigured: If it is not of that form; it names *field*.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit():
        raise Misconfigured(field, f"{text!r} is not host and port", "write it as in tidecast-relay:8502")
    return host, int(port)


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """
    All addresses of *host* at present, as gRPC writes them, in an order that varies.

    Raises:
        OSError: If the name is not known, or nobody can be asked.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(_written(info[4][0], port) for info in found))
    # Whoever answers and then falls silent must not be the first again and again.
    random.shuffle(addresses)
    return tuple(addresses)


def is_name(host: str) -> bool:
    """Whether *host* is a name, not an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _written(address: object, port: int) -> str:
    text = str(address)
    return f"ipv6:[{text}]:{port}" if ":" in text else f"ipv4:{text}:{port}"
