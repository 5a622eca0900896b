import pytest

from tidecast_contract.services import EXTERNAL, ServiceId


def test_a_service_survives_being_written_and_read():
    service = ServiceId("shop", "StatefulSet", "orders")

    assert ServiceId.parse(str(service)) == service


def test_a_peer_without_a_namespace_survives_being_written_and_read():
    peer = ServiceId("", EXTERNAL, "unknown")

    assert ServiceId.parse(str(peer)) == peer


def test_a_name_with_a_slash_is_refused():
    with pytest.raises(ValueError, match="slash"):
        ServiceId("shop", "Deployment", "a/b")


def test_only_a_peer_that_is_no_workload_is_external():
    assert ServiceId("", EXTERNAL, "unknown").is_external
    assert not ServiceId("shop", "Deployment", "cart").is_external
