"""
The Forecaster `default` at the Kubernetes API: found, applied from a file, and deleted again.

A door of its own beside `cluster`, because server-side apply wants a content type of its own. Synchronous: call it in a
thread.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kubernetes import client

from tidecast_operator.api_answers import Outcome, WriteRefused, found, written
from tidecast_operator.errors import ApiServerUnavailable
from tidecast_operator.fencing import Fence, fence_in
from tidecast_operator.resources import DEFAULT_FORECASTER, FORECASTERS, GROUP, MANAGED_BY, VERSION

FIELD_MANAGER = "tidecast-file"
"""Who owns what came from a file; also the value of the label that tells such a Forecaster."""

_TIMEOUT_SECONDS = (5, 20)
_APPLY = "application/apply-patch+yaml"  # JSON is YAML too
_CLUSTER = (GROUP, VERSION, FORECASTERS)


class Forecasters:
    """
    Reads and writes the Forecaster `default`; safe to use from several threads.

    Every method raises `ApiServerUnavailable` when the API server does not answer or asks to be left alone,
    `Misconfigured` when a permission is lacking, and `WriteRefused` when a write is not valid.

    Args:
        configuration: From `cluster.load_configuration`.
        fence: What writes have to pass; None where nobody leads.
    """

    def __init__(self, configuration: client.Configuration, fence: Fence | None = None) -> None:
        # Typed in some of the versions of the library that are supported, and not in others.
        self._client: Any = client.ApiClient(configuration)
        self._applying_client: Any = client.ApiClient(configuration, "Content-Type", _APPLY)
        for api_client in (self._client, self._applying_client):
            if fence is not None:
                fence_in(api_client, fence)
        self._custom: Any = client.CustomObjectsApi(self._client)
        self._applying: Any = client.CustomObjectsApi(self._applying_client)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        self._applying_client.close()

    def find(self) -> Mapping[str, Any] | None:
        """The object; None if there is none, or its definition is not installed."""
        # A list, because the operator may list them anyway, and need not be allowed to get one.
        options: dict[str, Any] = {"field_selector": f"metadata.name={DEFAULT_FORECASTER}"}
        options |= {"_preload_content": False, "_request_timeout": _TIMEOUT_SECONDS}
        answer = found(lambda: self._custom.list_cluster_custom_object(*_CLUSTER, **options))
        return None if answer is None else next(iter(json.loads(answer.data)["items"]), None)

    def apply(self, body: Mapping[str, Any]) -> Outcome:
        """Makes the object say what *body* says, by force; `GONE` while its definition is not installed."""
        options: dict[str, Any] = {"field_manager": FIELD_MANAGER, "force": True}
        options |= {"_preload_content": False, "_request_timeout": _TIMEOUT_SECONDS}
        try:
            return written(
                lambda: self._applying.patch_cluster_custom_object(
                    *_CLUSTER, DEFAULT_FORECASTER, body=dict(body), **options
                )
            )
        except ApiServerUnavailable as error:
            why = _why_not_typed(error)
            if why:
                raise WriteRefused(f"the API server refuses: {why}") from error
            raise

    def delete(self, uid: str) -> Outcome:
        """Deletes that very object; `CONFLICT` if another one bears its name now."""
        body = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        return written(
            lambda: self._custom.delete_cluster_custom_object(
                *_CLUSTER, DEFAULT_FORECASTER, body=body, _request_timeout=_TIMEOUT_SECONDS
            )
        )


def _why_not_typed(error: Exception) -> str:
    """What the API server says of a value of another type than the schema has, which it takes for an error of its own."""
    body = getattr(error.__cause__, "body", None) or ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    if "typed patch object" not in text:
        return ""
    with suppress(ValueError):
        return str(json.loads(text)["message"])
    return text


def is_from_file(body: Mapping[str, Any]) -> bool:
    """Whether a Forecaster was made from a file, and so may be deleted with it."""
    return (body["metadata"].get("labels") or {}).get(MANAGED_BY) == FIELD_MANAGER
