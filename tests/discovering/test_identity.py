"""Which node of the graph a peer is."""

from dataclasses import replace

import pytest

from builders.telemetry import NOBODY, cluster, service_body, workload_body, workload_peer
from tidecast_contract.services import ServiceId
from tidecast_operator.discovery.identity import Attribution, Identity
from tidecast_operator.telemetry.observations import Peer

CART = ServiceId("shop", "Deployment", "cart")

SHOP = (
    workload_body("cart", app="basket"),
    service_body("basket-api", app="basket"),
    workload_body("db", kind="StatefulSet", **{"app.kubernetes.io/name": "postgres"}),
)


def found(peer, *bodies, beside=""):
    return Identity(cluster(*(bodies or SHOP))).of(peer, beside=beside)


def certainly(service):
    return Attribution(service, is_certain=True)


def doubtfully(namespace, name):
    return Attribution(ServiceId(namespace, "External", name), is_certain=False)


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(workload_peer("cart"), id="by its workload"),
        pytest.param(workload_peer("cart", kind="Deployment"), id="by its workload and kind"),
        pytest.param(Peer(service="basket-api", service_namespace="shop"), id="by the Service called"),
        pytest.param(Peer(service="basket-api.shop.svc.cluster.local:8080"), id="by the Service's host name"),
        pytest.param(Peer(application="cart", namespace="shop"), id="by the application's name"),
        pytest.param(Peer(application="cart"), id="by the application's name without a namespace"),
        pytest.param(
            Peer(application="cart", service_namespace="retail"), id="by a namespace that is not the cluster's"
        ),
        pytest.param(
            Peer(application="basket-7.basket-api.shop.svc", is_virtual=True), id="by the host of one of its pods"
        ),
        pytest.param(Peer(application="basket-api"), id="by the application named like its Service"),
        pytest.param(Peer(application="basket"), id="by the application named in a label"),
        pytest.param(Peer(application="basket-api.shop", is_virtual=True), id="by the address a tracer saw"),
    ],
)
def test_a_workload_is_found(peer):
    assert found(peer) == certainly(CART)


def test_the_kind_tells_two_workloads_of_one_name_apart():
    twins = (workload_body("cart"), workload_body("cart", kind="StatefulSet"))
    assert found(workload_peer("cart", kind="StatefulSet"), *twins).service.kind == "StatefulSet"


def test_two_workloads_of_one_name_stay_unattributed_when_the_kind_is_unknown():
    twins = (workload_body("cart"), workload_body("cart", kind="StatefulSet"))
    assert found(workload_peer("cart"), *twins) == doubtfully("shop", "cart")


def test_an_application_in_two_namespaces_stays_unattributed_without_a_namespace():
    twins = (workload_body("cart", "shop"), workload_body("cart", "staging"))
    assert found(Peer(application="cart"), *twins) == doubtfully("", "cart")


def test_the_namespace_tells_two_applications_apart():
    twins = (workload_body("cart", "shop"), workload_body("cart", "staging"))
    assert found(Peer(application="cart", namespace="staging"), *twins).service.namespace == "staging"


def test_a_namespace_without_the_application_is_not_searched_elsewhere():
    bodies = (workload_body("cart", "shop"), workload_body("other", "staging"))
    assert found(Peer(application="cart", namespace="staging"), *bodies) == doubtfully("staging", "cart")


def test_a_service_before_several_workloads_stays_unattributed():
    versions = (workload_body("v1", app="reviews"), workload_body("v2", app="reviews"), service_body("reviews"))
    called = Peer(service="reviews", service_namespace="shop")
    assert found(called, *versions) == doubtfully("shop", "reviews")


def test_a_service_without_a_selector_is_a_known_peer_outside():
    body = service_body("legacy") | {"spec": {}}
    called = Peer(service="legacy", service_namespace="shop")
    assert found(called, body) == certainly(ServiceId("shop", "External", "legacy"))


def test_a_selector_must_match_in_all_its_labels():
    others = (workload_body(name, app=name, tier="front") for name in ("web", "shop"))
    bodies = (workload_body("cart", app="cart", tier="back"), service_body("cart", app="cart", tier="front"), *others)
    assert found(Peer(service="cart", service_namespace="shop"), *bodies).service.is_external


