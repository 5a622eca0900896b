import base64

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.cluster import Cluster
from tidecast_operator.errors import Misconfigured

BODY = {"metadata": {"namespace": "shop", "name": "checkout"}}
DENIED = '{"message": "forbidden: User \\"operator\\" cannot create resource \\"serviceperformanceforecasts\\""}'
OVER_QUOTA = '{"message": "checkout is forbidden: exceeded quota: objects"}'
TERMINATING = '{"details": {"causes": [{"reason": "NamespaceTerminating"}]}}'


@pytest.fixture
def cluster():
    made = Cluster(client.Configuration())
    yield made
    made.close()


def forbidding(monkeypatch, body):
    def refuse(*_, **__):
        error = ApiException(status=403, reason="Forbidden")
        error.body = body
        raise error

    monkeypatch.setattr(client.CustomObjectsApi, "create_namespaced_custom_object", refuse)


def test_a_permission_that_is_missing_is_named(cluster, monkeypatch):
    forbidding(monkeypatch, DENIED)

    with pytest.raises(Misconfigured, match="rbac"):
        cluster.create_forecast(BODY)


def test_a_quota_that_is_exceeded_concerns_one_object_alone(cluster, monkeypatch):
    forbidding(monkeypatch, OVER_QUOTA)

    with pytest.raises(WriteRefused, match="exceeded quota"):
        cluster.create_forecast(BODY)


def test_a_namespace_that_is_being_deleted_counts_as_gone(cluster, monkeypatch):
    forbidding(monkeypatch, TERMINATING)

    assert cluster.create_forecast(BODY) is Outcome.GONE


def test_a_value_that_is_no_text_hides_no_other_of_its_secret(cluster, monkeypatch):
    data = {"token": base64.b64encode(b"abc").decode(), "keystore": base64.b64encode(b"\xff\xfe").decode()}
    monkeypatch.setattr(client.CoreV1Api, "read_namespaced_secret", lambda *_, **__: client.V1Secret(data=data))

    assert cluster.read_secret("monitoring", "credentials") == {"token": "abc"}
