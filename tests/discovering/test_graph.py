"""Who calls whom."""

from builders.telemetry import NOBODY, calls, cluster, service_body, workload_body, workload_peer
from tidecast_contract.services import ServiceId
from tidecast_operator.discovery.graph import discover
from tidecast_operator.discovery.identity import Identity
from tidecast_operator.telemetry.observations import Peer

FRONTEND = ServiceId("shop", "Deployment", "frontend")
CHECKOUT = ServiceId("shop", "Deployment", "checkout")


def graph(*sources, index=None, **changes):
    return discover(sources, Identity(index or cluster()), **changes)


def test_calls_connect_workloads():
    seen = calls((workload_peer("frontend"), workload_peer("checkout"), 2.0))
    assert graph(seen).rates == {(FRONTEND, CHECKOUT): 2.0}


def test_two_series_of_one_call_add_up():
    refused = Peer(service="checkout", service_namespace="shop")
    index = cluster(workload_body("frontend"), workload_body("checkout"), service_body("checkout"))
    seen = calls((workload_peer("frontend"), workload_peer("checkout"), 2.0), (workload_peer("frontend"), refused, 0.5))
    assert graph(seen, index=index).rates == {(FRONTEND, CHECKOUT): 2.5}


def test_a_call_that_two_sources_saw_counts_once_as_the_first_saw_it():
    istio = calls((workload_peer("frontend"), workload_peer("checkout"), 2.0))
    traces = calls((Peer(application="frontend"), Peer(application="checkout"), 1.5))
    assert graph(istio, traces).rates == {(FRONTEND, CHECKOUT): 2.0}


def test_a_call_that_only_the_second_source_saw_is_added():
    istio = calls((workload_peer("frontend"), workload_peer("checkout"), 2.0))
    traces = calls((Peer(application="checkout"), Peer(application="frontend"), 1.5))
    assert graph(istio, traces).rates[CHECKOUT, FRONTEND] == 1.5


def test_a_call_at_the_noise_floor_is_noise():
    seen = calls((workload_peer("frontend"), workload_peer("checkout"), 0.1))
    assert not graph(seen, noise_floor=0.1).rates
    assert graph(seen, noise_floor=0.09).rates


def test_an_unknown_caller_is_a_node_of_its_callees_namespace_and_unattributed():
    found = graph(calls((NOBODY, workload_peer("frontend"), 3.0)))
    assert found.rates == {(ServiceId("shop", "External", "unknown"), FRONTEND): 3.0}
    assert found.unattributed_requests_per_second == 3.0


def test_an_unknown_callee_is_a_node_of_its_callers_namespace():
    traces = calls((Peer(application="frontend"), Peer(service="PassthroughCluster"), 3.0))
    assert (FRONTEND, ServiceId("shop", "External", "PassthroughCluster")) in graph(traces).rates


def test_a_call_between_two_peers_outside_is_left_out():
    found = graph(calls((NOBODY, Peer(service="api.stripe.com"), 3.0)))
    assert not found.rates
    assert found.unattributed_requests_per_second == 0


def test_services_alone_make_no_call():
    index = cluster(workload_body("frontend"), workload_body("checkout"), service_body("checkout"))
    assert not graph(calls(), index=index).services
