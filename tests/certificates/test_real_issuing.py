import asyncio
import base64
import json
import subprocess
import sys
import time
import uuid

import pytest
import requests
from kubernetes import client

from builders.waiting import eventually
from tidecast_operator.api_answers import Outcome
from tidecast_operator.certificates.issuer import ISSUED_BY, Issuer
from tidecast_operator.certificates.keeper import CertificateKeeper
from tidecast_operator.certificates.wanted import Wanted
from tidecast_operator.cluster import Cluster
from tidecast_operator.errors import Misconfigured

pytestmark = pytest.mark.real

AUTHORITY, OPERATOR, PREDICTOR = "tidecast-authority", "tidecast-operator-tls", "tidecast-predictor-tls"
SECRETS = (AUTHORITY, OPERATOR, PREDICTOR)
DAY = 86_400.0


class Installed:
    """
    Three empty Secrets, an APIService, and a service account that may do with them what the chart grants.
    """

    def __init__(self, control_plane, namespace):
        self.plane, self.namespace = control_plane, namespace
        suffix = uuid.uuid4().hex[:8]
        self.api_service = f"v1.{suffix}.example.com"
        self.role = f"issuer-{suffix}"
        self._apply(*self._objects())
        self.token = self._token()

    def wanted(self, api_services=None):
        certificates = {OPERATOR: ("tidecast-operator",), PREDICTOR: ("tidecast-predictor",)}
        told = (self.api_service,) if api_services is None else api_services
        return Wanted(self.namespace, AUTHORITY, certificates, told)

    def get(self, *what):
        return json.loads(self.plane.kubectl("get", "--output=json", *what))

    def data(self, name):
        found = self.get("secret", "-n", self.namespace, name).get("data") or {}
        return {key: base64.b64decode(value) for key, value in found.items()}

    def end(self):
        self.plane.kubectl("delete", "apiservice", self.api_service, "--ignore-not-found")
        self.plane.kubectl("delete", "clusterrole,clusterrolebinding", self.role, "--ignore-not-found")

    def request(self, method, path, **arguments):
        return requests.request(
            method,
            f"{self.plane.url}{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            verify=str(self.plane.ca_file),
            timeout=10,
            **arguments,
        )

    def _apply(self, *bodies):
        self.plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))

    def _token(self):
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/issuer/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = self.plane.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(request))
        return json.loads(answer)["status"]["token"]

    def _objects(self):
        here = {"namespace": self.namespace}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here | {"name": "issuer"}}
        for name in SECRETS:
            yield {"apiVersion": "v1", "kind": "Secret", "metadata": here | {"name": name}}
        rbac, group = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
        rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": SECRETS, "verbs": ["get", "update"]}]
        yield {"apiVersion": rbac, "kind": "Role", "metadata": here | {"name": "issuer"}, "rules": rules}
        subject = {"kind": "ServiceAccount", "name": "issuer", "namespace": self.namespace}
        role = {"apiGroup": group, "kind": "Role", "name": "issuer"}
        binding = {"metadata": here | {"name": "issuer"}, "roleRef": role, "subjects": [subject]}
        yield {"apiVersion": rbac, "kind": "RoleBinding"} | binding
        told = {"apiGroups": ["apiregistration.k8s.io"], "resources": ["apiservices"], "verbs": ["get", "patch"]}
        rules = [told | {"resourceNames": [self.api_service]}]
        yield {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": self.role}, "rules": rules}
        role = {"apiGroup": group, "kind": "ClusterRole", "name": self.role}
        binding = {"metadata": {"name": self.role}, "roleRef": role, "subjects": [subject]}
        yield {"apiVersion": rbac, "kind": "ClusterRoleBinding"} | binding
        _, version_group = self.api_service.split(".", 1)
        spec = {
            "group": version_group,
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": self.namespace, "name": "nobody", "port": 443},
        }
        yield {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": self.api_service},
            "spec": spec,
        }


@pytest.fixture
def installed(control_plane, namespace):
    made = Installed(control_plane, namespace)
    yield made
    made.end()


@pytest.fixture
def door(installed):
    """With the service account's rights, and no others."""
    configuration = client.Configuration()
    configuration.host = installed.plane.url
    configuration.ssl_ca_cert = str(installed.plane.ca_file)
    bearer = f"Bearer {installed.token}"
    configuration.api_key = {"BearerToken": bearer, "authorization": bearer}
    cluster = Cluster(configuration)
    yield cluster
    cluster.close()


@pytest.fixture
def clock():
    return [time.time()]


@pytest.fixture
def settle(installed, door, clock):
    """Passes of a leader that has just started, until there is nothing more to be done at that time."""

    def until_settled(wanted=None):
        issuer = Issuer(door, wanted or installed.wanted(), may_write=lambda: True, clock=lambda: clock[0])
        for _ in range(20):
            done = issuer.step()
            if not done.writes and not done.conflicts:
                return done
        raise AssertionError("it writes and writes")

    return until_settled


def test_empty_secrets_are_filled_and_the_api_service_is_told(installed, settle):
    assert not settle().problems

    authority, operator, predictor = map(installed.data, SECRETS)
    assert operator["ca.crt"] == predictor["ca.crt"] == authority["ca.crt"]
    api_service = installed.get("apiservice", installed.api_service)
    assert base64.b64decode(api_service["spec"]["caBundle"]) == authority["ca.crt"]
    assert api_service["spec"]["service"]["name"] == "nobody"
    # An API server that keeps no record of owners for APIServices, as 1.20, has nothing to show.
    path = f"/apis/apiregistration.k8s.io/v1/apiservices/{installed.api_service}"
    managed = json.loads(installed.plane.kubectl("get", "--raw", path))["metadata"].get("managedFields")
    owners = [one for one in managed or () if "f:caBundle" in json.dumps(one["fieldsV1"])]
    assert not managed or [(one["manager"], one["operation"]) for one in owners] == [("tidecast-ca", "Apply")]


def test_the_authority_is_rotated_by_leaders_after_each_other(installed, settle, clock):
    settle()
    before = installed.data(AUTHORITY)
    clock[0] += 2500 * DAY
    bundles = []
    for _ in range(3):
        settle()  # each time as a replica that knows nothing but the Secrets
        bundles.append(installed.data(AUTHORITY)["ca.crt"].count(b"BEGIN"))
        clock[0] += 601.0

    settle()
    assert bundles == [2, 2, 1]
    assert installed.data(AUTHORITY)["ca.crt"] != before["ca.crt"]
    assert installed.data(PREDICTOR)["ca.crt"] == installed.data(AUTHORITY)["ca.crt"]


def test_an_authority_that_is_lost_is_made_anew_and_everything_is_issued_by_it(installed, settle, clock):
    settle()
    before = [installed.data(name) for name in SECRETS]
    installed.plane.kubectl("delete", "secret", "-n", installed.namespace, AUTHORITY)
    assert "there is no Secret" in settle().problems[0]
    installed.plane.kubectl("create", "secret", "generic", "-n", installed.namespace, AUTHORITY)
    for _ in range(4):  # the stages of a rotation
        clock[0] += 660
        assert not settle().problems

    authority, *leaves = (installed.data(name) for name in SECRETS)
    assert authority["ca.crt"].count(b"BEGIN") == 1
    assert authority["ca.crt"] != before[0]["ca.crt"]
    assert [leaf["ca.crt"] for leaf in leaves] == [authority["ca.crt"]] * 2
    assert not {leaf["tls.crt"] for leaf in leaves} & {leaf["tls.crt"] for leaf in before[1:]}


def test_an_edit_meanwhile_is_a_conflict_and_is_not_overwritten(installed, door):
    held = door.read_whole_secret(installed.namespace, PREDICTOR)
    installed.plane.kubectl("annotate", "secret", "-n", installed.namespace, PREDICTOR, "mine=yes")

    assert door.update_secret(held) is Outcome.CONFLICT
    told = door.read_ca_bundle(installed.api_service)
    installed.plane.kubectl("annotate", "apiservice", installed.api_service, "mine=yes")
    assert door.apply_ca_bundle(told) is Outcome.CONFLICT
    assert installed.get("secret", "-n", installed.namespace, PREDICTOR)["metadata"]["annotations"]["mine"] == "yes"


def test_what_somebody_else_wrote_beside_stays(installed, settle):
    installed.plane.kubectl("annotate", "secret", "-n", installed.namespace, PREDICTOR, "team=shop")
    installed.plane.kubectl("label", "secret", "-n", installed.namespace, PREDICTOR, "app=shop")
    settle()

    metadata = installed.get("secret", "-n", installed.namespace, PREDICTOR)["metadata"]
    assert metadata["labels"] == {"app": "shop"}
    assert metadata["annotations"]["team"] == "shop"
    assert metadata["annotations"][ISSUED_BY] == AUTHORITY


def test_a_secret_for_tls_that_was_made_without_values_is_filled(installed, settle):
    installed.plane.kubectl("delete", "secret", "-n", installed.namespace, PREDICTOR)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"namespace": installed.namespace, "name": PREDICTOR},
        "data": {"tls.crt": "", "tls.key": ""},
    }
    installed.plane.kubectl("create", "-f", "-", stdin=json.dumps(body))

    assert not settle().problems
    assert installed.data(PREDICTOR)["tls.crt"].startswith(b"-----BEGIN CERTIFICATE")


