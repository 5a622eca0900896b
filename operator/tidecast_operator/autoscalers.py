"""
HorizontalPodAutoscalers at the Kubernetes API: listed in pages, their floor applied, and given up again.

A door of its own beside `cluster`, because server-side apply wants a content type of its own. Synchronous: call it in a
thread. Knows nothing of forecasts.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kubernetes import client

from tidecast_operator.api_answers import Outcome, found, written
from tidecast_operator.errors import Misconfigured

FIELD_MANAGER = "tidecast-floor"
"""Who owns a floor while it is raised, as `kubectl get --show-managed-fields` shows it."""

_GROUP, _PLURAL, _KIND = "autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
_VERSIONS = ("v2", "v2beta2")  # v2 since Kubernetes 1.23; v2beta2 until 1.25
_PAGE_SIZE = 500
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
    """

    def __init__(self, configuration: client.Configuration) -> None:
        # Typed in some of the versions of the library that are supported, and not in others.
        self._client: Any = client.ApiClient(configuration)
        self._applying_client: Any = client.ApiClient(configuration, "Content-Type", _APPLY)
        self._custom: Any = client.CustomObjectsApi(self._client)
        self._applying: Any = client.CustomObjectsApi(self._applying_client)
        self._group: Any = client.AutoscalingApi(self._client)
        self._version = ""

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        self._applying_client.close()

    def pages(self, namespace: str = "") -> Iterator[Sequence[Autoscaler]]:
        """All of a namespace, or of the cluster, as one list that comes in pages."""
        token = ""
        while True:
            page = found(partial(self._page, namespace, token))
            if page is None:  # an upgrade of the API server has ended this version
                self._version = ""
                page = found(partial(self._page, namespace, token)) or {"metadata": {}, "items": []}
            yield list(_parsed(page["items"] or ()))
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def read(self, namespace: str, name: str) -> Autoscaler | None:
        """One of them; None if it is not there."""
        where = (_GROUP, self._served(), namespace, _PLURAL, name)
        body = found(lambda: _decoded(self._custom.get_namespaced_custom_object, *where))
        return None if body is None else parse(body)

    def apply(self, autoscaler: Autoscaler, floor: int, annotations: Mapping[str, str]) -> Autoscaler | Outcome:
        """
        Writes its floor and annotations at once, and owns them; gives it as it is then.

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
            },
            "spec": {"minReplicas": floor},
        }
        where = (_GROUP, version, autoscaler.namespace, _PLURAL, autoscaler.name)
        # By force: the floor belongs to somebody else until it is raised.
        options = {"field_manager": FIELD_MANAGER, "force": True}
        return _written(
            lambda: _decoded(self._applying.patch_namespaced_custom_object, *where, body=body, **options),
        )

    def release(self, autoscaler: Autoscaler, annotations: Iterable[str]) -> Autoscaler | Outcome:
        """
        Removes annotations and gives up all ownership at once; every other field stays as it is.

        To apply nothing would remove what was owned, the floor too; so the entry itself is taken out of the list of
        managers. `CONFLICT` if it has changed since it was read.
        """
        others = [entry for entry in autoscaler.managers if entry.get("manager") != FIELD_MANAGER]
        metadata = {
            "resourceVersion": autoscaler.version,
            "annotations": dict.fromkeys(annotations),
            "managedFields": others or [{}],  # a list without items is ignored
        }
        where = (_GROUP, self._served(), autoscaler.namespace, _PLURAL, autoscaler.name)
        body = {"metadata": metadata}
        return _written(
            lambda: _decoded(
                self._custom.patch_namespaced_custom_object, *where, body=body, field_manager=FIELD_MANAGER
            ),
        )

    def _page(self, namespace: str, token: str) -> Any:
        more = {"_continue": token} if token else {}
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
