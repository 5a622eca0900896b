import uuid

import pytest
from kubernetes import client

from builders.meshes import gateway_chain
from tidecast_simulator.kubernetes_objects import apply, delete, objects_of
from tidecast_simulator.mesh import Mesh, Service
from tidecast_simulator.shop import shop


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def test_every_service_inside_has_a_workload_and_a_service_that_select_the_same_pods():
    objects = objects_of(shop())
    workloads = of_kind(objects, "Deployment") + of_kind(objects, "StatefulSet")
    assert len(workloads) == len(of_kind(objects, "Service")) == len(of_kind(objects, "EndpointSlice")) == 21
    selectors = {one["metadata"]["name"]: one["spec"]["selector"] for one in of_kind(objects, "Service")}
    for one in workloads:
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert labels.items() >= selectors[one["metadata"]["name"]].items()
        assert labels["version"] == "v1"


def test_the_namespaces_of_services_opt_in_and_a_gateway_s_does_not():
    labels = {one["metadata"]["name"]: one["metadata"]["labels"] for one in of_kind(objects_of(shop()), "Namespace")}
    assert labels["shop"]["tidecast.dev/forecast"] == "enabled"
    assert "tidecast.dev/forecast" not in labels["istio-system"]


def test_a_peer_outside_has_no_objects():
    assert "unknown" not in {one["metadata"]["name"] for one in objects_of(gateway_chain())}


@pytest.mark.real
def test_an_api_server_takes_the_objects_and_gives_them_up_again(api_client):
    namespace = f"shop-{uuid.uuid4().hex[:6]}"
    services = (Service("cart", namespace), Service("store", namespace, kind="StatefulSet", replicas=1))
    objects = objects_of(Mesh("small", services, ()))
    apply(objects, api_client)
    apply(objects, api_client)
    deployment = client.AppsV1Api(api_client).read_namespaced_deployment("cart", namespace)
    assert deployment.spec.replicas == 2
    assert client.CoreV1Api(api_client).read_namespace(namespace).metadata.labels["tidecast.dev/forecast"] == "enabled"
    scaler = client.AutoscalingV1Api(api_client).read_namespaced_horizontal_pod_autoscaler("cart", namespace)
    assert scaler.spec.target_cpu_utilization_percentage == 70
    delete(objects, api_client)
    delete(objects, api_client)
    assert client.AppsV1Api(api_client).list_namespaced_stateful_set(namespace).items == []
