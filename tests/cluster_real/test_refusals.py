"""What a real API server forbids for one namespace, and what is made of it."""

import pytest

from tidecast_contract.services import ServiceId
from tidecast_operator.api_answers import Outcome
from tidecast_operator.resources import managed_forecast

pytestmark = pytest.mark.real


def resource(namespace):
    return managed_forecast("a", ServiceId(namespace, "Deployment", "a"), {"apiVersion": "apps/v1", "uid": "1"})


def test_a_namespace_that_is_being_deleted_counts_as_gone(cluster, definitions, apply, namespace):
    held = {"namespace": namespace, "name": "held", "finalizers": ["tidecast.dev/test"]}
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    definitions.kubectl("delete", "namespace", namespace, "--wait=false")
    try:
        assert cluster.create_forecast(resource(namespace)) is Outcome.GONE
    finally:
        patch = '{"metadata": {"finalizers": null}}'
        definitions.kubectl("patch", "-n", namespace, "configmap", "held", "--type=merge", "-p", patch)
