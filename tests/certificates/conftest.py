"""
Installations whose certificates are issued.
"""

import pytest

from builders.certificates import DAY, FakeCluster, Rotation, empty_cluster

BEGIN = 1_767_225_600.0


@pytest.fixture
def cluster() -> FakeCluster:
    """As the chart leaves it."""
    return empty_cluster()


@pytest.fixture
def installed(cluster: FakeCluster) -> Rotation:
    """Everything is issued, and seen by all pods."""
    rotation = Rotation(cluster, BEGIN)
    rotation.run(600)
    rotation.refused.clear()
    return rotation


@pytest.fixture(scope="session")
def aged() -> Rotation:
    """Just before the authority is due, with certificates that are not; not to be changed."""
    rotation = Rotation(empty_cluster(), BEGIN)
    rotation.run(20 * DAY - 7200, tick_seconds=DAY / 4)
    rotation.clock.now = BEGIN + 20 * DAY - 1900
    rotation.run(600)
    return rotation


@pytest.fixture
def due(aged: Rotation) -> Rotation:
    """The same, to be changed."""
    rotation = Rotation(aged.cluster.copy(), aged.clock.now)
    for pod in rotation.pods:
        pod.longest_seconds = 0
    rotation.look()
    for pod in rotation.pods:
        pod.longest_seconds = 120
    return rotation
