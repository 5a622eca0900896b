"""
Behind the real API server, asked by the real HorizontalPodAutoscaler controller.

The control plane is that of all tests, and an APIService without a server is in the way of all of them: at the end both
are deleted, before the server stops.
"""

import asyncio
import json
import time
import uuid
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml
from kubernetes import client

from builders.hints import decided, entry
from builders.metrics_api import Authority, Client, board
from tidecast_operator.access import Access
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.outlets.metrics_api import front_proxy
from tidecast_operator.outlets.metrics_api.certificates import SelfSigned, ca_bundle_patch, service_names
from tidecast_operator.outlets.metrics_api.server import MetricsApi
from tidecast_simulator.testbed.control_plane import CommandFailed
from tidecast_simulator.testbed.process import free_port

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

MANIFESTS = Path(__file__).parents[2] / "manifests"
EXTERNAL, CUSTOM = "external.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2"
SERVICES = ("v1beta1.external.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io")
OWN = "tidecast-system"


class Behind:
    """
    A metrics API and the control plane that passes requests on to it.

    Attributes:
        noticeboard: What it reads.
        certificates: Its own.
        port: Where it listens, also after a restart.
    """

    def __init__(self, plane, folder):
        self._plane = plane
        self.cluster = Cluster(load_configuration(plane.kubeconfig))
        self.noticeboard = Noticeboard()
        self.certificates = SelfSigned(folder / "server", service_names("tidecast-metrics-api", OWN))
        self.port = free_port()
        self.api = None

    async def kubectl(self, *arguments, body=None, seconds=60):
        stdin = None if body is None else json.dumps(body)
        return await asyncio.to_thread(self._plane.kubectl, *arguments, stdin=stdin, timeout_seconds=seconds)

    async def apply(self, *bodies, namespace=OWN):
        await self.kubectl(
            "apply", "-n", namespace, "-f", "-", body={"apiVersion": "v1", "kind": "List", "items": bodies}
        )

    async def raw(self, path):
        return json.loads(await self.kubectl("get", "--raw", path))

    async def get(self, *what):
        return json.loads(await self.kubectl("get", "--output=json", *what))

    async def start(self):
        if self.api is not None:
            return
        self.api = MetricsApi(
            self.noticeboard,
            ("127.0.0.1", self.port),
            certificates=self.certificates,
            front_proxy=lambda: self.cluster.read_config_map(front_proxy.NAMESPACE, front_proxy.NAME),
        )
        await self.api.start()
        assert self.api.why_not_ready == ""

    async def stop(self):
        if self.api is not None:
            await self.api.stop()
        self.api = None

    async def register(self):
        """Applies the examples, with a Service that leads to this machine."""
        bodies = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OWN}}]
        for name in ("apiservice-external-metrics.yaml", "apiservice-custom-metrics.yaml"):
            bodies += yaml.safe_load_all((MANIFESTS / "examples" / name).read_text())
        ports = [{"port": self.port}]
        for body in bodies:
            if body["kind"] == "Service":
                body["spec"] = {"type": "ExternalName", "externalName": "localhost", "ports": ports}
            if body["kind"] == "APIService":
                body["spec"]["service"]["port"] = self.port
                body["spec"] |= ca_bundle_patch(self.certificates.ca_bundle)["spec"]
        await self.kubectl("apply", "-f", "-", body={"apiVersion": "v1", "kind": "List", "items": bodies})
        for group in (EXTERNAL, CUSTOM):
            await self.until(lambda group=group: self._is_served(group), seconds=180)

    def offer(self, namespace, load, **changes):
        now = int(time.time())
        valid = {"namespace": namespace, "hint": decided(load, per_replica=120.0)}
        self.noticeboard.show(board(entry(issued_time=now, expire_time=now + 600, **valid | changes)))

    async def until(self, check, seconds=120):
        deadline = time.monotonic() + seconds
        while not (answer := await check()):
            assert time.monotonic() < deadline, "it does not come true"
            await asyncio.sleep(0.25)
        return answer

    async def end(self):
        await self.kubectl("delete", "apiservice", "--ignore-not-found", *SERVICES)
        await self.kubectl("delete", "service", "-n", OWN, "tidecast-metrics-api", "--ignore-not-found")
        await self.until(self._is_served_no_longer)
        await self.stop()
        self.cluster.close()

    async def _is_served(self, group):
        try:
            return await self.raw(f"/apis/{group}")
        except CommandFailed:  # said to be available, and routed to a second later
            return None

    async def _is_served_no_longer(self):
        return not any([await self._is_served(group) for group in (EXTERNAL, CUSTOM)])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(control_plane, tmp_path_factory):
    """A metrics API, not started yet."""
    behind = Behind(control_plane, tmp_path_factory.mktemp("metrics-api"))
    yield behind
    await behind.end()


