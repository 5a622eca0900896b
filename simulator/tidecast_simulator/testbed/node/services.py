"""
The names of Services on this machine: each port of one is a forwarder to the pods that its Endpoints say are ready.
"""

import threading
from collections.abc import Callable

from tidecast_simulator.testbed.node.api import Api, Body
from tidecast_simulator.testbed.node.forwarding import Forwarder
from tidecast_simulator.testbed.node.watching import Watch

_SUFFIXES = ("svc.cluster.local", "svc")


class Services:
    """
    Answers for the names of Services with selectors; follows them and their Endpoints.

    A headless Service, whose name stands for all its pods at once, is one port too: connections go to its pods in turn.

    Args:
        api: To read with.
        locate: The address on this machine for an address and port of a pod.
    """

    def __init__(self, api: Api, locate: Callable[[str, int], tuple[str, int]]) -> None:
        self._locate = locate
        self._services = Watch(api, "/api/v1/services")
        self._endpoints = Watch(api, "/api/v1/endpoints")
        self._forwarders: dict[tuple[str, str, int], Forwarder] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins."""
        self._services.start()
        self._endpoints.start()

    def stop(self) -> None:
        """Ends, with all connections."""
        self._services.stop()
        self._endpoints.stop()
        with self._lock:
            for forwarder in self._forwarders.values():
                forwarder.close()

    def address(self, namespace: str, name: str, port: int) -> tuple[str, int] | None:
        """Where a port of a Service is on this machine; None if there is no such Service or port."""
        service = _find(self._services, namespace, name)
        if service is None or not service["spec"].get("selector"):
            return None
        ports = {one["port"]: one.get("name", "") for one in service["spec"].get("ports") or ()}
        if port not in ports:
            return None
        key = namespace, name, port
        with self._lock:
            if key not in self._forwarders:
                self._forwarders[key] = Forwarder(lambda: self._behind(namespace, name, port))
            return "127.0.0.1", self._forwarders[key].port

    def resolve(self, namespace: str, host: str, port: int) -> str | None:
        """The address for a host name as a pod of *namespace* would use it; None if it names no Service."""
        host = host.removesuffix(".")
        for suffix in _SUFFIXES:
            host = host.removesuffix(f".{suffix}")
        name, _, of = host.partition(".")
        found = self.address(of or namespace, name, port)
        # By name, since certificates are for names.
        return None if found is None else f"localhost:{found[1]}"

    def _behind(self, namespace: str, name: str, port: int) -> list[tuple[str, int]]:
        service, endpoints = _find(self._services, namespace, name), _find(self._endpoints, namespace, name)
        if service is None or endpoints is None:
            return []
        names = {one["port"]: one.get("name", "") for one in service["spec"].get("ports") or ()}
        return [
            self._locate(address["ip"], target["port"])
            for subset in endpoints.get("subsets") or ()
            for target in subset.get("ports") or ()
            if target.get("name", "") == names.get(port)
            for address in subset.get("addresses") or ()
        ]


def _find(watch: Watch, namespace: str, name: str) -> Body | None:
    for body in watch.objects:
        if body["metadata"]["name"] == name and body["metadata"]["namespace"] == namespace:
            return body
    return None