def test_a_secret_that_is_missing_is_named_and_never_created(installed, settle):
    installed.plane.kubectl("delete", "secret", "-n", installed.namespace, PREDICTOR)
    (problem,) = settle().problems

    assert problem.startswith(f"--issue-certificate: there is no Secret {installed.namespace}/{PREDICTOR}; create it")


def test_an_api_service_that_is_missing_is_named_and_never_created(installed, settle):
    installed.plane.kubectl("delete", "apiservice", installed.api_service)
    (problem,) = settle().problems

    assert problem.startswith(f"--inject-ca: there is no APIService {installed.api_service}; create it")


def test_what_was_not_granted_is_told_and_nothing_else_can_be_read(installed, door, settle):
    wanted = Wanted(installed.namespace, AUTHORITY, {OPERATOR: ("a",), "another": ("b",)}, ("v1.apps",))
    problems = settle(wanted).problems

    assert len(problems) == 2
    assert all(problem.startswith("permissions: the API server answers") for problem in problems)
    with pytest.raises(Misconfigured):
        door.read_whole_secret("default", AUTHORITY)


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("DELETE", f"/{AUTHORITY}")])
def test_secrets_can_be_neither_listed_nor_created_nor_deleted(installed, method, path):
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new"}} if method == "POST" else None
    answer = installed.request(method, f"/api/v1/namespaces/{installed.namespace}/secrets{path}", json=body)

    assert answer.status_code == 403


