"""
A door to the autoscalers of the real API server, and a shop there whose owner has one.
"""

import pytest

from builders.autoscaled_shop import Shop, leading
from tidecast_operator.autoscalers import Autoscalers
from tidecast_operator.cluster import load_configuration


@pytest.fixture
def autoscalers(control_plane):
    """The door, with an administrator's rights."""
    door = Autoscalers(load_configuration(control_plane.kubeconfig))
    yield door
    door.close()


@pytest.fixture
def floors(autoscalers):
    """As a process that leads."""
    return leading(autoscalers)


@pytest.fixture
def shop(control_plane, namespace):
    """A namespace with an autoscaler that an owner applied, from 2 to 20 replicas."""
    return Shop(control_plane, namespace)
