"""
The transport to anything that speaks Prometheus' query API, through prometheus-api-client.

Knows no metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """
    How to reach Prometheus. Secrets stay out of `repr`.

    Attributes:
        url: Of the server, with its path prefix if it has one.
        timeout_seconds: For one request, connecting and answering.
        headers: Sent along, such as `X-Scope-OrgID`.
        bearer_token: "" for none.
        basic: User and password; None for none.
        ca_file: The certificates to trust; None for the system's.
        attempts: How often a request is tried in all while Prometheus is away or overloaded.
        backoff_seconds: The pause before the second attempt; it doubles with every further one.
    """

    url: str
    timeout_seconds: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    bearer_token: str = field(default="", repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    ca_file: Path | None = None
    attempts: int = 3
    backoff_seconds: float = 0.5


class Prometheus:
    """
    A pool of connections to one Prometheus; safe to use from several threads. `close` it.
    """

    def __init__(self, connection: Connection) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Closes the connections."""
        raise NotImplementedError
