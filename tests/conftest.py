"""
The real components, one control plane for the whole run, and the rule when a test on them may be skipped.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client, config
from xdist.scheduler import LoadScopeScheduling

from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.prometheus import PrometheusServer


def pytest_runtest_setup(item: pytest.Item) -> None:
    """
    A test marked `real` needs all programs, or those that the marker names.

    Without them it is skipped with the reason; in CI, where it would go unnoticed, that is a failure.
    """
    marker = item.get_closest_marker("real")
    missing = binaries.why_missing(*marker.args) if marker else ""
    if missing and _must_be_real():
        pytest.fail(f"real components are required here: {missing}", pytrace=False)
    if missing:
        pytest.skip(missing)


class ByFolder(LoadScopeScheduling):
    """Where several processes share a run, tests of one folder stay together: what they start is started once."""

    def _split_scope(self, nodeid: str) -> str:
        return "/".join(nodeid.split("/")[:2])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFolder:
    """The scheduler of a run that is shared."""
    return ByFolder(config, log)


def _must_be_real() -> bool:
    return os.environ.get("CI") == "true" or os.environ.get("TIDECAST_REQUIRE_REAL") == "1"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A Kubernetes control plane for all tests; each works in namespaces of its own."""
    with ControlPlane.start(tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture(scope="session")
def api_client(control_plane: ControlPlane) -> Iterator[client.ApiClient]:
    """A Kubernetes client with an administrator's rights."""
    with config.new_client_from_config(str(control_plane.kubeconfig)) as api:
        yield api


@pytest.fixture
def new_namespace(control_plane: ControlPlane) -> Iterator[Callable[..., str]]:
    """Makes namespaces with given labels and a name that no other test has; they are deleted after the test."""
    names: list[str] = []

    def make(prefix: str = "test", **labels: str) -> str:
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        control_plane.kubectl("create", "namespace", name)
        names.append(name)
        if labels:
            control_plane.kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in labels.items()))
        return name

    yield make
    if names:
        control_plane.kubectl("delete", "namespace", "--wait=false", *names)


@pytest.fixture
def namespace(new_namespace: Callable[..., str]) -> str:
    """A fresh namespace."""
    return new_namespace()


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[..., PrometheusServer]]:
    """Starts a Prometheus with the arguments of `PrometheusServer.start` but the directory; it ends with the test."""
    servers: list[PrometheusServer] = []

    def start(**arguments: object) -> PrometheusServer:
        server = PrometheusServer.start(tmp_path / f"prometheus-{len(servers)}", **arguments)  # type: ignore[arg-type]
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