@pytest_asyncio.fixture(loop_scope="module")
async def behind(made):
    """A metrics API that is registered and serves, whatever the test before has done to it."""
    await made.start()
    await made.register()
    return made


@pytest_asyncio.fixture(loop_scope="module")
async def autoscaling(behind):
    """The version of HorizontalPodAutoscalers that the API server has, of those with metrics of this kind."""
    known = (await behind.kubectl("api-versions")).split()
    return next(one for one in ("autoscaling/v2", "autoscaling/v2beta2") if one in known)


async def test_every_document_is_there_through_the_api_server(behind):
    behind.offer("shop", 960.0)
    object_path = f"/apis/{CUSTOM}/namespaces/shop/serviceperformanceforecasts.tidecast.dev"

    load = await behind.raw(f"/apis/{EXTERNAL}/namespaces/shop/tidecast-load?labelSelector=forecast%3Dcheckout")
    replicas = await behind.raw(f"{object_path}/checkout/tidecast-replicas")
    everything = await behind.raw(f"{object_path}/*/tidecast-load")

    assert (load["items"][0]["value"], replicas["items"][0]["value"]) == ("960", "8")
    assert len(everything["items"]) == 1
    for group in (EXTERNAL, CUSTOM):
        assert (await behind.raw(f"/apis/{group}"))["groupVersion"] == group
        assert (await behind.raw(f"/apis/{group.partition('/')[0]}"))["preferredVersion"]["groupVersion"] == group


async def test_refusals_come_through_as_they_are(behind):
    behind.offer("shop", 960.0, withheld="NoSkill: worse than last value")
    metrics = f"/apis/{EXTERNAL}/namespaces/shop"

    for path, text in (
        (f"{metrics}/tidecast-load?labelSelector=forecast%3Dcheckout", r"ServiceUnavailable.*NoSkill: worse"),
        (f"{metrics}/tidecast-load?labelSelector=forecast%3Dcart", r"NotFound.*cart"),
        (f"{metrics}/tidecast-load", r"BadRequest.*matchLabels"),
        (f"{metrics}/tidecast-rps", r"NotFound.*tidecast-load, tidecast-replicas"),
    ):
        with pytest.raises(CommandFailed, match=text):
            await behind.raw(path)


async def test_discovery_of_the_whole_cluster_works_with_it(behind):
    listed = await behind.kubectl("api-resources", "--output=name")

    assert "tidecast-load.external.metrics.k8s.io" in listed
    assert "deployments.apps" in listed
    wanted = ("--verbs=list,delete", "--api-group=external.metrics.k8s.io", "--output=name")
    assert not await behind.kubectl("api-resources", *wanted)
    await behind.kubectl("explain", "deployment.spec.replicas")


async def test_only_the_real_front_proxy_is_answered(behind, control_plane, tmp_path):
    files = control_plane.front_proxy
    pair = tmp_path / "front-proxy.pem"
    pair.write_bytes((files / "client.crt").read_bytes() + (files / "client.key").read_bytes())

    async with Client(behind.port, behind.certificates.ca_bundle, pair) as proxy:
        assert (await proxy.ask(f"/apis/{EXTERNAL}")).status == 200
    async with Client(behind.port, behind.certificates.ca_bundle, Authority().client(tmp_path)) as stranger:
        with pytest.raises((OSError, aiohttp.ClientError)):
            await stranger.ask(f"/apis/{EXTERNAL}")


async def test_the_operators_account_may_read_whom_to_believe(behind, control_plane):
    control_plane.kubectl("apply", "-f", str(MANIFESTS / "rbac.yaml"))
    path = f"/api/v1/namespaces/{OWN}/serviceaccounts/tidecast-operator/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = json.loads(await behind.kubectl("create", "--raw", path, "-f", "-", body=request))
    configuration = client.Configuration(host=control_plane.url)
    configuration.ssl_ca_cert = str(control_plane.ca_file)
    bearer = f"Bearer {answer['status']['token']}"
    configuration.api_key = {"BearerToken": bearer, "authorization": bearer}
    door = Cluster(configuration)

    read = door.read_config_map(front_proxy.NAMESPACE, front_proxy.NAME)

    assert front_proxy.FrontProxy.parse(read).allowed_names == {"front-proxy-client"}
    with pytest.raises(Misconfigured):
        door.read_config_map(front_proxy.NAMESPACE, "another")
    door.close()


