"""
The identity of a service, the same in the graph, on the wire and in history.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXTERNAL = "External"


@dataclass(frozen=True, slots=True, order=True)
class ServiceId:
    """
    A node of the service graph: a workload of the cluster, or a peer that is not one.

    Attributes:
        namespace: The namespace; empty for a peer that has none.
        kind: The workload's kind (`Deployment`, `StatefulSet`, `DaemonSet`), or `External` for a peer that is
            no workload: an unknown caller, traffic that passes through, a host outside the cluster.
        name: The workload's name, or what is known of the peer.

    Raises:
        ValueError: If a part holds a slash, or kind or name are empty.
    """

    namespace: str
    kind: str
    name: str

    def __post_init__(self) -> None:
        if not self.kind or not self.name:
            raise ValueError(f"a service needs a kind and a name, not {self!r}")
        if "/" in f"{self.namespace}{self.kind}{self.name}":
            raise ValueError(f"no part of a service's identity may hold a slash: {self!r}")

    @property
    def is_external(self) -> bool:
        """Whether this node is no workload of the cluster: it can call, but has no resource of its own."""
        return self.kind == EXTERNAL

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "ServiceId":
        """The inverse of `str`; raises ValueError when *text* is not namespace/kind/name."""
        parts = text.split("/")
        if len(parts) != 3:
            raise ValueError(f"a service is written namespace/kind/name, not {text!r}")
        return cls(*parts)


def rows_of(wanted: Sequence[ServiceId], known: Sequence[ServiceId]) -> NDArray[np.int64]:
    """Where each of the *wanted* stands among the *known*, int64 of shape (N,); -1 for one that does not."""
    place = {service: row for row, service in enumerate(known)}
    return np.array([place.get(service, -1) for service in wanted], dtype=np.int64)