async def test_two_keepers_that_both_believe_that_they_lead_come_to_one_result(installed, door):
    def keeper():
        return CertificateKeeper(Issuer(door, installed.wanted(), may_write=lambda: True), leads=lambda: True)

    first, second = keeper(), keeper()
    for _ in range(4):
        await asyncio.gather(first.look(), second.look())

    authority, operator, predictor = map(installed.data, SECRETS)
    assert operator["ca.crt"] == predictor["ca.crt"] == authority["ca.crt"]
    assert authority["ca.crt"].count(b"BEGIN") == 1


def test_the_operators_process_fills_the_secrets(installed, tmp_path):
    flags = [
        *("--kubeconfig", str(installed.plane.kubeconfig), "--http-address", "127.0.0.1:0"),
        *("--namespace", installed.namespace, "--issue-authority", AUTHORITY),
        *("--issue-certificate", f"{OPERATOR}=a", "--issue-certificate", f"{PREDICTOR}=b"),
        *("--inject-ca", installed.api_service),
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "tidecast_operator", "run", *flags], stderr=log)
        try:
            eventually(lambda: installed.get("apiservice", installed.api_service)["spec"].get("caBundle"), seconds=90)
        finally:
            process.terminate()
            process.wait(60)

    assert process.returncode == 0
    assert installed.data(PREDICTOR)["tls.crt"].startswith(b"-----BEGIN CERTIFICATE")
