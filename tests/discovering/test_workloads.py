"""The picture of the cluster that events paint."""

from builders.telemetry import service_body, workload_body
from tidecast_contract.services import ServiceId
from tidecast_operator.discovery.workloads import Workloads


def test_a_listed_deployment_is_in_the_index_with_what_an_owner_reference_needs():
    workloads = Workloads()
    workloads.observe(None, workload_body("cart"))
    found = workloads.index().workloads[ServiceId("shop", "Deployment", "cart")]
    assert (found.api_version, found.uid, found.ready_replicas) == ("apps/v1", "uid-of-cart", 2)


def test_a_daemon_set_counts_its_ready_pods_under_another_name():
    workloads = Workloads()
    workloads.observe("ADDED", workload_body("agent", kind="DaemonSet") | {"status": {"numberReady": 5}})
    assert workloads.index().workloads[ServiceId("shop", "DaemonSet", "agent")].ready_replicas == 5


def test_a_deployment_without_status_and_labels_is_known_all_the_same():
    workloads = Workloads()
    workloads.observe("ADDED", {"kind": "Deployment", "metadata": {"namespace": "shop", "name": "new"}})
    found = workloads.index().workloads[ServiceId("shop", "Deployment", "new")]
    assert (found.ready_replicas, found.pod_labels) == (0, {})


def test_a_deleted_workload_leaves_the_index():
    workloads = Workloads()
    workloads.observe(None, workload_body("cart"))
    workloads.observe("DELETED", workload_body("cart"))
    assert not workloads.index().workloads


def test_an_index_that_was_handed_out_does_not_change():
    workloads = Workloads()
    workloads.observe(None, workload_body("cart"))
    before = workloads.index()
    workloads.observe("DELETED", workload_body("cart"))
    assert len(before.workloads) == 1


def test_an_event_that_changes_nothing_keeps_the_index():
    workloads = Workloads()
    workloads.observe(None, workload_body("cart"))
    before = workloads.index()
    workloads.observe("MODIFIED", workload_body("cart"))
    assert workloads.index() is before


def test_services_and_namespace_labels_are_kept():
    workloads = Workloads()
    workloads.observe(None, service_body("cart", app="basket"))
    workloads.observe(None, {"kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "blue"}}})
    index = workloads.index()
    assert index.services["shop", "cart"].selector == {"app": "basket"}
    assert index.namespace_labels == {"shop": {"team": "blue"}}


def test_a_kind_that_runs_no_service_is_ignored():
    workloads = Workloads()
    workloads.observe(None, {"kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "cart"}})
    assert not workloads.index().workloads
