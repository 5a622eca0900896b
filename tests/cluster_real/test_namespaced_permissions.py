"""
What an operator with Roles in two namespaces sees and may do, on the real API server.
"""

import asyncio
import json
from contextlib import asynccontextmanager, closing, suppress

import pytest

from builders.operating import forecast_body
from builders.service_accounts import confined, kubeconfig_of
from tidecast_contract.services import ServiceId
from tidecast_operator.access import Access, Permission
from tidecast_operator.api_answers import Outcome
from tidecast_operator.autoscalers import Autoscalers
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.errors import Misconfigured
from tidecast_operator.handlers import Watches
from tidecast_operator.picture import Picture
from tidecast_operator.resync import Resync
from tidecast_operator.scope import KINDS, NEEDED, NEEDED_FOR_FLOORS, Scope, missing

from .conftest import deployment

pytestmark = pytest.mark.real


class Confined:
    """An operator's account with Roles in the first two of three namespaces."""

    def __init__(self, plane, new_namespace, folder):
        self.plane, self.own = plane, new_namespace("own")
        self.first, self.second, self.third = (new_namespace(name) for name in ("first", "second", "third"))
        confined(plane, self.own, (self.first, self.second))
        self.kubeconfig = kubeconfig_of(plane, self.own, "tidecast-operator", folder)

    def configuration(self):
        return load_configuration(self.kubeconfig)

    def revoke(self, namespace):
        self.plane.kubectl("delete", "rolebinding", "-n", namespace, "tidecast-operator-watched")


@pytest.fixture
def account(definitions, new_namespace, tmp_path):
    return Confined(definitions, new_namespace, tmp_path)


@pytest.fixture
def access(account):
    with closing(Access(account.configuration())) as door:
        yield door


@pytest.fixture
def door(account):
    with closing(Cluster(account.configuration())) as cluster:
        yield cluster


def test_the_roles_permit_all_that_is_needed_where_they_are_and_nothing_elsewhere(account, access):
    needed = NEEDED + NEEDED_FOR_FLOORS

    for namespace in (account.first, account.second):
        assert missing(access, namespace, needed) == ()
    for namespace in (account.third, account.own, "default", "nowhere"):
        assert missing(access, namespace, needed) == needed


def test_nothing_without_a_namespace_is_permitted(access):
    everywhere = [
        *(Permission(verb, "namespaces") for verb in ("list", "watch", "get")),
        *(Permission(verb, "forecasters", "tidecast.dev") for verb in ("list", "get", "create", "patch")),
        *(Permission(verb, "customresourcedefinitions", "apiextensions.k8s.io") for verb in ("list", "watch")),
        *NEEDED,
    ]

    assert missing(access, "", everywhere) == tuple(everywhere)


def test_questions_need_no_permission(access):
    assert access.version().startswith("v1.")
    assert access.serves("serviceperformanceforecasts", "forecasters")
    assert not access.serves("fortune-tellers")


def test_what_is_written_may_be_where_the_roles_are(account, door):
    for namespace in (account.first, account.second):
        body = forecast_body() | {"metadata": {"namespace": namespace, "name": "a"}}
        event = {
            "metadata": {"generateName": "a.", "namespace": namespace},
            "involvedObject": {"kind": "ServicePerformanceForecast", "namespace": namespace, "name": "a"},
            "reason": "Tested",
        }
        assert door.create_forecast(body) is Outcome.DONE
        assert door.patch_forecast_status(namespace, "a", {"observedGeneration": 1}) is Outcome.DONE
        assert door.create_event(namespace, event) is Outcome.DONE
        assert door.list_names("ServicePerformanceForecast", namespace).keys() == {(namespace, "a")}
    with pytest.raises(Misconfigured, match="cannot create resource"):
        door.create_forecast(forecast_body() | {"metadata": {"namespace": account.third, "name": "a"}})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed_in_one_namespace(account, cluster, apply, kind):
    apply(*_one_of_each(account.first), *_one_of_each(account.second))

    assert cluster.list_names(kind, account.first).keys() == {(account.first, "one")}
    assert cluster.list_names(kind).keys() >= {(account.first, "one"), (account.second, "one")}


