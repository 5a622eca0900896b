"""
Plays the kubelet where there are no nodes: pods that controllers make become ready after a while, and end when deleted.

Nothing runs in them. Their status says that they run, so that whatever follows from it is real: the ready replicas of a
Deployment, and what a HorizontalPodAutoscaler makes of pods that are ready, or not yet.
"""

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import requests

from tidecast_simulator.testbed.control_plane import ControlPlane

_log = logging.getLogger(__name__)
_WATCH_SECONDS, _TIMEOUT_SECONDS, _RETRY_SECONDS = 300, 10, 0.5
_NODE_ADDRESS = "10.200.0.1"


@dataclass(frozen=True, slots=True)
class Pod:
    """
    A pod as it is known here.

    Attributes:
        namespace: Where it is.
        name: Its own.
        uid: Its own.
        labels: Its own.
        seen_time: When it was first seen, unix seconds.
        is_ready: Whether its status says so.
        is_ending: Whether it is to be deleted.
        containers: Names and images of its containers.
    """

    namespace: str
    name: str
    uid: str
    labels: dict[str, str]
    seen_time: float
    is_ready: bool = False
    is_ending: bool = False
    containers: tuple[tuple[str, str], ...] = ()


@dataclass(order=True, slots=True)
class _Due:
    """A pod, and when something is to be done about it (monotonic seconds)."""

    time: float
    uid: str = field(compare=False)


