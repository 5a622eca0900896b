"""
All that an API server holds, to tell what an installation leaves behind.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from tidecast_simulator.testbed.control_plane import ControlPlane

Key = tuple[str, str, str]
"""Kind with its group, namespace, name."""

_PASSING = {"events", "events.events.k8s.io", "componentstatuses"}
# These change by themselves all the time: that they are there is what counts.
_MOVING = {"leases.coordination.k8s.io", "endpoints", "endpointslices.discovery.k8s.io", "nodes"}
_OF_THE_SERVER = ("resourceVersion", "managedFields", "generation", "selfLink")
_OF_CONTROLLERS = "autoscaling.alpha.kubernetes.io/"  # how the first version of an autoscaler shows its status


class Inventory:
    """
    Asks an API server for everything that it can list.

    Args:
        plane: A running one.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._url = plane.url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {plane.token}"
        self._authority = str(plane.ca_file)

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def take(self) -> Mapping[Key, Any]:
        """Every object, without its status and without what the server counts; of some kinds only that it is there."""
        return {key: body for path, kind in self._kinds() for key, body in self._objects(path, kind)}

    def take_at_rest(self) -> Mapping[Key, Any]:
        """The same, once nothing has changed for a while."""
        before, after = self.take(), self.take()
        while before != after:
            time.sleep(1)
            before, after = after, self.take()
        return after

    def _kinds(self) -> Iterator[tuple[str, str]]:
        """Path and name of each kind that can be listed, in one version."""
        groups = {
            f"/apis/{one['preferredVersion']['groupVersion']}": one["name"] for one in self._get("/apis")["groups"]
        }
        for base, group in {"/api/v1": "", **groups}.items():
            for one in (self._get(base) or {"resources": []})["resources"]:
                kind = f"{one['name']}.{group}" if group else one["name"]
                if "list" in one["verbs"] and "/" not in one["name"] and kind not in _PASSING:
                    yield f"{base}/{one['name']}", kind

    def _objects(self, path: str, kind: str) -> Iterator[tuple[Key, Any]]:
        for one in (self._get(path) or {}).get("items") or ():
            metadata = one["metadata"]
            yield (kind, metadata.get("namespace", ""), metadata["name"]), None if kind in _MOVING else _content(one)

    def _get(self, path: str) -> Any:
        """None for what is not there any more, or is not served by the server behind an aggregated API."""
        answer = self._session.get(f"{self._url}{path}", verify=self._authority, timeout=30)
        if answer.status_code in (requests.codes.not_found, requests.codes.service_unavailable):
            return None
        answer.raise_for_status()
        return answer.json()


def difference(before: Mapping[Key, Any], after: Mapping[Key, Any]) -> dict[Key, str]:
    """What is gone, new or changed, by object."""
    found = dict.fromkeys(before.keys() - after.keys(), "gone") | dict.fromkeys(after.keys() - before.keys(), "new")
    changed = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    return found | {key: f"{before[key]} has become {after[key]}" for key in changed}


def _content(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _OF_THE_SERVER}
    annotations = metadata.pop("annotations", None) or {}
    metadata["annotations"] = {key: text for key, text in annotations.items() if not key.startswith(_OF_CONTROLLERS)}
    return {key: value for key, value in body.items() if key not in ("metadata", "status")} | {"metadata": metadata}
