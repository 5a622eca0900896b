"""
HorizontalPodAutoscalers at the Kubernetes API: listed in pages, their floor applied, and given up again.

A door of its own beside `cluster`, because server-side apply wants a content type of its own. Synchronous: call it in a
thread. Knows nothing of forecasts.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kubernetes import client

from tidecast_operator.api_answers import Outcome, found, written
from tidecast_operator.errors import Misconfigured
from tidecast_operator.fencing import Fence, fence_in

FIELD_MANAGER = "tidecast-floor"
"""Who owns a floor while it is raised, as `kubectl get --show-managed-fields` shows it."""

_GROUP, _PLURAL, _KIND = "autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
_VERSIONS = ("v2", "v2beta2")  # v2 since Kubernetes 1.23; v2beta2 until 1.25
_PAGE_SIZE = 500
_ANY_VERSION = "0"
_TIMEOUT_SECONDS = (5, 20)
_log = logging.getLogger(__name__)
_APPLY = "application/apply-patch+yaml"  # JSON is YAML too


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """
    A HorizontalPodAutoscaler as it was read.

    Attributes:
        namespace: Where it lives.
        name: Its name.
        uid: Its identity; another one of the same name has another.
        version: Changes with every write, by whomever.
        target_group: API group of what it scales.
        target_kind: Kind of what it scales.
        target_name: Name of what it scales.
        min_replicas: Its floor; 1 where none is written, and 0 where it may scale to zero.
        max_replicas: Its ceiling.
        annotations: All of them.
        labels: All of them.
        managers: Its managed fields, one entry for each manager.
        controllers: (API group, name) of the objects that it is made by.
    """

    namespace: str
    name: str
    uid: str
    version: str
    target_group: str
    target_kind: str
    target_name: str
    min_replicas: int
    max_replicas: int
    annotations: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    managers: tuple[Mapping[str, Any], ...] = ()
    controllers: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def is_held(self) -> bool:
        """Whether some of its fields are owned by `FIELD_MANAGER`."""
        return any(entry.get("manager") == FIELD_MANAGER for entry in self.managers)

    @property
    def is_floor_held(self) -> bool:
        """Whether its floor is: nobody else has written another one since `FIELD_MANAGER` did."""
        ours = (entry.get("fieldsV1") or {} for entry in self.managers if entry.get("manager") == FIELD_MANAGER)
        return any("f:minReplicas" in (fields.get("f:spec") or {}) for fields in ours)

    def __str__(self) -> str:
        return f"{_KIND} {self.namespace}/{self.name}"


def parse(body: Mapping[str, Any]) -> Autoscaler:
    """What an object of the API says."""
    metadata, spec = body["metadata"], body["spec"]
    target, floor = spec["scaleTargetRef"], spec.get("minReplicas")
    owners = (owner for owner in metadata.get("ownerReferences") or () if owner.get("controller"))
    return Autoscaler(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        target_group=_group(target.get("apiVersion", "")),
        target_kind=target["kind"],
        target_name=target["name"],
        min_replicas=1 if floor is None else floor,
        max_replicas=spec["maxReplicas"],
        annotations=metadata.get("annotations") or {},
        labels=metadata.get("labels") or {},
        managers=tuple(metadata.get("managedFields") or ()),
        controllers=tuple((_group(owner["apiVersion"]), owner["name"]) for owner in owners),
    )


class Autoscalers:
    """
    Reads and writes HorizontalPodAutoscalers; safe to use from several threads.

    Every method raises `ApiServerUnavailable` when the API server does not answer or asks to be left alone,
    `Misconfigured` when a permission is lacking, and `WriteRefused` when a write is not valid.

    Args:
        configuration: From `cluster.load_configuration`.
        connections: How many are kept open: as many as threads that call.
        namespaces: Which alone are looked into; none for the whole cluster.
        fence: What every write has to pass; None where there is no other replica.
    """

    def __init__(
        self,
        configuration: client.Configuration,
        *,
        connections: int = 8,
        namespaces: Sequence[str] = (),
        fence: Fence | None = None,
    ) -> None:
        configuration.connection_pool_maxsize = connections
        # Typed in some of the versions of the library that are supported, and not in others.
        self._client: Any = client.ApiClient(configuration)
        self._applying_client: Any = client.ApiClient(configuration, "Content-Type", _APPLY)
        if fence is not None:
            fence_in(self._client, fence)
            fence_in(self._applying_client, fence)
        self._custom: Any = client.CustomObjectsApi(self._client)
        self._applying: Any = client.CustomObjectsApi(self._applying_client)
        self._group: Any = client.AutoscalingApi(self._client)
        self._version = ""
        self._namespaces = tuple(namespaces)
        self._refused: dict[str, str] = {}

    @property
    def is_partial(self) -> bool:
        """Whether the last list of all lacked namespaces that the operator may not look into now."""
        return bool(self._refused)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        self._applying_client.close()

    def pages(
        self, namespace: str = "", *, selector: str = "", is_cached: bool = False
    ) -> Iterator[Sequence[Autoscaler]]:
        """
        All of a namespace, or of all that are looked into, in pages.

        Of the latter, one that the operator may not look into is left out: it may be allowed in others.

        Args:
            namespace: Which one; empty for all that are looked into.
            selector: Only those with labels that it matches.
            is_cached: Whether the API server may answer from its memory, in one page, and be a little behind: it need
                not read all others from its storage then.
        """
        chosen = {"label_selector": selector} if selector else {}
        more = {"resource_version": _ANY_VERSION} if is_cached else {}
        if namespace or not self._namespaces:
            yield from self._list(namespace, chosen, more)
            return
        for each in self._namespaces:
            try:
                yield from self._list(each, chosen, more)
                self._refused.pop(each, None)
            except Misconfigured as error:
                if self._refused.get(each) != str(error):
                    self._refused[each] = str(error)
                    _log.error("HorizontalPodAutoscalers of namespace %s are left out: %s", each, error)

    def _list(self, namespace: str, chosen: dict[str, str], more: dict[str, str]) -> Iterator[Sequence[Autoscaler]]:
        while True:
            page = found(partial(self._page, namespace, chosen | more))
            if page is None:  # an upgrade of the API server has ended this version
                self._version = ""
                page = found(partial(self._page, namespace, chosen | more)) or {"metadata": {}, "items": []}
            yield list(_parsed(page["items"] or ()))
            token = page["metadata"].get("continue", "")
            if not token:
                return
            more = {"_continue": token}

    def read(self, namespace: str, name: str) -> Autoscaler | None:
        """One of them; None if it is not there."""
        where = (_GROUP, self._served(), namespace, _PLURAL, name)
        body = found(lambda: _decoded(self._custom.get_namespaced_custom_object, *where))
        return None if body is None else next(_parsed([body]), None)

    def apply(
        self, autoscaler: Autoscaler, floor: int, *, annotations: Mapping[str, str], labels: Mapping[str, str]
    ) -> Autoscaler | Outcome:
        """
        Writes its floor, annotations and labels at once, and owns them; gives it as it is then.

        `CONFLICT` if it has changed since it was read, or is not there any more.
        """
        version = self._served()
        body = {
            "apiVersion": f"{_GROUP}/{version}",
            "kind": _KIND,
            "metadata": {
                "namespace": autoscaler.namespace,
                "name": autoscaler.name,
                "uid": autoscaler.uid,
                "resourceVersion": autoscaler.version,
                "annotations": dict(annotations),
                "labels": dict(labels),
            },
            "spec": {"minReplicas": floor},
        }
        where = (_GROUP, version, autoscaler.namespace, _PLURAL, autoscaler.name)
        # By force: the floor belongs to somebody else until it is raised.
        options = {"field_manager": FIELD_MANAGER, "force": True}
        return _written(
            lambda: _decoded(self._applying.patch_namespaced_custom_object, *where, body=body, **options),
        )

    def release(
        self, autoscaler: Autoscaler, *, annotations: Iterable[str], labels: Iterable[str]
    ) -> Autoscaler | Outcome:
        """
        Removes annotations and labels, and gives up all ownership at once; every other field stays as it is.

        To apply nothing would remove what was owned, the floor too; so the entry itself is taken out of the list of
        managers. `CONFLICT` if it has changed since it was read.
        """
        others = [entry for entry in autoscaler.managers if entry.get("manager") != FIELD_MANAGER]
        metadata = {
            "resourceVersion": autoscaler.version,
            "annotations": dict.fromkeys(annotations),
            "labels": dict.fromkeys(labels),
            "managedFields": others or [{}],  # a list without items is ignored
        }
        where = (_GROUP, self._served(), autoscaler.namespace, _PLURAL, autoscaler.name)
        body = {"metadata": metadata}
        return _written(
            lambda: _decoded(
                self._custom.patch_namespaced_custom_object, *where, body=body, field_manager=FIELD_MANAGER
            ),
        )

    def _page(self, namespace: str, more: Mapping[str, str]) -> Any:
        within = (namespace,) if namespace else ()
        list_page = self._custom.list_namespaced_custom_object if namespace else self._custom.list_cluster_custom_object
        return _decoded(list_page, _GROUP, self._served(), *within, _PLURAL, limit=_PAGE_SIZE, **more)

    def _served(self) -> str:
        if not self._version:
            group = found(lambda: self._group.get_api_group(_request_timeout=_TIMEOUT_SECONDS))
            served = {each.version for each in group.versions} if group is not None else set()
            self._version = next((version for version in _VERSIONS if version in served), "")
        if not self._version:
            raise Misconfigured(
                "spec.scaling.horizontalPodAutoscalerName",
                f"the API server serves no {_GROUP}/{' nor '.join(_VERSIONS)}",
                "use Kubernetes 1.18 or newer, or leave the field out",
            )
        return self._version


def _parsed(items: Iterable[Mapping[str, Any]]) -> Iterator[Autoscaler]:
    for item in items:
        try:
            yield parse(item)
        except (KeyError, TypeError) as error:
            # One odd object must not keep all others from being given back.
            _log.warning("a HorizontalPodAutoscaler cannot be read and is left alone: %r", error)


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _decoded(call: Callable[..., Any], *where: str, **options: Any) -> Any:
    return json.loads(call(*where, _preload_content=False, _request_timeout=_TIMEOUT_SECONDS, **options).data)


def _written(write: Callable[[], Any]) -> Autoscaler | Outcome:
    answers: list[Any] = []
    outcome = written(lambda: answers.append(write()))
    return parse(answers[0]) if outcome is Outcome.DONE else outcome
