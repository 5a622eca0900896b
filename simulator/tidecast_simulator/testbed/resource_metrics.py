"""
A stand-in for metrics-server: the API `metrics.k8s.io/v1beta1` with numbers of whoever runs the testbed.

The API server passes requests on to it, as it does to a metrics-server, so a HorizontalPodAutoscaler acts on CPU through
the same path as in production. Who asks is not verified: it listens on loopback and tells made-up numbers.
"""

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.control_plane import CommandFailed, ControlPlane

_GROUP, _VERSION = "metrics.k8s.io", "v1beta1"
_SERVICE = "resource-metrics"
_ROOT = f"/apis/{_GROUP}/{_VERSION}"
_TRIES, _PAUSE_SECONDS = 40, 0.25


@dataclass(frozen=True, slots=True)
class Usage:
    """
    What a pod uses.

    Attributes:
        namespace: Of the pod.
        name: Of the pod.
        labels: Of the pod.
        container: The name of its container.
        cores: CPU, as a mean over the window.
        memory_bytes: Of its working set.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    container: str
    cores: float
    memory_bytes: float = 0.0


class ResourceMetrics:
    """
    Serves resource metrics to a control plane; use it as a context manager, or call `start` and `stop`.

    Args:
        control_plane: Gets an APIService that leads here.
        directory: For a certificate and its key.
        usages: What all pods with a measurement use; asked at every request, from several threads.
        window_seconds: What each CPU figure is a mean over.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        directory: Path,
        *,
        usages: Callable[[], Iterable[Usage]],
        window_seconds: float,
    ) -> None:
        self._control_plane = control_plane
        self._usages = usages
        self._window_seconds = window_seconds
        self._http = _TlsServer(("127.0.0.1", 0), _handler(self), _context(directory))
        self._thread = threading.Thread(target=self._http.serve_forever, name="resource-metrics", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])

    def start(self) -> Self:
        """Begins to answer, and registers with the API server."""
        self._thread.start()
        objects = {"apiVersion": "v1", "kind": "List", "items": _registration(self.port)}
        self._control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(objects))
        name = f"apiservice/{_VERSION}.{_GROUP}"
        self._control_plane.kubectl("wait", "--for=condition=Available", name, "--timeout=60s", timeout_seconds=70)
        self._wait_until_passed_on()
        return self

    def _wait_until_passed_on(self) -> None:
        """The API server may call an API available a moment before it passes requests on."""
        for _ in range(_TRIES - 1):
            try:
                self._control_plane.kubectl("get", "--raw", f"{_ROOT}/pods")
            except CommandFailed:
                time.sleep(_PAUSE_SECONDS)
            else:
                return
        self._control_plane.kubectl("get", "--raw", f"{_ROOT}/pods")

    def stop(self) -> None:
        """Takes the registration back and stops answering."""
        self._control_plane.kubectl("delete", "apiservice", f"{_VERSION}.{_GROUP}", "--ignore-not-found")
        self._control_plane.kubectl("delete", "service", _SERVICE, "--namespace=kube-system", "--ignore-not-found")
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """The status and body for a path."""
        match path.removeprefix(_ROOT).strip("/").split("/") if path.startswith(_ROOT) else [path]:
            case [""]:
                return 200, _RESOURCES
            case ["pods"]:
                return self._pods(query)
            case ["namespaces", namespace, "pods"]:
                return self._pods(query, namespace)
            case ["namespaces", namespace, "pods", name]:
                found = [one for one in self._usages() if (one.namespace, one.name) == (namespace, name)]
                return (200, self._pod_metrics(found[0])) if found else _refusal(404, "NotFound", f"no pod {name}")
        return _refusal(404, "NotFound", f"{path} is not there")

    def _pods(self, query: Mapping[str, list[str]], namespace: str = "") -> tuple[int, dict[str, Any]]:
        try:
            wanted = _selected(query.get("labelSelector", [""])[0])
        except ValueError as error:
            return _refusal(400, "BadRequest", str(error))
        items = [
            self._pod_metrics(one)
            for one in self._usages()
            if namespace in ("", one.namespace) and wanted.items() <= one.labels.items()
        ]
        return 200, {"kind": "PodMetricsList", "apiVersion": f"{_GROUP}/{_VERSION}", "metadata": {}, "items": items}

    def _pod_metrics(self, usage: Usage) -> dict[str, Any]:
        amounts = {"cpu": f"{round(usage.cores * 1e9)}n", "memory": f"{round(usage.memory_bytes / 1024)}Ki"}
        return {
            "kind": "PodMetrics",
            "apiVersion": f"{_GROUP}/{_VERSION}",
            "metadata": {"name": usage.name, "namespace": usage.namespace, "labels": dict(usage.labels)},
            "timestamp": datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "window": f"{round(self._window_seconds * 1000)}ms",
            "containers": [{"name": usage.container, "usage": amounts}],
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


_RESOURCES: dict[str, Any] = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{_GROUP}/{_VERSION}",
    "resources": [
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
    ],
}


class _TlsServer(ThreadingHTTPServer):
    """Shakes hands in the thread of the connection, so that a slow peer holds up nobody."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext
    ) -> None:
        super().__init__(address, handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a peer that goes away is no news."""


def _handler(server: ResourceMetrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body = server.answer(parts.path.rstrip("/"), parse_qs(parts.query))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Says nothing: a request is no news."""

    return Handler


def _context(directory: Path) -> ssl.SSLContext:
    directory.mkdir(parents=True, exist_ok=True)
    key, certificate = directory / "resource-metrics.key", directory / "resource-metrics.crt"
    options = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 30 -subj /CN=resource-metrics"
    command = [str(binaries.find("openssl")), *options.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _registration(port: int) -> list[dict[str, Any]]:
    """A name for this address, which an endpoint could not be, and the API that is found there."""
    service = {"namespace": "kube-system", "name": _SERVICE}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": service,
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{_VERSION}.{_GROUP}"},
            "spec": {
                "group": _GROUP,
                "version": _VERSION,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {**service, "port": port},
            },
        },
    ]


def _selected(selector: str) -> dict[str, str]:
    """The labels that a selector asks for; ValueError for one that does more than compare."""
    labels = {}
    for term in filter(None, selector.split(",")):
        key, sign, value = term.partition("=")
        if not sign or key.endswith("!") or " in " in term or "(" in term:
            raise ValueError(f"labelSelector {selector!r}: only key=value, joined by commas, is understood here")
        labels[key.strip()] = value.removeprefix("=").strip()
    return labels


def _refusal(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return code, {**status, "message": message, "reason": reason, "code": code}