class Pods:
    """
    Brings the pods of a control plane to life; use it as a context manager, or call `start` and `stop`.

    Survives a restart of the API server: what was due meanwhile is done then. Safe to ask from several threads.

    Args:
        control_plane: A running one.
        start_up_seconds: From when a pod is first seen until it is ready.
        namespace: Whose pods; empty for those of all namespaces.
    """

    def __init__(self, control_plane: ControlPlane, *, start_up_seconds: float, namespace: str = "") -> None:
        self._api = _PodApi(control_plane, namespace)
        self._start_up_seconds = start_up_seconds
        self._known: dict[str, Pod] = {}
        self._due: list[_Due] = []
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._until_stopped, args=(what,), name=name, daemon=True)
            for name, what in (("pods-watch", self._watch), ("pods-start", self._do_what_is_due))
        ]

    def start(self) -> Self:
        """Begins, in the background."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Ends; the pods stay as they are."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._api.interrupt()
        for thread in self._threads:
            thread.join(_TIMEOUT_SECONDS)

    @property
    def now(self) -> list[Pod]:
        """All pods that are there, those that are to be deleted left out."""
        with self._changed:
            return [pod for pod in self._known.values() if not pod.is_ending]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _until_stopped(self, what: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            try:
                what()
            except (requests.RequestException, OSError, ValueError, AttributeError) as error:
                # An AttributeError is what the connection of an interrupted watch raises.
                if not self._stopped.wait(_RETRY_SECONDS):
                    _log.debug("pods: %s; trying again", error)

    def _watch(self) -> None:
        bodies, version = self._api.listed()
        with self._changed:
            there = {body["metadata"]["uid"] for body in bodies}
            for uid in self._known.keys() - there:
                del self._known[uid]
            for body in bodies:
                self._see(body)
        for kind, body in self._api.watched(version):
            if kind == "ERROR":
                return  # the version is too old by now: list again
            with self._changed:
                if kind == "DELETED":
                    self._known.pop(body["metadata"]["uid"], None)
                elif kind in ("ADDED", "MODIFIED"):
                    self._see(body)

    def _see(self, body: dict[str, Any]) -> None:
        uid = body["metadata"]["uid"]
        before = self._known.get(uid)
        pod = _pod_of(body, seen_time=time.time() if before is None else before.seen_time)
        self._known[uid] = pod
        if pod.is_ending and not (before and before.is_ending):
            self._later(0, uid)
        elif before is None and not pod.is_ready:
            self._later(self._start_up_seconds, uid)

    def _later(self, seconds: float, uid: str) -> None:
        heapq.heappush(self._due, _Due(time.monotonic() + seconds, uid))
        self._changed.notify_all()

    def _do_what_is_due(self) -> None:
        with self._changed:
            while not self._stopped.is_set() and (not self._due or self._due[0].time > time.monotonic()):
                self._changed.wait(self._due[0].time - time.monotonic() if self._due else None)
            if self._stopped.is_set():
                return
            uid = heapq.heappop(self._due).uid
            pod = self._known.get(uid)
        if pod is None:
            return
        try:
            if pod.is_ending:
                self._api.end(pod)
            elif not pod.is_ready and self._api.make_ready(pod):
                self._mark_ready(uid)
        except (requests.RequestException, OSError):
            with self._changed:
                self._later(_RETRY_SECONDS, uid)

    def _mark_ready(self, uid: str) -> None:
        with self._changed:
            if uid in self._known:
                self._known[uid] = replace(self._known[uid], is_ready=True)


class _PodApi:
    """The requests about pods."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._base = f"{control_plane.url}/api/v1"
        self._pods = f"{self._base}/namespaces/{namespace}/pods" if namespace else f"{self._base}/pods"
        self._reading, self._writing = _session(control_plane), _session(control_plane)
        self._stream: requests.Response | None = None
        self._addresses = 0

    def listed(self) -> tuple[list[dict[str, Any]], str]:
        """All pods, and the version to watch from."""
        answer = self._reading.get(self._pods, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        body = answer.json()
        return body["items"], body["metadata"]["resourceVersion"]

    def watched(self, version: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens from then on."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
        limits = (_TIMEOUT_SECONDS, _WATCH_SECONDS + _TIMEOUT_SECONDS)
        with self._reading.get(self._pods, params=query, stream=True, timeout=limits) as answer:
            answer.raise_for_status()
            self._stream = answer
            # Line by line as they come; the default would wait for half a KiB.
            for line in answer.iter_lines(chunk_size=None):
                if line:
                    event = json.loads(line)
                    yield event["type"], event["object"]

    def interrupt(self) -> None:
        """Ends the watch."""
        connection = getattr(getattr(self._stream, "raw", None), "connection", None)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            try:
                sock.shutdown(2)
            except OSError:
                return

    def make_ready(self, pod: Pod) -> bool:
        """Whether the pod was there to be made ready."""
        self._addresses += 1
        status = _running(
            pod, f"10.{200 + self._addresses // 62500 % 50}.{self._addresses // 250 % 250}.{1 + self._addresses % 250}"
        )
        headers = {"Content-Type": "application/merge-patch+json"}
        url, body = f"{self._url(pod)}/status", json.dumps({"metadata": {"uid": pod.uid}, "status": status})
        answer = self._writing.patch(url, data=body, headers=headers, timeout=_TIMEOUT_SECONDS)
        if answer.status_code in (404, 409):  # gone, or another one of the same name
            return False
        answer.raise_for_status()
        return True

    def end(self, pod: Pod) -> None:
        """Removes a pod that is to be deleted, as a kubelet does once its containers have ended."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}}
        answer = self._writing.delete(self._url(pod), json=options, timeout=_TIMEOUT_SECONDS)
        if answer.status_code not in (404, 409):
            answer.raise_for_status()

    def _url(self, pod: Pod) -> str:
        return f"{self._base}/namespaces/{pod.namespace}/pods/{pod.name}"


def _session(control_plane: ControlPlane) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {control_plane.token}"
    session.verify = str(control_plane.ca_file)
    session.trust_env = False
    return session


def _pod_of(body: dict[str, Any], *, seen_time: float) -> Pod:
    metadata, status = body["metadata"], body.get("status", {})
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        labels=dict(metadata.get("labels") or {}),
        seen_time=seen_time,
        is_ready=conditions.get("Ready") == "True",
        is_ending="deletionTimestamp" in metadata,
        containers=tuple((one["name"], one.get("image", "")) for one in body["spec"]["containers"]),
    )


def _running(pod: Pod, address: str) -> dict[str, Any]:
    """The status of a pod that runs and is ready."""
    now = _text(time.time())
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "startTime": _text(pod.seen_time),
        "hostIP": _NODE_ADDRESS,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
        "containerStatuses": [
            {
                "name": name, "image": image, "imageID": image, "ready": True, "started": True, "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for name, image in pod.containers
        ],
    }  # fmt: skip


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
