"""
Addresses to listen on, as flags name them.
"""

from tidecast_operator.errors import Misconfigured


def address_of(flag: str, text: str) -> tuple[str, int]:
    """
    Host and port.

    Raises:
        Misconfigured: If it is not that.
    """
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise Misconfigured(flag, f"{text!r} is not host and port", "write it as in 0.0.0.0:8080")
    return host or "0.0.0.0", int(port)  # noqa: S104 - asked for by leaving it out


def cannot_listen(flag: str, address: str, why: Exception, *, example: str) -> Misconfigured:
    """
    The error where a port cannot be had, be it taken or none of this host.

    Args:
        flag: Which named it.
        address: As it was given.
        why: What the system says.
        example: Of an address that could be given.
    """
    remedy = f"write host and port that are free here, as in {example}"
    return Misconfigured(flag, f"cannot listen on {address!r}: {why}", remedy)
