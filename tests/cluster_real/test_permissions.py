import json
import uuid
from pathlib import Path

import pytest
import requests
from kubernetes import client

from builders.operating import forecast_body, forecaster_spec
from tidecast_operator.api_answers import Outcome
from tidecast_operator.cluster import Cluster
from tidecast_operator.errors import Misconfigured
from tidecast_operator.handlers import WATCHED
from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.leases import Leases

pytestmark = pytest.mark.real

MANIFESTS = Path(__file__).parents[2] / "manifests"
OWN = "tidecast-system"


@pytest.fixture
def token(definitions, apply):
    """Of the operator's service account."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OWN}})
    definitions.kubectl("apply", "-f", str(MANIFESTS / "rbac.yaml"))
    path = f"/api/v1/namespaces/{OWN}/serviceaccounts/tidecast-operator/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = definitions.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(request))
    return json.loads(answer)["status"]["token"]


@pytest.fixture
def configuration(definitions, token):
    """The operator's own rights."""
    made = client.Configuration()
    made.host = definitions.url
    made.ssl_ca_cert = str(definitions.ca_file)
    made.api_key = {"BearerToken": f"Bearer {token}", "authorization": f"Bearer {token}"}
    return made


@pytest.fixture
def door(configuration):
    """A door with them."""
    cluster = Cluster(configuration)
    yield cluster
    cluster.close()


@pytest.mark.parametrize(("group", "version", "plural"), WATCHED)
def test_everything_that_is_watched_may_be(definitions, token, group, version, plural):
    prefix = f"apis/{group}" if group else "api"

    for watch in ("", "?watch=true&timeoutSeconds=1"):
        answer = requests.get(
            f"{definitions.url}/{prefix}/{version}/{plural}{watch}",
            headers={"Authorization": f"Bearer {token}"},
            verify=str(definitions.ca_file),
            timeout=10,
        )
        assert answer.status_code == 200, answer.text


def test_everything_that_is_written_may_be(door, apply, get, namespace):
    body = forecast_body() | {"metadata": {"namespace": namespace, "name": "a"}}
    event = {
        "metadata": {"generateName": "a.", "namespace": namespace},
        "involvedObject": {"kind": "ServicePerformanceForecast", "namespace": namespace, "name": "a"},
        "reason": "Tested",
    }
    name = f"unused-{uuid.uuid4().hex[:8]}"
    apply(
        {
            "apiVersion": "tidecast.dev/v1alpha1",
            "kind": "Forecaster",
            "metadata": {"name": name},
            "spec": forecaster_spec(),
        }
    )

    assert door.create_forecast(body) is Outcome.DONE
    assert door.patch_forecast_status(namespace, "a", {"observedGeneration": 1}) is Outcome.DONE
    assert door.patch_forecaster_status(name, {"observedGeneration": 1}) is Outcome.DONE
    assert door.create_event(namespace, event) is Outcome.DONE
    uid = get("spf", "-n", namespace, "a")["metadata"]["uid"]
    assert door.delete_forecast(namespace, "a", uid=uid) is Outcome.DONE


def test_the_lease_may_be_taken_renewed_and_given_back(configuration, definitions):
    definitions.kubectl("delete", "lease", "-n", OWN, "tidecast-operator", "--ignore-not-found")
    leases = Leases(configuration)
    first, second = (Leadership(leases, Candidate(name, OWN)) for name in ("first", "second"))

    assert [first.step(), second.step(), first.step()] == [True, False, True]
    first.release()
    assert second.step()
    second.release()
    leases.close()


def test_only_the_secret_that_is_named_may_be_read(door, definitions):
    definitions.kubectl("delete", "secret", "-n", OWN, "tidecast-prometheus", "--ignore-not-found")
    definitions.kubectl("create", "secret", "generic", "-n", OWN, "tidecast-prometheus", "--from-literal=token=abc")

    assert door.read_secret(OWN, "tidecast-prometheus") == {"token": "abc"}
    with pytest.raises(Misconfigured, match="another"):
        door.read_secret(OWN, "another")


def test_a_users_spec_may_not_be_changed(definitions, token, apply, namespace):
    apply(forecast_body() | {"metadata": {"namespace": namespace, "name": "a"}})

    answer = requests.patch(
        f"{definitions.url}/apis/tidecast.dev/v1alpha1/namespaces/{namespace}/serviceperformanceforecasts/a",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"},
        data=json.dumps({"spec": {"suspend": True}}),
        verify=str(definitions.ca_file),
        timeout=10,
    )

    assert answer.status_code == 403


def test_a_lease_that_an_installer_made_is_taken_and_keeps_its_labels(configuration, definitions, get):
    leases = Leases(configuration)
    definitions.kubectl("delete", "lease", "-n", OWN, "tidecast-operator", "--ignore-not-found")
    made = {"name": "tidecast-operator", "namespace": OWN, "labels": {"of": "a-release"}, "annotations": {"and": "so"}}
    definitions.kubectl(
        "create",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": made}),
    )
    leadership = Leadership(leases, Candidate("first", OWN))

    assert [leadership.step(), leadership.step()] == [True, True]
    found = get("lease", "-n", OWN, "tidecast-operator")
    assert (found["metadata"]["labels"], found["metadata"]["annotations"]) == ({"of": "a-release"}, {"and": "so"})
    assert found["spec"]["holderIdentity"] == "first"
    leadership.release()
    leases.close()
