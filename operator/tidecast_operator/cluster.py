"""
The one door to the Kubernetes API for everything that is written but floors (see `autoscalers`) and Leases, and for Secrets.

Synchronous: call it in a thread. What is watched comes in through `handlers` instead. Knows nothing of forecasts.
"""

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from tidecast_operator.api_answers import Outcome, found, written
from tidecast_operator.errors import Misconfigured
from tidecast_operator.fencing import Fence, fence_in
from tidecast_operator.published import from_time
from tidecast_operator.resources import FORECAST_KIND, FORECASTER_KIND, FORECASTERS, FORECASTS, GROUP, VERSION

_TIMEOUT_SECONDS = (5, 20)
_FIELD_MANAGER = "tidecast"
_ONLY_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE_SIZE = 1000
_APPLY = "application/apply-patch+yaml"  # JSON is YAML too
_CA_FIELD_MANAGER = "tidecast-ca"
_API_SERVICES = ("apiregistration.k8s.io", "v1", "apiservices")
_LISTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "Namespace": ("CoreV1Api", "list_namespace", ()),
    "Service": ("CoreV1Api", "list_service_for_all_namespaces", ()),
    "Deployment": ("AppsV1Api", "list_deployment_for_all_namespaces", ()),
    "StatefulSet": ("AppsV1Api", "list_stateful_set_for_all_namespaces", ()),
    "DaemonSet": ("AppsV1Api", "list_daemon_set_for_all_namespaces", ()),
    FORECAST_KIND: ("CustomObjectsApi", "list_cluster_custom_object", (GROUP, VERSION, FORECASTS)),
    FORECASTER_KIND: ("CustomObjectsApi", "list_cluster_custom_object", (GROUP, VERSION, FORECASTERS)),
}
WATCHED_KINDS = tuple(_LISTS)
_load_kube_config: Any = config.load_kube_config
_load_incluster_config: Any = config.load_incluster_config


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """
    A Secret as it was read, or as it is to be.

    Attributes:
        namespace: Where it lives.
        name: Its name.
        type: As in `kubernetes.io/tls`.
        data: Its values, decoded.
        annotations: All of them.
        body: All that was read; data and annotations come from above when it is written.
    """

    namespace: str
    name: str
    type: str
    data: Mapping[str, bytes]
    annotations: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredCaBundle:
    """
    Whom the API server believes for an APIService.

    Attributes:
        api_service: Its name.
        bundle: PEM; empty for nobody.
        version: Changes with every write, by whomever.
        may_be_applied: Whether the API server keeps a record of who owns which field; of APIServices it did not always,
            and then an attempt to apply ends the connection.
    """

    api_service: str
    bundle: bytes
    version: str
    may_be_applied: bool = True


