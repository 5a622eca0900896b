"""
Texts of a pod made to fit this machine: mount paths become folders, addresses become ports of the loopback.

Pure: it knows neither the API server nor processes.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

WILDCARDS = frozenset({"", "0.0.0.0", "[::]"})  # noqa: S104 (what pods listen on; never listened on here)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = r"\[[0-9A-Fa-f:.]*\]|\w(?:[\w.-]*\w)?\.?"
_ADDRESS = re.compile(
    # A URL without a port, or an address with one; a port alone counts in arguments only.
    rf"(?P<scheme>https?)://(?P<bare>{_HOST})(?=[/?#\s\"',]|$)"
    rf"|(?<![\w.\-:\]])(?P<host>{_HOST})?:(?P<port>\d{{1,5}})(?![\w.:\-])"
)
_BEFORE_A_PORT = frozenset("=, ")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Rewriting:
    """
    How the texts of one container are rewritten.

    Attributes:
        folders: Where each mount path is on this machine.
        ports: The ports of 127.0.0.1 that stand for ports that the pod listens on.
        own_hosts: Addresses of the pod itself, beside the usual ones for "all".
        resolve: The address, host:port, that stands for one of somebody else; None to leave it as it is.
    """

    folders: Mapping[str, str]
    ports: Mapping[int, int]
    own_hosts: frozenset[str]
    resolve: Callable[[str, int], str | None]

    def argument(self, text: str) -> str:
        """An argument or a variable."""
        return self._addresses(self._paths(text), is_argument=True)

    def file(self, content: bytes) -> bytes:
        """What a file holds; one that is no text stays as it is, and so do paths."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return content
        return self._addresses(text, is_argument=False).encode()

    def _paths(self, text: str) -> str:
        if not self.folders:
            return text
        paths = sorted((re.escape(path) for path in self.folders), key=len, reverse=True)
        # In one pass: a folder may itself be below a path that is mounted, as in /tmp.
        pattern = rf"(?:(?<=://)|(?<![\w./\-]))({'|'.join(paths)})(?![\w.\-])"
        return re.sub(pattern, lambda match: self.folders[match[1]], text)

    def _addresses(self, text: str, *, is_argument: bool) -> str:
        def replaced(match: re.Match[str]) -> str:
            if match["scheme"]:
                address = self._address(match["bare"], _DEFAULT_PORTS[match["scheme"]])
                return match[0] if address is None else f"{match['scheme']}://{address}"
            host = match["host"] or ""
            if not host and not (is_argument and _may_be_a_port_alone(text, match.start())):
                return match[0]
            return self._address(host, int(match["port"])) or match[0]

        return _ADDRESS.sub(replaced, text)

    def _address(self, host: str, port: int) -> str | None:
        # What a test names beats everything else.
        if host not in WILDCARDS and (named := self.resolve(host, port)) is not None:
            return named
        if port in self.ports and (host in WILDCARDS or host in LOOPBACK or host in self.own_hosts):
            return f"{'localhost' if host == 'localhost' else '127.0.0.1'}:{self.ports[port]}"
        return None


def _may_be_a_port_alone(text: str, start: int) -> bool:
    return start == 0 or text[start - 1] in _BEFORE_A_PORT


def listened_on(texts: Iterable[str], declared: Iterable[int], own_hosts: frozenset[str]) -> set[int]:
    """
    The ports that a pod is told to listen on, as far as its arguments and variables tell.

    Those of all addresses, and those of the loopback or of a variable, as in $(POD_IP):8080, that the pod declares or
    probes: other addresses of the loopback may be meant for a server beside the test.
    """
    known, found = set(declared), set()
    for text in texts:
        for match in _ADDRESS.finditer(text):
            if match["port"] is None or not int(match["port"]):
                continue
            host, port = match["host"] or "", int(match["port"])
            if not host:
                is_of_a_variable = text[: match.start()].endswith(")") and port in known
                is_meant = is_of_a_variable or _may_be_a_port_alone(text, match.start())
            else:
                is_meant = host in WILDCARDS or host in own_hosts or (host in LOOPBACK and port in known)
            if is_meant:
                found.add(port)
    return found
