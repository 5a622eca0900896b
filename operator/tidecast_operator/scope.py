"""
A list of namespaces instead of the whole cluster: which of them the operator may work in, and what the picture knows of
them.

Nothing without a namespace is read: the namespaces of the list count as existing, and as chosen. One in which a
permission is missing is left out, with everything in it, until that is granted; the others go on.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from tidecast_operator.access import Permission
from tidecast_operator.errors import Misconfigured, TidecastError
from tidecast_operator.picture import Picture
from tidecast_operator.resources import FORECAST_KIND, FORECASTS, GROUP

FLAG = "--watch-namespaces"
KINDS = ("Service", "Deployment", "StatefulSet", "DaemonSet", FORECAST_KIND)
"""What is watched in each namespace."""

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_EVERY_SECONDS = 30.0
_AGAIN_SECONDS = 2.0
_log = logging.getLogger(__name__)

_WATCHED = (
    ("", "services"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    (GROUP, FORECASTS),
)
NEEDED = (
    *(Permission(verb, plural, group) for group, plural in _WATCHED for verb in ("list", "watch")),
    Permission("create", FORECASTS, GROUP),
    Permission("delete", FORECASTS, GROUP),
    Permission("patch", f"{FORECASTS}/status", GROUP),
    Permission("create", "events"),
)
"""In each namespace."""
NEEDED_FOR_FLOORS = tuple(
    Permission(verb, "horizontalpodautoscalers", "autoscaling") for verb in ("get", "list", "patch")
)
"""In each namespace, with `--hpa-floors`."""


class Asks(Protocol):
    """What is needed of `Access`."""

    def serves(self, *plurals: str) -> bool:
        """Whether the API server knows these resources."""

    def may(self, permission: Permission, namespace: str) -> bool:
        """Whether the operator may do that there."""


class ListsNamespaces(Protocol):
    """What is needed of `Cluster`."""

    def list_names(self, kind: str, namespace: str = "") -> Mapping[tuple[str, str], int] | None:
        """
        All objects of a kind in a namespace: (namespace, name), and when it was created, unix seconds; None where the
        kind is not known.
        """


def parse_names(text: str) -> tuple[str, ...]:
    """
    The namespaces that a comma-separated list names.

    Raises:
        Misconfigured: If one is no name, or none is there.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise Misconfigured(FLAG, f"{name!r} is no name of a namespace", "write names as in shop,payments")
    if not names:
        raise Misconfigured(FLAG, "names no namespace", "write names as in shop,payments, or leave the flag out")
    return names


def missing(access: Asks, namespace: str, needed: Sequence[Permission]) -> tuple[Permission, ...]:
    """Those of the permissions that the operator does not have in a namespace."""
    return tuple(permission for permission in needed if not access.may(permission, namespace))


def why_left_out(namespace: str, lacking: Sequence[Permission]) -> Misconfigured:
    """What to tell whoever has to grant something."""
    return Misconfigured(
        FLAG,
        f"namespace {namespace} is left out: the operator may not {', '.join(map(str, lacking))} there",
        "create the namespace, and in it a Role and a RoleBinding as manifests/rbac-namespaced.yaml has them",
    )


