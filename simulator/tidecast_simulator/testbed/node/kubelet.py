"""
The node: takes the pods of some namespaces that nobody has taken, and runs them until it ends.
"""

import ipaddress
import itertools
import secrets
import signal
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.node.api import Api, Body, pod_path
from tidecast_simulator.testbed.node.claims import Claims
from tidecast_simulator.testbed.node.pod import ENDED, HOST_ADDRESS, RunningPod
from tidecast_simulator.testbed.node.services import Services
from tidecast_simulator.testbed.node.surroundings import Surroundings
from tidecast_simulator.testbed.node.watching import Watch

# Endpoints may not be of the loopback; nobody has an address of these networks, which are for documentation.
_NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
_NODES = "/api/v1/nodes"


class UnknownPod(LookupError):
    """The node has, or had, no such pod, container or Service."""


class Node:
    """
    Runs pods as processes; use it as a context manager, or call `start` and `stop`.

    Survives a restart of the API server. When it ends, all processes end, and its pods are deleted.

    Args:
        control_plane: A running one, with controllers.
        namespaces: Whose pods it takes; they need not exist yet.
        programs: For each image, without its tag and digest, the beginning of a command: what would be its ENTRYPOINT.
        directory: For the folders and logs of pods.
        names: Addresses as pods use them, host:port, and those on this machine that stand for them.
        labels: Of the node, for nodeSelectors.
        resources: What it has beside CPU and memory, as in {"nvidia.com/gpu": 1}.
        refresh_seconds: How long a changed Secret or ConfigMap takes to get into a volume.
        backoff_seconds: The pause before a container's second restart; the first comes at once.
        patience: How many times as long as they say probes wait, and how many times as often they fail, before
            something follows; for a machine that is busy with other things too.
    """

    def __init__(  # noqa: PLR0913
        self,
        control_plane: ControlPlane,
        *,
        namespaces: Collection[str],
        programs: Mapping[str, Sequence[str]],
        directory: Path,
        names: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        resources: Mapping[str, int] | None = None,
        refresh_seconds: float = 2.0,
        backoff_seconds: float = 1.0,
        patience: float = 1.0,
    ) -> None:
        self.name = f"testbed-{secrets.token_hex(3)}"
        self._api = Api(control_plane)
        self._namespaces = frozenset(namespaces)
        directory = directory.resolve()
        self._services = Services(self._api, self._locate)
        self._claims = Claims(self._api, self._namespaces, directory / "claims")
        self._around = Surroundings(
            api=self._api,
            services=self._services,
            claims=self._claims,
            node=self.name,
            directory=directory / "pods",
            programs=programs,
            names=names or {},
            labels={"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"} | dict(labels or {}),
            resources=resources or {},
            refresh_seconds=refresh_seconds,
            backoff_seconds=backoff_seconds,
            patience=patience,
        )
        self._pods: dict[str, RunningPod] = {}
        self._lock = threading.Lock()
        hosts = (str(host) for network in _NETWORKS for host in ipaddress.ip_network(network).hosts())
        self._addresses = itertools.cycle([host for host in hosts if host != HOST_ADDRESS])
        self._watch = Watch(self._api, "/api/v1/pods", self._see)

    def start(self) -> Self:
        """Begins, in the background."""
        self._register()
        self._services.start()
        self._claims.start()
        self._watch.start()
        return self

    def stop(self) -> None:
        """Ends all processes, and takes its pods and itself out of the API server as far as that answers."""
        self._watch.stop()
        with self._lock:
            pods = list(self._pods.values())
        for pod in pods:
            pod.abandon()
        for pod in pods:
            pod.join()
            with suppress(OSError):
                self._api.delete(pod_path(pod.namespace, pod.name), pod.uid, at_once=True)
        self._services.stop()
        self._claims.stop()
        with suppress(OSError):
            self._api.delete(f"{_NODES}/{self.name}")
        self._api.close()

    def logs(self, namespace: str, pod: str, container: str = "", *, previous: bool = False) -> str:
        """
        What a container said since its last start, or its last but one; also of pods that are gone.

        Raises:
            UnknownPod: If there was no such pod or container, or no such start.
        """
        folder = self._newest(namespace, pod).folder / "logs"
        container = container or self._newest(namespace, pod).containers[-1].name
        files = sorted((folder / container).glob("*.log"), key=lambda path: int(path.stem))
        if len(files) < 1 + previous:
            raise UnknownPod(f"{namespace}/{pod}: nothing of the container {container!r}")
        return files[-1 - previous].read_text(errors="replace")

    def kill(self, namespace: str, pod: str, number: signal.Signals = signal.SIGKILL, container: str = "") -> None:
        """
        Sends a signal to the process of a container, of the last one if none is named.

        Raises:
            UnknownPod: If there is no such pod or container.
            ProcessLookupError: If it does not run.
        """
        found = self._newest(namespace, pod)
        for one in reversed(found.containers):
            if not container or one.name == container:
                one.kill(number)
                return
        raise UnknownPod(f"{namespace}/{pod} has no container {container!r}")

    def folder(self, namespace: str, pod: str, volume: str = "") -> Path:
        """
        The folder of a pod, or of one of its volumes that is no claim.

        Raises:
            UnknownPod: If there is no such pod.
        """
        folder = self._newest(namespace, pod).folder
        return folder / "volumes" / volume if volume else folder

    def address(self, namespace: str, pod: str, port: int) -> str:
        """
        The address on this machine of a port of a pod.

        Raises:
            UnknownPod: If there is no such pod.
        """
        return f"127.0.0.1:{self._newest(namespace, pod).port(port)}"

    def service_address(self, namespace: str, service: str, port: int) -> str:
        """
        The address on this machine of a port of a Service: of its ready pods in turn.

        Raises:
            UnknownPod: If there is no such Service with a selector, or port.
        """
        found = self._services.address(namespace, service, port)
        if found is None:
            raise UnknownPod(f"no Service {namespace}/{service} with a selector and the port {port}")
        return f"localhost:{found[1]}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _see(self, body: Body, is_gone: bool) -> None:  # noqa: FBT001 (what a watch calls)
        uid = body["metadata"]["uid"]
        with self._lock:
            pod = self._pods.get(uid)
            if pod is None and not is_gone and self._takes(body):
                pod = self._pods[uid] = RunningPod(body, next(self._addresses), self._around)
                pod.start()
            elif pod is not None:
                pod.see(body, is_gone=is_gone)

    def _takes(self, body: Body) -> bool:
        is_free = body["spec"].get("nodeName", "") in ("", self.name)
        has_ended = body.get("status", {}).get("phase") in ENDED
        return body["metadata"]["namespace"] in self._namespaces and is_free and not has_ended

    def _newest(self, namespace: str, name: str) -> RunningPod:
        with self._lock:
            for pod in reversed(self._pods.values()):
                if (pod.namespace, pod.name) == (namespace, name):
                    return pod
        raise UnknownPod(f"the node {self.name} has had no pod {namespace}/{name}")

    def _locate(self, address: str, port: int) -> tuple[str, int]:
        with self._lock:
            for pod in self._pods.values():
                if pod.address == address:
                    return "127.0.0.1", pod.port(port)
        return address, port

    def _register(self) -> None:
        capacity = {"cpu": "64", "memory": "256Gi", "pods": "200", "ephemeral-storage": "100Gi"}
        capacity |= {name: str(amount) for name, amount in self._around.resources.items()}
        self._api.create(_NODES, {"metadata": {"name": self.name, "labels": dict(self._around.labels)}})
        # A new node is tainted until a controller, which does not run here, finds it ready.
        self._api.patch(f"{_NODES}/{self.name}", {"spec": {"taints": None}})
        status = {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [{"type": "InternalIP", "address": HOST_ADDRESS}, {"type": "Hostname", "address": self.name}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "plays a kubelet"}],
        }
        self._api.patch(f"{_NODES}/{self.name}/status", {"status": status})
