"""
Kinds that operators of others bring: small definitions, so that objects of these kinds can be made.
"""

import json
from typing import Any

from tidecast_simulator.testbed.control_plane import ControlPlane

_KINDS = {
    "ServiceMonitor": ("monitoring.coreos.com", "servicemonitors"),
    "PrometheusRule": ("monitoring.coreos.com", "prometheusrules"),
    "Certificate": ("cert-manager.io", "certificates"),
    "Issuer": ("cert-manager.io", "issuers"),
}


def install(plane: ControlPlane) -> None:
    """Installs them, and returns when the API server knows them."""
    bodies = [_definition(kind, group, plural) for kind, (group, plural) in _KINDS.items()]
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))
    names = [f"crd/{body['metadata']['name']}" for body in bodies]
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


def _definition(kind: str, group: str, plural: str) -> dict[str, Any]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }
