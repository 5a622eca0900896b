"""
A node for the pods of one fresh namespace.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from builders.node_pods import PROGRAMS
from builders.waiting import eventually
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.node import Node


@dataclass(frozen=True, slots=True)
class Kept:
    """A node, and the namespace whose pods it runs."""

    node: Node
    namespace: str
    control_plane: ControlPlane

    def apply(self, *bodies: dict[str, Any]) -> None:
        """Applies objects to the namespace."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        self.control_plane.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=json.dumps(items))

    def find(self, kind: str, name: str = "", **query: str) -> Any:
        """One object, or all of a kind in the namespace; None if there is none. Asked often, so without kubectl."""
        group = {"deployments": "apis/apps/v1", "jobs": "apis/batch/v1"}.get(kind, "api/v1")
        place = "" if kind in ("nodes", "persistentvolumes") else f"namespaces/{self.namespace}/"
        answer = requests.get(
            f"{self.control_plane.url}/{group}/{place}{kind}/{name}".rstrip("/"),
            params=query,
            headers={"Authorization": f"Bearer {self.control_plane.token}"},
            verify=str(self.control_plane.ca_file),
            timeout=10,
        )
        return None if answer.status_code == requests.codes.not_found else answer.json()

    def pod(self, name: str) -> Any:
        """A pod; an empty one if it is not there."""
        return self.find("pods", name) or {"status": {}}

    def delete(self, *what: str) -> None:
        """Deletes objects of the namespace, without waiting."""
        self.control_plane.kubectl("delete", "-n", self.namespace, "--wait=false", *what)

    def pods(self, name: str) -> list[str]:
        """The names of the pods with that label."""
        return [pod["metadata"]["name"] for pod in self.find("pods", labelSelector=f"app={name}")["items"]]

    def phase(self, pod: str) -> str:
        """Of a pod."""
        return str(self.pod(pod)["status"].get("phase", ""))

    def ends(self, pod: str) -> str:
        """The phase of a pod that ends by itself."""
        eventually(lambda: self.phase(pod) in ("Succeeded", "Failed"))
        return self.phase(pod)

    def container(self, pod: str) -> dict[str, Any]:
        """The status of the first container of a pod."""
        statuses = self.pod(pod)["status"].get("containerStatuses") or [{"state": {}}]
        return dict(statuses[0])

    def is_ready(self, pod: str) -> bool:
        """Whether a pod says that it is."""
        return bool(self.container(pod).get("ready"))

    def available(self, deployment: str) -> int:
        """Available replicas of the present version of a Deployment."""
        body = self.find("deployments", deployment)
        status = body["status"]
        is_seen = status.get("observedGeneration") == body["metadata"]["generation"]
        is_one = status.get("replicas") == status.get("updatedReplicas")
        return int(status.get("availableReplicas", 0)) if is_seen and is_one else 0

    def answer(self, pod: str, path: str = "/") -> str:
        """What the web program of a pod answers."""
        return requests.get(f"http://{self.node.address(self.namespace, pod, 8080)}{path}", timeout=5).text

    def says(self, pod: str, **which: Any) -> str:
        """What a pod has said."""
        return self.node.logs(self.namespace, pod, **which)


@pytest.fixture
def start_node(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    """Starts a node with more arguments of its own; it ends with the test."""
    nodes: list[Node] = []

    def start(**arguments: Any) -> Kept:
        node = Node(
            control_plane,
            namespaces=[namespace],
            programs=PROGRAMS,
            directory=tmp_path / f"node-{len(nodes)}",
            **{"refresh_seconds": 0.3, "backoff_seconds": 0.3, **arguments},
        )
        nodes.append(node)
        node.start()
        return Kept(node, namespace, control_plane)

    yield start
    for node in nodes:
        node.stop()


@pytest.fixture
def kept(start_node: Callable[..., Kept]) -> Kept:
    """A node as most tests want it."""
    return start_node()
