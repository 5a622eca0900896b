"""
The Kubernetes objects of a mesh: what an API server would hold if the simulated services ran in its cluster.

Plain dictionaries in the newest API versions; `apply` and `delete` take an older version where the server has no newer.
The images do not exist: the pods of these workloads are never meant to start.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from tidecast_simulator.exporting.pods import pods_of
from tidecast_simulator.mesh import Mesh, Role, Service

Object = dict[str, Any]

OPT_IN_LABEL = "tidecast.dev/forecast"
_FIELD_MANAGER = "tidecast-simulator"
_PORT = 8080
_MANAGED_BY = {"app.kubernetes.io/managed-by": "tidecast-simulator"}

# The resource name of each kind, and the API versions it may be served in, newest first.
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Namespace": ("namespaces", ("v1",)),
    "Service": ("services", ("v1",)),
    "Deployment": ("deployments", ("apps/v1",)),
    "StatefulSet": ("statefulsets", ("apps/v1",)),
    "EndpointSlice": ("endpointslices", ("discovery.k8s.io/v1", "discovery.k8s.io/v1beta1")),
    "HorizontalPodAutoscaler": ("horizontalpodautoscalers", ("autoscaling/v2", "autoscaling/v2beta2")),
}


def objects_of(mesh: Mesh) -> list[Object]:
    """
    Namespaces, workloads, Services, EndpointSlices and autoscalers of a mesh, in an order in which they can be made.

    The namespaces of its services carry the label that opts in to forecasts; a gateway's namespace does not.
    """
    services = [service for service in mesh.services if not service.is_external]
    opted_in = {service.namespace for service in services if service.role is not Role.GATEWAY}
    objects = [_namespace(name, forecast=name in opted_in) for name in mesh.namespaces]
    addresses: dict[str, list[tuple[str, str]]] = {}
    for pod in pods_of(mesh):
        addresses.setdefault(mesh.services[pod.service].key, []).append((pod.name, pod.address))
    for service in services:
        pods = addresses[service.key][: service.replicas]
        objects += [_workload(service), _service(service), _endpoint_slice(service, pods)]
        if service.kind == "Deployment":
            objects.append(_autoscaler(service))
    return objects


def idle_deployment(namespace: str, name: str) -> Object:
    """A Deployment of three replicas for clusters in which no controller acts on it, and no pod shall ever run."""
    labels = {"app": name}
    container = {"name": "main", "image": "example.invalid/none:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def apply(objects: Iterable[Object], api: ApiClient) -> None:
    """
    Makes or updates objects on an API server, by server-side apply.

    Raises:
        kubernetes.client.exceptions.ApiException: If the server refuses one.
    """
    served = _Served(api)
    for one in objects:
        body = {**one, "apiVersion": served.version_of(one["kind"])}
        query = [("fieldManager", _FIELD_MANAGER), ("force", "true")]
        _request(api, "PATCH", served.path_of(one), query, body=json.dumps(body))


def delete(objects: Sequence[Object], api: ApiClient) -> None:
    """
    Deletes objects from an API server, last ones first; what is not there is no error.

    Raises:
        kubernetes.client.exceptions.ApiException: If the server refuses.
    """
    served = _Served(api)
    for one in reversed(objects):
        try:
            _request(api, "DELETE", served.path_of(one), [("propagationPolicy", "Background")])
        except ApiException as error:
            if error.status != 404:
                raise


class _Served:
    """Which versions an API server has; asks once for each group."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._versions: dict[str, str] = {}

    def version_of(self, kind: str) -> str:
        """The newest known version of a kind that the server has."""
        if kind not in self._versions:
            known = _KINDS[kind][1]
            self._versions[kind] = known[0] if len(known) == 1 else self._newest(known)
        return self._versions[kind]

    def path_of(self, one: Object) -> str:
        """Where an object is, below the server's address."""
        version = self.version_of(one["kind"])
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        namespace = one["metadata"].get("namespace")
        place = f"/namespaces/{namespace}" if namespace else ""
        return f"{base}{place}/{_KINDS[one['kind']][0]}/{one['metadata']['name']}"

    def _newest(self, known: tuple[str, ...]) -> str:
        group = known[0].partition("/")[0]
        answer = json.loads(_request(self._api, "GET", f"/apis/{group}", []))
        served = {version["groupVersion"] for version in answer["versions"]}
        return next((version for version in known if version in served), known[0])


def _request(api: ApiClient, method: str, path: str, query: list[tuple[str, str]], *, body: str | None = None) -> bytes:
    # By the client's own connections and credentials; its typed methods know one version of each kind only, and its
    # generic ones change from release to release.
    headers = {"Accept": "application/json", "Content-Type": "application/apply-patch+yaml"}
    for setting in api.configuration.auth_settings().values():
        if setting["in"] == "header":
            headers[setting["key"]] = setting["value"]
    url = f"{api.configuration.host}{path}?{urlencode(query)}"
    response = api.rest_client.pool_manager.request(method, url, headers=headers, body=body, timeout=30)
    if response.status >= 400:
        raise ApiException(status=response.status, reason=f"{method} {path}: {response.data.decode(errors='replace')}")
    return bytes(response.data)


def _namespace(name: str, *, forecast: bool) -> Object:
    labels = {**_MANAGED_BY, "istio-injection": "enabled", **({OPT_IN_LABEL: "enabled"} if forecast else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _metadata(service: Service, *, name: str = "", **labels: str) -> Object:
    return {
        "name": name or service.name,
        "namespace": service.namespace,
        "labels": {**_MANAGED_BY, "app": service.name, **labels},
    }


def _workload(service: Service) -> Object:
    container = {
        "name": service.name,
        "image": f"registry.example/{service.name}:{service.version}",
        "ports": [{"name": service.protocol, "containerPort": _PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    spec: Object = {
        "replicas": service.replicas,
        "selector": {"matchLabels": {"app": service.name}},
        "template": {
            "metadata": {"labels": {"app": service.name, "version": service.version}},
            "spec": {"containers": [container]},
        },
    }
    if service.kind == "StatefulSet":
        spec["serviceName"] = service.name
    return {
        "apiVersion": "apps/v1",
        "kind": service.kind,
        "metadata": _metadata(service, version=service.version),
        "spec": spec,
    }


def _service(service: Service) -> Object:
    port = {"name": service.protocol, "port": 80, "targetPort": _PORT, "protocol": "TCP"}
    spec = {"selector": {"app": service.name}, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(service), "spec": spec}


def _endpoint_slice(service: Service, pods: Sequence[tuple[str, str]]) -> Object:
    labels = {
        "kubernetes.io/service-name": service.name,
        # Not the controller's own: it would delete a slice that it does not know.
        "endpointslice.kubernetes.io/managed-by": "tidecast-simulator",
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata(service, name=f"{service.name}-simulated", **labels),
        "addressType": "IPv4",
        "ports": [{"name": service.protocol, "port": _PORT, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": service.namespace, "name": name},
            }
            for name, address in pods
        ],
    }


def _autoscaler(service: Service) -> Object:
    target = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(service),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
            "minReplicas": service.replicas,
            "maxReplicas": service.replicas * 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
