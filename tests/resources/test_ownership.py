from builders.operating import forecast_body, namespace_body
from builders.snapshots import CHECKOUT
from builders.telemetry import cluster, workload_body
from tidecast_contract.services import EXTERNAL, ServiceId
from tidecast_operator.ownership import plan, speakers
from tidecast_operator.resources import ForecastResource
from tidecast_operator.selectors import Selector

CHOSEN = Selector.parse({"matchLabels": {"tidecast.dev/forecast": "enabled"}})
SHOP = cluster(namespace_body(), workload_body("checkout"), workload_body("frontend"))
MANAGED = {"labels": {"app.kubernetes.io/managed-by": "tidecast"}}


def forecast(name="checkout", **changes):
    return ForecastResource.parse(forecast_body(name, **changes))


def planned(*resources, receivers=(CHECKOUT,), workloads=SHOP):
    return plan(resources, receivers, workloads, namespaces=CHOSEN)


def test_a_called_workload_gets_a_resource_that_it_owns():
    (body,) = planned().create

    assert body["metadata"]["name"] == "checkout"
    assert body["metadata"]["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "uid-of-checkout"}
    ]
    assert body["spec"]["targetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}


def test_a_namespace_that_has_not_opted_in_gets_none():
    other = cluster(namespace_body(team="other"), workload_body("checkout"))

    assert planned(workloads=other).create == ()


def test_a_peer_that_is_no_workload_gets_none():
    assert planned(receivers=(ServiceId("", EXTERNAL, "api.example.com"),)).create == ()


def test_a_resource_of_a_user_is_respected():
    assert planned(forecast("mine")).create == ()


def test_a_name_that_is_taken_gets_the_kind_added():
    frontend = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "frontend"}}

    (body,) = planned(forecast("checkout", **frontend)).create

    assert body["metadata"]["name"] == "checkout-deployment"


def test_two_kinds_of_the_same_name_both_get_a_resource():
    both = cluster(namespace_body(), workload_body("checkout"), workload_body("checkout", kind="StatefulSet"))
    receivers = (CHECKOUT, ServiceId("shop", "StatefulSet", "checkout"))

    names = [body["metadata"]["name"] for body in planned(receivers=receivers, workloads=both).create]

    assert names == ["checkout", "checkout-statefulset"]


def test_a_namespace_that_opts_out_loses_managed_resources_and_no_others():
    out = cluster(namespace_body(team="other"), workload_body("checkout"), workload_body("frontend"))
    frontend = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "frontend"}}
    managed, written = forecast(metadata=MANAGED), forecast("mine", **frontend)

    assert planned(managed, written, workloads=out).delete == (managed,)


def test_a_namespace_that_is_not_known_has_not_opted_out():
    unknown = cluster(workload_body("checkout"))

    assert planned(forecast(metadata=MANAGED), workloads=unknown).delete == ()


def test_a_managed_resource_gives_way_to_one_of_a_user():
    managed, written = forecast(metadata=MANAGED), forecast("mine")

    found = planned(managed, written)

    assert (found.delete, found.create) == ((managed,), ())


def test_of_two_resources_of_users_the_older_speaks():
    young = forecast("a-young", metadata={"creationTimestamp": "2026-11-22T11:00:00Z"})
    old = forecast("b-old")

    assert speakers([young, old])[CHECKOUT] is old