def load_configuration(kubeconfig: Path | None) -> client.Configuration:
    """
    How to reach the API server: from *kubeconfig*, else from the pod's service account, else from the user's own.

    Raises:
        Misconfigured: If there is none of them.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig is not None:
            _load_kube_config(str(kubeconfig), client_configuration=configuration)
        else:
            _load_ambient(configuration)
    except (ConfigException, OSError) as error:
        raise Misconfigured(
            "--kubeconfig", str(error), "name a kubeconfig file, or run in a pod with a service account"
        ) from error
    return configuration


def _load_ambient(configuration: client.Configuration) -> None:
    try:
        _load_incluster_config(client_configuration=configuration)
    except ConfigException:
        _load_kube_config(client_configuration=configuration)


class Cluster:
    """
    Calls of the Kubernetes API; safe to use from several threads.

    Every method raises `ApiServerUnavailable` when the API server does not answer or asks to be left alone,
    `Misconfigured` when the operator lacks a permission, and `WriteRefused` when a write is not valid.

    Args:
        configuration: From `load_configuration`.
        connections: How many are kept open: as many as threads that call.
        fence: What every write has to pass; None where there is no other replica.
    """

    def __init__(
        self, configuration: client.Configuration, *, connections: int = 12, fence: Fence | None = None
    ) -> None:
        configuration.connection_pool_maxsize = connections
        # Typed in some of the versions that are supported, and not in others.
        self._client: Any = client.ApiClient(configuration)
        self._custom: Any = client.CustomObjectsApi(self._client)
        self._core: Any = client.CoreV1Api(self._client)
        self._applying_client: Any = client.ApiClient(configuration, "Content-Type", _APPLY)
        if fence is not None:
            fence_in(self._client, fence)
            fence_in(self._applying_client, fence)
        # Lists names and times alone: the objects themselves come by watch.
        self._names_client: Any = client.ApiClient(configuration, "Accept", _ONLY_METADATA)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        self._names_client.close()
        self._applying_client.close()

    def list_names(self, kind: str, namespace: str = "") -> Mapping[tuple[str, str], int] | None:
        """
        All objects of one of the watched kinds, in the cluster or in *namespace*: (namespace, name), and when it was
        created, unix seconds.

        None where the API server does not know the kind, as long as its definition is not installed.
        """
        api, method, arguments = _within(namespace, *_LISTS[kind]) if namespace else _LISTS[kind]
        list_page = partial(getattr(getattr(client, api)(self._names_client), method), *arguments)
        names: dict[tuple[str, str], int] = {}
        token = ""
        while True:
            page = found(partial(_page, list_page, token))
            if page is None:
                return None
            for item in page["items"] or ():  # an empty list of metadata is null
                metadata = item["metadata"]
                created = from_time(metadata["creationTimestamp"]) or 0
                names[metadata.get("namespace", ""), metadata["name"]] = created
            token = page["metadata"].get("continue", "")
            if not token:
                return names

    def read_secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The decoded values of a Secret, without those that are no text; None if it is not there."""
        secret = found(lambda: self._core.read_namespaced_secret(name, namespace, _request_timeout=_TIMEOUT_SECONDS))
        if secret is None:
            return None
        return _texts(secret.data or {})

    def read_whole_secret(self, namespace: str, name: str) -> StoredSecret | None:
        """A Secret with all that is in it; None if it is not there."""
        body = found(lambda: _decoded(self._core.read_namespaced_secret, name, namespace))
        if body is None:
            return None
        data = {key: base64.b64decode(value) for key, value in (body.get("data") or {}).items()}
        annotations = body["metadata"].get("annotations") or {}
        return StoredSecret(namespace, name, body.get("type", ""), data, annotations, body)

    def update_secret(self, secret: StoredSecret) -> Outcome:
        """Writes a Secret that was read; `CONFLICT` if it has changed since."""
        metadata = secret.body["metadata"] | {"annotations": dict(secret.annotations)}
        data = {key: base64.b64encode(value).decode() for key, value in secret.data.items()}
        body = dict(secret.body) | {"metadata": metadata, "data": data}
        return written(
            lambda: self._core.replace_namespaced_secret(secret.name, secret.namespace, body, **self._writing())
        )

    def read_ca_bundle(self, api_service: str) -> StoredCaBundle | None:
        """Whom the API server believes for an APIService; None if that is not there."""
        body = found(lambda: _decoded(self._custom.get_cluster_custom_object, *_API_SERVICES, api_service))
        if body is None:
            return None
        bundle = base64.b64decode(body["spec"].get("caBundle") or "")
        metadata = body["metadata"]
        return StoredCaBundle(api_service, bundle, metadata["resourceVersion"], bool(metadata.get("managedFields")))

    def apply_ca_bundle(self, bundle: StoredCaBundle) -> Outcome:
        """Writes that, and owns it; `CONFLICT` if the APIService has changed since it was read."""
        group, version, _ = _API_SERVICES
        body = {
            "apiVersion": f"{group}/{version}",
            "kind": "APIService",
            "metadata": {"name": bundle.api_service, "resourceVersion": bundle.version},
            "spec": {"caBundle": base64.b64encode(bundle.bundle).decode()},
        }
        options = self._writing() | {"field_manager": _CA_FIELD_MANAGER}
        door = self._custom  # merges
        if bundle.may_be_applied:
            door, options = client.CustomObjectsApi(self._applying_client), options | {"force": True}
        return written(lambda: door.patch_cluster_custom_object(*_API_SERVICES, bundle.api_service, body, **options))

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The values of a ConfigMap; None if it is not there."""
        config_map = found(
            lambda: self._core.read_namespaced_config_map(name, namespace, _request_timeout=_TIMEOUT_SECONDS)
        )
        return None if config_map is None else config_map.data or {}

    def create_forecast(self, body: Mapping[str, Any]) -> Outcome:
        """Creates a ServicePerformanceForecast; `CONFLICT` if one of that name exists."""
        namespace = body["metadata"]["namespace"]
        return written(
            lambda: self._custom.create_namespaced_custom_object(
                GROUP, VERSION, namespace, FORECASTS, dict(body), **self._writing()
            )
        )

    def delete_forecast(self, namespace: str, name: str, *, uid: str) -> Outcome:
        """Deletes that very ServicePerformanceForecast; `CONFLICT` if another one bears its name now."""
        body = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        return written(
            lambda: self._custom.delete_namespaced_custom_object(
                GROUP, VERSION, namespace, FORECASTS, name, body=body, _request_timeout=_TIMEOUT_SECONDS
            )
        )

    def patch_forecast_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> Outcome:
        """Merges *status* into that of a ServicePerformanceForecast; None removes a field."""
        return written(
            lambda: self._custom.patch_namespaced_custom_object_status(
                GROUP, VERSION, namespace, FORECASTS, name, {"status": status}, **self._writing()
            )
        )

    def patch_forecaster_status(self, name: str, status: Mapping[str, Any]) -> Outcome:
        """Merges *status* into that of a Forecaster; None removes a field."""
        return written(
            lambda: self._custom.patch_cluster_custom_object_status(
                GROUP, VERSION, FORECASTERS, name, {"status": status}, **self._writing()
            )
        )

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> Outcome:
        """Creates an Event."""
        return written(lambda: self._core.create_namespaced_event(namespace, body, **self._writing()))

    def _writing(self) -> dict[str, Any]:
        # Nobody reads the answer to a write: the watch brings it anyway.
        return {"field_manager": _FIELD_MANAGER, "_request_timeout": _TIMEOUT_SECONDS, "_preload_content": False}


def _within(namespace: str, api: str, method: str, arguments: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
    """The list of a kind that has namespaces, in one of them."""
    if arguments:
        group, version, plural = arguments
        return api, "list_namespaced_custom_object", (group, version, namespace, plural)
    kind = method.removeprefix("list_").removesuffix("_for_all_namespaces")
    return api, f"list_namespaced_{kind}", (namespace,)


def _texts(data: Mapping[str, str]) -> dict[str, str]:
    texts = {}
    for key, value in data.items():
        with suppress(UnicodeDecodeError):  # a keystore, say, beside the credentials
            texts[key] = base64.b64decode(value).decode()
    return texts


def _decoded(call: Callable[..., Any], *arguments: str) -> Any:
    return json.loads(call(*arguments, _preload_content=False, _request_timeout=_TIMEOUT_SECONDS).data)


def _page(list_page: Callable[..., Any], token: str) -> Any:
    more = {"_continue": token} if token else {}
    answer = list_page(limit=_PAGE_SIZE, _preload_content=False, _request_timeout=_TIMEOUT_SECONDS, **more)
    return json.loads(answer.data)
