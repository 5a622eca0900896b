"""
An API server that says what is permitted where, and what lives there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidecast_operator.access import Permission
from tidecast_operator.errors import ApiServerUnavailable
from tidecast_operator.published import Condition


@dataclass
class FakeAccess:
    """
    Answers as `Access` and `Cluster` do.

    Attributes:
        forbidden: Namespaces, and what may not be done there.
        served: Whether Tidecast's resources are known.
        is_down: Whether nothing is answered.
        names: What lives there, by kind and namespace.
        asked: The namespaces that were asked about.
        available: The condition `Available` of APIServices, by their names.
    """

    forbidden: dict[str, set[str]] = field(default_factory=dict)
    served: bool = True
    is_down: bool = False
    names: dict[tuple[str, str], Mapping[tuple[str, str], int]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    available: dict[str, Condition] = field(default_factory=dict)

    def version(self) -> str:
        self._answer()
        return "v1.30.0"

    def serves(self, *_: str) -> bool:
        self._answer()
        return self.served

    def may(self, permission: Permission, namespace: str) -> bool:
        self._answer()
        self.asked.add(namespace)
        return str(permission) not in self.forbidden.get(namespace, set())

    def availability(self, api_service: str) -> Condition | None:
        self._answer()
        return self.available.get(api_service)

    def list_names(self, kind: str, namespace: str = "") -> Mapping[tuple[str, str], int]:
        self._answer()
        return self.names.get((kind, namespace), {})

    def _answer(self) -> None:
        if self.is_down:
            raise ApiServerUnavailable("the API server does not answer")
