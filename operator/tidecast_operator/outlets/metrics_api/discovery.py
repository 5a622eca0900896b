"""
What the server says that it serves, in the old documents and in the aggregated one. Pure.

Only reading single values is offered: controllers that delete or list everything must not try it here. The kind of an
aggregated resource that only has parts is empty, as the API server itself writes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidecast_operator.outlets.metrics_api import custom, external
from tidecast_operator.outlets.metrics_api.accepting import Taken
from tidecast_operator.outlets.metrics_api.offering import Metric

_AGGREGATED_GROUP, _AGGREGATED_KIND = "apidiscovery.k8s.io", "APIGroupDiscoveryList"
_VERBS = ["get"]


@dataclass(frozen=True, slots=True)
class Group:
    """
    One API group, of which one version is served.

    Attributes:
        name: As in `external.metrics.k8s.io`.
        version: As in `v1beta1`.
        kind: Of all its documents.
        parent: What the metrics are parts of; empty if they stand alone.
    """

    name: str
    version: str
    kind: str
    parent: str = ""

    @property
    def api_version(self) -> str:
        """As in `external.metrics.k8s.io/v1beta1`."""
        return f"{self.name}/{self.version}"


GROUPS: Mapping[str, Group] = {
    group.name: group
    for group in (
        Group(external.GROUP, external.VERSION, external.KIND),
        Group(custom.GROUP, custom.VERSION, custom.KIND, parent=custom.RESOURCE),
    )
}


def groups() -> dict[str, Any]:
    """An `APIGroupList`, for /apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in GROUPS.values()]}


def group(one: Group) -> dict[str, Any]:
    """An `APIGroup`, for /apis/GROUP."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(one)}


def resources(one: Group) -> dict[str, Any]:
    """An `APIResourceList`, for /apis/GROUP/VERSION."""
    prefix = f"{one.parent}/" if one.parent else ""
    served = [
        {"name": f"{prefix}{metric}", "singularName": "", "namespaced": True, "kind": one.kind, "verbs": _VERBS}
        for metric in Metric
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": one.api_version, "resources": served}


def aggregated(taken: tuple[Taken, ...]) -> tuple[dict[str, Any], str] | None:
    """
    An `APIGroupDiscoveryList` and its content type, in the first version that a client takes; None if it asks for none.
    """
    for one in taken:
        if (one.group, one.kind) == (_AGGREGATED_GROUP, _AGGREGATED_KIND) and one.version in ("v2", "v2beta1"):
            body = {
                "kind": _AGGREGATED_KIND,
                "apiVersion": f"{_AGGREGATED_GROUP}/{one.version}",
                "metadata": {},
                "items": [_aggregated_group(group) for group in GROUPS.values()],
            }
            return body, f"application/json;g={_AGGREGATED_GROUP};v={one.version};as={_AGGREGATED_KIND}"
    return None


def _group(one: Group) -> dict[str, Any]:
    version = {"groupVersion": one.api_version, "version": one.version}
    return {"name": one.name, "versions": [version], "preferredVersion": version}


def _aggregated_group(one: Group) -> dict[str, Any]:
    version = {"version": one.version, "resources": list(_aggregated_resources(one)), "freshness": "Current"}
    return {"metadata": {"name": one.name, "creationTimestamp": None}, "versions": [version]}


def _aggregated_resources(one: Group) -> Iterator[dict[str, Any]]:
    kind = {"group": one.name, "version": one.version, "kind": one.kind}
    if not one.parent:
        for metric in Metric:
            yield {"resource": metric, "responseKind": kind, **_aggregated_rest()}
        return
    parts = [{"subresource": metric, "responseKind": kind, "verbs": _VERBS} for metric in Metric]
    nothing = {"group": "", "version": "", "kind": ""}
    yield {
        "resource": one.parent,
        "responseKind": nothing,
        **_aggregated_rest(),
        "verbs": [],
        "subresources": parts,
    }


def _aggregated_rest() -> dict[str, Any]:
    return {"scope": "Namespaced", "singularResource": "", "verbs": _VERBS}
