"""
Whom the Kubernetes API server says to believe when it passes on a request: what is in the ConfigMap
`kube-system/extension-apiserver-authentication`. Pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from tidecast_operator.errors import Misconfigured
from tidecast_operator.outlets.metrics_api.answers import Refused

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
_FIELD = f"ConfigMap {NAMESPACE}/{NAME}"
_CA, _ALLOWED = "requestheader-client-ca-file", "requestheader-allowed-names"
_USER, _GROUP = "requestheader-username-headers", "requestheader-group-headers"


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who asks, as the front proxy says.

    Attributes:
        name: Of the user.
        groups: That the user is in.
    """

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """
    How to know the front proxy, and where it writes who asks.

    Attributes:
        authorities: The certificates that sign its own, PEM.
        allowed_names: Common names that its certificate may have; none for any.
        user_headers: The first of them that is there has the user's name.
        group_headers: All of them have groups of the user.
    """

    authorities: str
    allowed_names: frozenset[str] = frozenset()
    user_headers: tuple[str, ...] = ("X-Remote-User",)
    group_headers: tuple[str, ...] = ("X-Remote-Group",)

    @classmethod
    def parse(cls, data: Mapping[str, str] | None) -> "FrontProxy":
        """
        From the ConfigMap; None where it is not there.

        Raises:
            Misconfigured: If it does not say whom to believe.
        """
        authorities = (data or {}).get(_CA, "")
        if data is None or "-----BEGIN CERTIFICATE-----" not in authorities:
            raise Misconfigured(
                _FIELD,
                "it is not there" if data is None else f"it has no certificate under {_CA}",
                "start kube-apiserver with --requestheader-client-ca-file and --proxy-client-cert-file; until then "
                "nobody is answered",
            )
        return cls(
            authorities,
            frozenset(_names(data, _ALLOWED, ())),
            _names(data, _USER, ("X-Remote-User",)),
            _names(data, _GROUP, ("X-Remote-Group",)),
        )

    def caller(self, common_names: Sequence[str], headers: Mapping[str, Sequence[str]]) -> Caller:
        """
        Who asks.

        Args:
            common_names: Of the certificate of whoever connected, which is known to be signed by the authorities.
            headers: Of the request, by names in lower case.

        Raises:
            Refused: If it is not the front proxy, or it does not say who.
        """
        if self.allowed_names and not self.allowed_names.intersection(common_names):
            raise Refused(HTTPStatus.UNAUTHORIZED, f"a client named {', '.join(common_names)!r} is not the front proxy")
        users = [name for header in self.user_headers for name in headers.get(header.lower(), ()) if name]
        if not users:
            raise Refused(HTTPStatus.UNAUTHORIZED, f"no user is named in {' or '.join(self.user_headers)}")
        groups = (name for header in self.group_headers for name in headers.get(header.lower(), ()))
        return Caller(users[0], tuple(groups))


def _names(data: Mapping[str, str], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    try:
        names = json.loads(data.get(key) or "null")
    except ValueError:
        names = ""
    if names is None:  # not there, empty, or null: all of them say that nothing is said
        return default
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Misconfigured(f"{_FIELD}, {key}", f"{data[key]!r} is no list of texts", "it is kube-apiserver's to write")
    return tuple(names)