class Scope:
    """
    The namespaces of the list, and those of them that are open to the operator.

    Args:
        names: The list.
        access: Asked what is permitted.
        cluster: Asked what is there.
        picture: What knows the open namespaces, and nothing of others.
        needed: What has to be permitted in each.

    Attributes:
        on_change: Called when other namespaces are open than before, or the API server has come to know Tidecast's
            resources: watches have to be opened anew.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        access: Asks,
        cluster: ListsNamespaces,
        picture: Picture,
        needed: Sequence[Permission] = NEEDED,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._names = tuple(names)
        self._access = access
        self._cluster = cluster
        self._picture = picture
        self._needed = tuple(needed)
        self._open: tuple[str, ...] = ()
        self._lacked: frozenset[str] = frozenset()
        self._serves: bool | None = None
        self._told: dict[str, str] = {}
        self._looked = asyncio.Event()
        self._lock = asyncio.Lock()

    @property
    def open(self) -> tuple[str, ...]:
        """The namespaces that the operator works in now."""
        return self._open

    async def run(self) -> None:
        """Looks every half minute, with a long list less often, once the watches have looked; until cancelled."""
        await self.ready()
        while True:
            # Some fifteen questions a namespace: few enough a second, however long the list.
            await asyncio.sleep(max(_EVERY_SECONDS, len(self._names)))
            try:
                if await self.look():
                    self.on_change()
            except TidecastError as error:
                _log.warning("namespaces stay as they are: %s", error)

    async def ready(self) -> None:
        """Returns when it is known which namespaces are open."""
        await self._looked.wait()

    async def look(self) -> bool:
        """
        Asks what is permitted; whether that, or what the API server knows, is other than before.

        Raises:
            TidecastError: If the API server cannot be asked; all stays as it is.
        """
        async with self._lock:
            serves, lacking = await asyncio.to_thread(self._ask)
            # A Role that is replaced is away for a moment: what is forgotten for that is not asked for any more, and
            # floors fall. So a namespace closes when two looks in a row have found something lacking.
            lacked, self._lacked = self._lacked, frozenset(name for name in self._names if lacking[name])
            closing = lacked & self._lacked
            now = tuple(n for n in self._names if not lacking[n] or (n in self._open and n not in closing))
            self._tell({name: () if name in now else some for name, some in lacking.items()}, serves=serves)
            is_other = (now, serves) != (self._open, self._serves)
            closed, opened = set(self._open) - set(now), set(now) - set(self._open)
            self._open, self._serves = now, serves
            self._forget(closed)
            for name in sorted(opened):
                self._picture.observe("ADDED", _namespace(name))
            self._looked.set()
            return is_other

    async def namespaces(self) -> Sequence[str]:
        """Those to be watched from now on; looks anew, since what was watched until now may be forbidden."""
        while True:
            try:
                await self.look()
            except TidecastError as error:
                _log.warning("it is not known what is permitted: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return self._open

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Takes in one watch event, unless it is a late one from a namespace that is not open any more."""
        if body["metadata"].get("namespace") in self._open:
            self._picture.observe(event_type, body)

    def list_names(self, kind: str) -> Mapping[tuple[str, str], int] | None:
        """All objects of one of `KINDS` in the open namespaces, None where the kind is not known; synchronous."""
        names: dict[tuple[str, str], int] = {}
        for namespace in self._open:
            found = self._cluster.list_names(kind, namespace)
            if found is None:
                return None
            names |= found
        return names

    def _ask(self) -> tuple[bool, Mapping[str, tuple[Permission, ...]]]:
        lacking = {name: missing(self._access, name, self._needed) for name in self._names}
        return self._access.serves(FORECASTS), lacking

    def _tell(self, lacking: Mapping[str, Sequence[Permission]], *, serves: bool) -> None:
        told = {name: str(why_left_out(name, some)) if some else "" for name, some in lacking.items()}
        for name, text in told.items():
            if text and text != self._told.get(name):
                _log.error("%s", text)
            elif not text and self._told.get(name) != "":
                _log.info("namespace %s is watched", name)
        self._told = told
        if not serves and self._serves is not False:
            _log.error("the API server does not know the kind %s; apply manifests/crds", FORECAST_KIND)

    def _forget(self, namespaces: set[str]) -> None:
        for kind, names in self._picture.names().items():
            self._picture.forget(kind, _within(names, namespaces))
        self._picture.forget("Namespace", [("", name) for name in namespaces])


def _within(names: frozenset[tuple[str, str]], namespaces: set[str]) -> Iterator[tuple[str, str]]:
    return (name for name in names if name[0] in namespaces)


def _namespace(name: str) -> Mapping[str, Any]:
    return {"kind": "Namespace", "metadata": {"name": name}}
