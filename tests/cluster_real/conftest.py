"""
A control plane that knows Tidecast's resources, and an operator core that reads from and writes to it.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from builders.operating import FakeDoors, Operator, forecaster_spec
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.cycle import Cycle
from tidecast_operator.outlets.outlets import Outlets
from tidecast_operator.publishing.publisher import Publisher
from tidecast_operator.publishing.writer import Writer
from tidecast_simulator.testbed.control_plane import CommandFailed, ControlPlane

MANIFESTS = Path(__file__).parents[2] / "manifests"
KINDS = ("namespaces", "deployments", "forecasters.tidecast.dev", "serviceperformanceforecasts.tidecast.dev")


@pytest.fixture(scope="session")
def definitions(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, with the definitions installed."""
    # An API server before 1.25 drops what it does not know, but its description makes kubectl refuse it.
    control_plane.kubectl("apply", "--validate=false", "-f", str(MANIFESTS / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", *(kind for kind in KINDS if "." in kind))
    for _ in range(60):  # the descriptions follow some seconds later
        with suppress(CommandFailed):
            control_plane.kubectl("explain", "fcst")
            control_plane.kubectl("explain", "spf")
            return control_plane
        time.sleep(1)
    raise AssertionError("the definitions are not explained after a minute")


@pytest.fixture
def cluster(definitions: ControlPlane) -> Iterator[Cluster]:
    """The door to it, with an administrator's rights."""
    door = Cluster(load_configuration(definitions.kubeconfig))
    yield door
    door.close()


@pytest.fixture
def apply(definitions: ControlPlane) -> Callable[..., None]:
    """Applies objects."""

    def apply_all(*bodies: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        definitions.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    return apply_all


@pytest.fixture
def get(definitions: ControlPlane) -> Callable[..., Any]:
    """What `kubectl get` finds, as an object."""
    return lambda *what: json.loads(definitions.kubectl("get", "--output=json", *what))


def deployment(namespace: str, name: str) -> dict[str, Any]:
    """A Deployment without pods."""
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }


class RealShop(Operator):
    """
    The operator core among doubles, but for the API server; what is watched is listed before each cycle.

    The doubles call the namespace shop, so that is where the frontend and the checkout have to be.
    """

    def __init__(self, cluster: Cluster, get: Callable[..., Any]) -> None:
        super().__init__()
        self._get = get
        writer = Writer(cluster, may_write=lambda: self.is_leader, threads=4)
        publisher = Publisher(writer, self.metrics, Outlets(self.noticeboard, self.gauges), clock=lambda: self.now)
        self.cycle = Cycle(self.picture, FakeDoors(self), publisher=publisher, leadership=self, clock=lambda: self.now)

    async def run(self, cycles: int = 1) -> str:
        """Runs cycles, one a step."""
        outcome = ""
        for _ in range(cycles):
            for kind in KINDS:
                for body in self._get(kind, *(() if kind in KINDS[::2] else ("--all-namespaces",)))["items"]:
                    self.picture.observe(None, body)
            outcome = await super().run()
            self.now += 60
        return outcome


@pytest.fixture
def shop(
    definitions: ControlPlane, cluster: Cluster, apply: Callable[..., None], get: Callable[..., Any]
) -> Iterator[RealShop]:
    """The shop on the real API server; the Forecaster and its resources are deleted after the test."""
    opted_in = {"name": "shop", "labels": {"tidecast.dev/forecast": "enabled"}}
    apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": opted_in},
        deployment("shop", "frontend"),
        deployment("shop", "checkout"),
        {
            "apiVersion": "tidecast.dev/v1alpha1",
            "kind": "Forecaster",
            "metadata": {"name": "default"},
            "spec": forecaster_spec(),
        },
    )
    yield RealShop(cluster, get)
    definitions.kubectl("delete", "forecasters.tidecast.dev", "--all")
    definitions.kubectl("delete", "-n", "shop", "serviceperformanceforecasts.tidecast.dev", "--all")
    definitions.kubectl("delete", "-n", "shop", "events", "--all")
