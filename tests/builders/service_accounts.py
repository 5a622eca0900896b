"""
The service account of an operator that is confined to some namespaces, and the kubeconfig with which it comes.
"""

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tidecast_simulator.testbed.control_plane import ControlPlane

MANIFESTS = Path(__file__).parents[2] / "manifests"
_OWN, _WATCHED = "tidecast-system", "shop"


def confined(plane: ControlPlane, own: str, watched: Iterable[str]) -> None:
    """Applies `rbac-namespaced.yaml`, for an operator that runs in *own*, and for each of the watched namespaces."""
    documents = list(yaml.safe_load_all((MANIFESTS / "rbac-namespaced.yaml").read_text()))
    objects = [_moved(body, {_OWN: own}) for body in documents if body["metadata"]["namespace"] == _OWN]
    for namespace in watched:
        moves = {_OWN: own, _WATCHED: namespace}
        objects += [_moved(body, moves) for body in documents if body["metadata"]["namespace"] == _WATCHED]
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def kubeconfig_of(plane: ControlPlane, namespace: str, account: str, folder: Path) -> Path:
    """A file with which a process has the rights of a service account, and no others."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = plane.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(request))
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": json.loads(answer)["status"]["token"]}
    file = folder / f"kubeconfig-{account}-{uuid.uuid4().hex[:6]}"
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    return file


def _moved(body: Any, moves: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {
            key: moves.get(value, value) if key == "namespace" and isinstance(value, str) else _moved(value, moves)
            for key, value in body.items()
        }
    return [_moved(one, moves) for one in body] if isinstance(body, list) else body