def test_autoscalers_are_listed_in_the_namespaces_that_allow_it(account, apply, caplog):
    apply(*(_autoscaler(namespace) for namespace in (account.first, account.second, account.third)))
    names = (account.third, account.first, "nowhere", account.second)

    with closing(Autoscalers(account.configuration(), namespaces=names)) as autoscalers:
        for _ in range(2):
            found = [one.key for page in autoscalers.pages() for one in page]
            assert found == [(account.first, "one"), (account.second, "one")]
        with pytest.raises(Misconfigured, match="cannot list resource"):
            list(autoscalers.pages(account.third))
    assert [account.third in record.getMessage() for record in caplog.records] == [True, False]


@asynccontextmanager
async def watching(account, *names):
    picture = Picture()
    access, cluster = Access(account.configuration()), Cluster(account.configuration())
    scope = Scope(names, access=access, cluster=cluster, picture=picture)
    watches = Watches(scope.observe, configuration=account.configuration, namespaces=scope.namespaces)
    scope.on_change = watches.restart
    task = asyncio.create_task(watches.run())
    try:
        await scope.ready()
        await asyncio.wait_for(Resync(scope, picture, on_deaf=watches.restart, kinds=KINDS).complete(), 30)
        yield picture, scope
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        access.close()
        cluster.close()


async def test_the_picture_holds_the_permitted_namespaces_and_no_other(account, apply, caplog):
    namespaces = (account.first, account.second, account.third)
    for namespace in namespaces:
        await asyncio.to_thread(apply, *_one_of_each(namespace))

    async with watching(account, *namespaces, "nowhere") as (picture, _):
        seen = {service.namespace for service in picture.workloads().workloads}
        assert seen == set(picture.workloads().namespace_labels) == {account.first, account.second}
        assert {one.namespace for one in picture.forecasts()} == {account.first, account.second}
        await asyncio.to_thread(apply, deployment(account.second, "late"))
        assert await _eventually(
            lambda: ServiceId(account.second, "Deployment", "late") in picture.workloads().workloads
        )
    assert f"namespace {account.third} is left out" in caplog.text
    assert "namespace nowhere is left out" in caplog.text
    assert "kopf ended" not in caplog.text


async def test_a_permission_that_is_withdrawn_costs_one_namespace_and_comes_back(account, apply):
    async with watching(account, account.first, account.second) as (picture, scope):
        await asyncio.to_thread(account.revoke, account.second)
        assert await _eventually_changes(scope)
        assert set(picture.workloads().namespace_labels) == {account.first}
        await asyncio.to_thread(apply, *_one_of_each(account.first))
        assert await _eventually(lambda: len(picture.workloads().workloads) == 3)

        await asyncio.to_thread(confined, account.plane, account.own, [account.second])
        await asyncio.to_thread(apply, *_one_of_each(account.second))
        assert await _eventually_changes(scope)
        assert await _eventually(lambda: len(picture.workloads().workloads) == 6)


async def _eventually_changes(scope):
    """The API server takes a moment to follow a change of roles."""
    for _ in range(100):
        if await scope.look():
            scope.on_change()
            return True
        await asyncio.sleep(0.1)
    return False


async def _eventually(check):
    for _ in range(300):
        if check():
            return True
        await asyncio.sleep(0.1)
    return False


def _one_of_each(namespace):
    made = deployment(namespace, "one")
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        body = json.loads(json.dumps(made)) | {"kind": kind}
        body["spec"] |= {"serviceName": "one"} if kind == "StatefulSet" else {}
        if kind == "DaemonSet":
            del body["spec"]["replicas"]
        yield body
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": "one"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "one"}},
    }
    yield forecast_body() | {"metadata": {"namespace": namespace, "name": "one"}}


def _autoscaler(namespace):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "one"}
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": namespace, "name": "one"},
        "spec": {"minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": target},
    }
