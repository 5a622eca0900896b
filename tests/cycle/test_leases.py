import socket
import threading

import pytest
from kubernetes import client

from tidecast_operator.errors import ApiServerUnavailable
from tidecast_operator.leases import Leases


@pytest.fixture
def connections():
    return []


@pytest.fixture
def leases(connections):
    """At an API server that takes connections and says nothing, as one behind a dead load balancer does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def take():
        while True:
            try:
                connections.append(listener.accept())
            except OSError:
                return

    taking = threading.Thread(target=take)
    taking.start()
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{listener.getsockname()[1]}"
    made = Leases(configuration)
    yield made
    made.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    taking.join()
    for connection, _ in connections:
        connection.close()


def test_an_api_server_that_says_nothing_is_asked_once_and_not_for_long(leases, connections):
    """So there is time to ask another one before the Lease lapses."""
    with pytest.raises(ApiServerUnavailable, match="timed out"):
        leases.read_lease("tidecast-system", "tidecast-operator")

    assert len(connections) == 1