def test_a_gateway_that_is_a_workload_is_that_workload():
    gateway = workload_body("istio-ingressgateway", "istio-system")
    peer = workload_peer("istio-ingressgateway", "istio-system")
    assert found(peer, gateway) == certainly(ServiceId("istio-system", "Deployment", "istio-ingressgateway"))


def test_a_workload_that_is_not_watched_is_a_known_peer_outside():
    assert found(workload_peer("gone")) == certainly(ServiceId("shop", "External", "gone"))


def test_a_host_outside_the_cluster_has_no_namespace():
    called = Peer(service="api.stripe.com", service_namespace="shop")
    assert found(called) == certainly(ServiceId("", "External", "api.stripe.com"))


@pytest.mark.parametrize("cluster_name", ["PassthroughCluster", "BlackHoleCluster", "InboundPassthroughClusterIpv4"])
def test_traffic_that_passes_through_has_a_node_beside_its_caller(cluster_name):
    assert found(Peer(service=cluster_name), beside="shop") == doubtfully("shop", cluster_name)


@pytest.mark.parametrize("address", ["10.0.0.7", "10.0.0.7:8080", "[2001:db8::1]:443", "2001:db8::1"])
def test_addresses_share_a_node(address):
    assert found(Peer(service=address), beside="shop") == doubtfully("shop", "ip-addresses")


def test_nobody_has_a_node_beside_the_other_side():
    assert found(NOBODY, beside="shop") == doubtfully("shop", "unknown")


def test_a_caller_without_spans_is_unknown_even_if_a_workload_has_that_name():
    browser = Peer(application="user", is_virtual=True)
    expected = certainly(ServiceId("shop", "External", "unknown"))
    assert found(browser, workload_body("user"), beside="shop") == expected


def test_an_application_named_user_is_that_workload():
    assert found(Peer(application="user"), workload_body("user")) == certainly(ServiceId("shop", "Deployment", "user"))


def test_a_database_that_only_its_callers_saw_is_a_known_peer_outside():
    database = Peer(application="orders-db", is_virtual=True)
    assert found(database) == certainly(ServiceId("", "External", "orders-db"))


@pytest.mark.parametrize("beside", ["", "shop"])
def test_a_database_is_the_workload_of_that_name_where_its_caller_is(beside):
    assert found(Peer(application="db", is_virtual=True), beside=beside).service.kind == "StatefulSet"


def test_a_database_is_no_workload_of_that_name_where_its_caller_is_not():
    database = Peer(application="db", is_virtual=True)
    assert found(database, beside="payments") == certainly(ServiceId("", "External", "db"))


def test_the_same_database_name_is_another_workload_beside_another_caller():
    identity = Identity(cluster(workload_body("db", "shop"), workload_body("db", "payments")))
    database = Peer(application="db", is_virtual=True)
    found = [identity.of(database, beside=beside).service.namespace for beside in ("shop", "payments")]
    assert found == ["shop", "payments"]


def test_a_kubernetes_namespace_that_is_no_more_is_not_another_one():
    gone = Peer(application="cart", namespace="preview-123")
    assert found(gone) == doubtfully("preview-123", "cart")


def test_an_application_that_no_workload_is_named_after_stays_unattributed():
    assert found(Peer(application="mystery")) == doubtfully("", "mystery")


def test_a_name_with_a_slash_becomes_a_node_without_one():
    assert found(Peer(application="bus/topic", is_virtual=True)).service.name == "bus_topic"


@pytest.mark.parametrize("text", [":8080", "s3://bucket/key", "a" * 300])
def test_no_text_of_a_label_is_too_odd_for_a_node(text):
    peer = Peer(application=text, service=text, service_namespace="a/b")
    assert 1 <= len(found(peer).service.name) <= 253


def test_of_a_part_of_the_cluster_an_application_of_another_namespace_is_not_taken_for_one_that_is_known():
    index = replace(cluster(*SHOP), is_partial=True)

    elsewhere = Identity(index).of(Peer(application="cart", namespace="payments"))
    nowhere = Identity(index).of(Peer(application="cart"))

    assert str(elsewhere.service) == "payments/External/cart"
    assert str(nowhere.service) == "shop/Deployment/cart"
