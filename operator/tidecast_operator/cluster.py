"""
The one door to the Kubernetes API for everything that is written but floors (see `autoscalers`), and for Secrets and Leases.

Synchronous: call it in a thread. What is watched comes in through `handlers` instead. Knows nothing of forecasts.
"""

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from tidecast_operator.api_answers import Outcome, found, written
from tidecast_operator.errors import Misconfigured
from tidecast_operator.published import from_time
from tidecast_operator.resources import FORECAST_KIND, FORECASTER_KIND, FORECASTERS, FORECASTS, GROUP, VERSION

_TIMEOUT_SECONDS = (5, 20)
_FIELD_MANAGER = "tidecast"
_ONLY_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE_SIZE = 1000
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
class Lease:
    """
    A Lease of `coordination.k8s.io`.

    Attributes:
        namespace: Where it lives.
        name: Its name.
        holder: Who holds it; empty for nobody.
        duration_seconds: How long it holds without being renewed.
        acquire_time: Since when its holder has it.
        transitions: How often it changed hands.
        version: Changes with every renewal; empty for one that is still to be created.
    """

    namespace: str
    name: str
    holder: str
    duration_seconds: int
    acquire_time: datetime
    transitions: int = 0
    version: str = ""


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
    """

    def __init__(self, configuration: client.Configuration, *, connections: int = 12) -> None:
        configuration.connection_pool_maxsize = connections
        # Typed in some of the versions that are supported, and not in others.
        self._client: Any = client.ApiClient(configuration)
        self._custom: Any = client.CustomObjectsApi(self._client)
        self._core: Any = client.CoreV1Api(self._client)
        self._coordination: Any = client.CoordinationV1Api(self._client)
        # Lists names and times alone: the objects themselves come by watch.
        self._names_client: Any = client.ApiClient(configuration, "Accept", _ONLY_METADATA)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        self._names_client.close()

    def list_names(self, kind: str) -> Mapping[tuple[str, str], int]:
        """
        All objects of one of the watched kinds: (namespace, name), and when it was created, unix seconds.

        None of a kind that the API server does not know, as long as its definition is not installed.
        """
        api, method, arguments = _LISTS[kind]
        list_page = partial(getattr(getattr(client, api)(self._names_client), method), *arguments)
        names: dict[tuple[str, str], int] = {}
        token = ""
        while True:
            page = found(partial(_page, list_page, token))
            if page is None:
                return names
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

    def read_lease(self, namespace: str, name: str) -> Lease | None:
        """A Lease; None if it is not there."""
        lease = found(
            lambda: self._coordination.read_namespaced_lease(name, namespace, _request_timeout=_TIMEOUT_SECONDS)
        )
        if lease is None:
            return None
        return Lease(
            namespace=namespace,
            name=name,
            holder=lease.spec.holder_identity or "",
            duration_seconds=lease.spec.lease_duration_seconds or 0,
            acquire_time=lease.spec.acquire_time or datetime.now(UTC),
            transitions=lease.spec.lease_transitions or 0,
            version=lease.metadata.resource_version,
        )

    def write_lease(self, lease: Lease) -> Outcome:
        """
        Creates a Lease without a version, and renews one with: `CONFLICT` if it exists, or changed since it was read.
        """
        body = client.V1Lease(
            metadata=client.V1ObjectMeta(
                name=lease.name, namespace=lease.namespace, resource_version=lease.version or None
            ),
            spec=client.V1LeaseSpec(
                holder_identity=lease.holder,
                lease_duration_seconds=lease.duration_seconds,
                acquire_time=lease.acquire_time,
                renew_time=datetime.now(UTC),
                lease_transitions=lease.transitions,
            ),
        )
        if lease.version:
            return written(
                lambda: self._coordination.replace_namespaced_lease(
                    lease.name, lease.namespace, body, _request_timeout=_TIMEOUT_SECONDS
                )
            )
        return written(
            lambda: self._coordination.create_namespaced_lease(lease.namespace, body, _request_timeout=_TIMEOUT_SECONDS)
        )

    def _writing(self) -> dict[str, Any]:
        # Nobody reads the answer to a write: the watch brings it anyway.
        return {"field_manager": _FIELD_MANAGER, "_request_timeout": _TIMEOUT_SECONDS, "_preload_content": False}


def _texts(data: Mapping[str, str]) -> dict[str, str]:
    texts = {}
    for key, value in data.items():
        with suppress(UnicodeDecodeError):  # a keystore, say, beside the credentials
            texts[key] = base64.b64decode(value).decode()
    return texts


def _page(list_page: Callable[..., Any], token: str) -> Any:
    more = {"_continue": token} if token else {}
    answer = list_page(limit=_PAGE_SIZE, _preload_content=False, _request_timeout=_TIMEOUT_SECONDS, **more)
    return json.loads(answer.data)
