"""
The requests of a node to the API server, as an administrator; what runs on the node never sees these rights.

Every method raises a `requests.RequestException`, which is an OSError, when the API server refuses or is not there.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tidecast_simulator.testbed.control_plane import ControlPlane

Body = dict[str, Any]
"""An object of the API, as it is in JSON."""

_TIMEOUT_SECONDS = (5, 10)
_WATCH_SECONDS = 300
_CONNECTIONS = 32


class Api:
    """
    Reads and writes objects; safe to use from several threads.

    Attributes:
        url: Of the API server.
        ca_file: The certificate authority of the API server.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        self.url = control_plane.url
        self.ca_file = control_plane.ca_file
        self._token = control_plane.token
        self._session = self._new_session()

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def get(self, path: str) -> Body | None:
        """An object; None if it is not there."""
        return self._call("GET", path, absent=(404,))

    def create(self, path: str, body: Body) -> Body | None:
        """Creates an object in the collection at *path*; None if there is one of its name."""
        return self._call("POST", path, body, absent=(409,))

    def patch(self, path: str, body: Body) -> bool:
        """Patches an object as kubelet does, lists by their keys; whether it is there and still the same one."""
        return self._call("PATCH", path, body, kind="application/strategic-merge-patch+json") is not None

    def delete(self, path: str, uid: str = "", *, at_once: bool = False) -> None:
        """Deletes an object, if it is there and has that *uid*."""
        options: Body = {"preconditions": {"uid": uid}} if uid else {}
        self._call("DELETE", path, options | ({"gracePeriodSeconds": 0} if at_once else {}))

    def bind(self, namespace: str, pod: str, node: str) -> None:
        """Gives a pod to a node, as the scheduler does."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
        self._call("POST", f"{pod_path(namespace, pod)}/binding", body)

    def token(self, pod: Body, *, seconds: int, audience: str) -> tuple[str, float]:
        """A token of the pod's ServiceAccount that ends with the pod, and until when it holds (unix seconds)."""
        metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "expirationSeconds": seconds,
                "boundObjectRef": bound,
                "audiences": [audience] if audience else [],
            },
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        answer = self._call("POST", path, body, absent=())
        if answer is None:  # not reached: nothing counts as absent
            raise requests.RequestException(f"no token of the ServiceAccount {account}")
        return answer["status"]["token"], time.time() + seconds

    def warn(self, pod: Body, reason: str, message: str) -> None:
        """An Event about a pod, as far as one can be written."""
        metadata, now = pod["metadata"], timestamp(time.time())
        about = {"kind": "Pod", "apiVersion": "v1", **{key: metadata[key] for key in ("name", "namespace", "uid")}}
        event = {
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": about,
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        with suppress(OSError):
            self._call("POST", f"/api/v1/namespaces/{metadata['namespace']}/events", event)

    def listed(self, path: str) -> tuple[list[Body], str]:
        """All objects of a collection, and the version to watch from."""
        body = self._call("GET", path, absent=()) or {}
        return body["items"], body["metadata"]["resourceVersion"]

    def watch(self, path: str, version: str) -> "Stream":
        """What happens to a collection from then on."""
        return Stream(self._new_session(), f"{self.url}{path}", version)

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._token}"
        session.verify = str(self.ca_file)
        session.trust_env = False
        session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS))
        return session

    def _call(
        self, method: str, path: str, body: Body | None = None, *, kind: str = "", absent: tuple[int, ...] = (404, 409)
    ) -> Body | None:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind or "application/json"}
        answer = self._session.request(method, self.url + path, data=data, headers=headers, timeout=_TIMEOUT_SECONDS)
        if answer.status_code in absent:
            return None
        if not answer.ok:  # the text says more than the status
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:500]}", response=answer)
        found: Body = answer.json()
        return found


class Stream:
    """A watch; iterate over it in one thread, and end it from any."""

    def __init__(self, session: requests.Session, url: str, version: str) -> None:
        self._session = session
        self._url = url
        self._query = {
            "watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }  # fmt: skip
        self._answer: requests.Response | None = None

    def __iter__(self) -> Iterator[tuple[str, Body]]:
        limits = (_TIMEOUT_SECONDS[0], _WATCH_SECONDS + _TIMEOUT_SECONDS[1])
        with self._session, self._session.get(self._url, params=self._query, stream=True, timeout=limits) as answer:
            answer.raise_for_status()
            self._answer = answer
            # Line by line as they come; the default would wait for half a KiB.
            for line in answer.iter_lines(chunk_size=None):
                if line:
                    event = json.loads(line)
                    yield event["type"], event["object"]

    def interrupt(self) -> None:
        """Ends it: the iteration stops or raises."""
        connection = getattr(getattr(self._answer, "raw", None), "connection", None)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(2)


def pod_path(namespace: str, name: str) -> str:
    """Where the API server has a pod."""
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def timestamp(seconds: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all labels of *selector* are among *labels*."""
    return selector.items() <= labels.items()