async def test_a_user_needs_the_permissions_that_the_page_names(behind, namespace):
    behind.offer(namespace, 960.0)
    forecasts = "serviceperformanceforecasts.tidecast.dev"
    await behind.apply(
        role("external", "external.metrics.k8s.io", "tidecast-load", "list"),
        role("custom", "custom.metrics.k8s.io", f"{forecasts}/tidecast-load", "get"),
        namespace=namespace,
    )
    paths = {
        "external": f"/apis/{EXTERNAL}/namespaces/{namespace}/tidecast-load?labelSelector=forecast%3Dcheckout",
        "custom": f"/apis/{CUSTOM}/namespaces/{namespace}/{forecasts}/checkout/tidecast-load",
    }

    for name, path in paths.items():
        user = f"--as={name}"
        bind = ("create", "rolebinding", name, f"--role={name}", f"--user={name}", "-n", namespace)
        with pytest.raises(CommandFailed, match="Forbidden"):
            await behind.kubectl("get", "--raw", path, user)
        await behind.kubectl(*bind)
        assert "960" in await behind.kubectl("get", "--raw", path, user)


def role(name, group, resource, verb):
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": [{"apiGroups": [group], "resources": [resource], "verbs": [verb]}],
    }


async def test_a_config_map_that_is_not_there_is_none(behind):
    assert behind.cluster.read_config_map("default", "unheard-of") is None


@pytest.mark.parametrize("name", ["hpa-external-metric.yaml", "hpa-custom-metric.yaml"])
@pytest.mark.real("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "openssl")
async def test_an_autoscaler_follows_the_hint_and_stays_where_it_is_without(behind, autoscaling, namespace, name):
    await behind.kubectl("apply", "--validate=false", "-f", str(MANIFESTS / "crds"))
    await behind.kubectl("create", "deployment", "checkout", "--image=none", "-n", namespace)
    example = yaml.safe_load((MANIFESTS / "examples" / name).read_text())
    await behind.apply(example | {"apiVersion": autoscaling}, namespace=namespace)

    async def replicas():
        return (await behind.get("deployment", "checkout", "-n", namespace))["spec"]["replicas"]

    async def active():
        found = await behind.get(
            f"horizontalpodautoscalers.v2{autoscaling[14:]}.autoscaling", "checkout", "-n", namespace
        )
        conditions = found.get("status", {}).get("conditions", [])
        return next(((one["status"], one["message"]) for one in conditions if one["type"] == "ScalingActive"), None)

    behind.offer(namespace, 960.0)

    async def is_eight():
        return await replicas() == 8

    await behind.until(is_eight)

    behind.offer(namespace, 120.0, withheld="Drift: errors are twice their usual size")

    async def is_inactive():
        status, message = await active()
        return message if status == "False" else None

    assert "Drift: errors are twice" in await behind.until(is_inactive)
    assert await replicas() == 8


async def test_the_api_server_tells_prometheus_and_check_that_an_api_is_not_reached(behind, control_plane):
    access = Access(load_configuration(control_plane.kubeconfig))

    async def told():
        series = await behind.kubectl("get", "--raw", "/metrics")
        values = {name: f'aggregator_unavailable_apiservice{{name="{name}"}} ' for name in SERVICES}
        found = [one.removeprefix(text) for one in series.splitlines() for text in values.values() if text in one]
        return found, {name: await asyncio.to_thread(access.availability, name) for name in SERVICES}

    async def is_told(value, status):
        found, conditions = await told()
        return found == [value] * 2 and {one.status for one in conditions.values()} == {status}

    await behind.until(lambda: is_told("0", "True"))
    await behind.stop()
    await behind.until(lambda: is_told("1", "False"))

    (_, conditions) = await told()
    assert "https://" in conditions[SERVICES[0]].message
    assert conditions[SERVICES[0]].reason == "FailedDiscoveryCheck"
    assert access.availability("v1.unheard-of") is None
    access.close()


@pytest.mark.parametrize("remedy", ["the server comes back", "the APIServices are deleted"])
@pytest.mark.real("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "openssl")
async def test_a_namespace_that_was_deleted_while_the_server_was_away_goes_later(behind, remedy):
    await behind.stop()

    async def is_unavailable():
        found = await behind.get("apiservice", SERVICES[0])
        return [one["status"] for one in found["status"]["conditions"] if one["type"] == "Available"] == ["False"]

    await behind.until(is_unavailable)
    name = f"test-{uuid.uuid4().hex[:8]}"
    await behind.kubectl("create", "namespace", name)
    await behind.kubectl("delete", "namespace", name, "--wait=false")

    async def waits():
        conditions = (await behind.get("namespace", name))["status"].get("conditions", [])
        return [one["status"] for one in conditions if one["type"] == "NamespaceDeletionDiscoveryFailure"] == ["True"]

    await behind.until(waits)

    if remedy == "the server comes back":
        await behind.start()
    else:
        await behind.kubectl("delete", "apiservice", *SERVICES)

    async def is_gone():
        return not await behind.kubectl("get", "namespace", name, "--ignore-not-found")

    await behind.until(is_gone, seconds=180)
