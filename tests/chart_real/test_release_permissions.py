from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from chart.permissions import MAXIMAL, OF_EACH_NAMESPACE, OF_THE_CLUSTER, OF_THE_RELEASE, told
from chart.rendering import NAMESPACE
from chart_real.releasing import Release
from chart_real.reviewing import Authorizer, Deed
from tidecast_simulator.testbed import binaries

pytestmark = [pytest.mark.real(*binaries.ALL), pytest.mark.timeout(300)]

OPERATOR, PREDICTOR = (f"system:serviceaccount:{NAMESPACE}:tidecast-{name}" for name in ("operator", "predictor"))
LISTED, UNLISTED = "mesh-0", "mesh-2"
WRITING = ("create", "update", "patch", "delete", "deletecollection")


def deeds(verbs, resources, namespaces=("", NAMESPACE, LISTED), names=("",)):
    return [Deed(verb, one, where, name) for verb, one, where, name in product(verbs, resources, namespaces, names)]


NEVER = [
    # Secrets and ConfigMaps of others, and lists of them, which show all.
    *deeds(("get", "list", "watch", *WRITING), ["secrets"]),
    *deeds(("get", *WRITING), ["secrets"], ("kube-system", LISTED), ("some", "tidecast-authority")),
    *deeds(("get", "update", "patch", "delete"), ["secrets"], (NAMESPACE,), ("of-somebody-else",)),
    *deeds(("create", "patch", "delete"), ["secrets"], (NAMESPACE,), ("tidecast-authority",)),
    *deeds(("get", "list", *WRITING), ["configmaps"], (*("", NAMESPACE, LISTED), "kube-system")),
    *deeds(("get",), ["configmaps"], (NAMESPACE,), ("tidecast-forecaster",)),
    # What runs, and how much of it.
    *deeds(WRITING, ["pods", "jobs.batch", "replicasets.apps", "daemonsets.apps", "statefulsets.apps"]),
    *deeds(WRITING, ["deployments.apps", "deployments.apps/scale", "deployments.apps/status"]),
    *deeds(("create", "get"), ["pods/exec", "pods/attach", "pods/portforward", "pods/log", "nodes/proxy"]),
    *deeds(("get", "list"), ["pods", "nodes"]),
    *deeds(WRITING, ["services", "endpoints", "ingresses.networking.k8s.io", "networkpolicies.networking.k8s.io"]),
    *deeds(("create", "delete", "update"), ["horizontalpodautoscalers.autoscaling"]),
    *deeds(("get", "list", "patch"), ["persistentvolumeclaims", "persistentvolumes"]),
    # Specs, which belong to users.
    *deeds(("patch", "update", "deletecollection"), ["serviceperformanceforecasts.tidecast.dev"]),
    *deeds(("create", "patch", "delete"), ["forecasters.tidecast.dev"], ("",), ("another",)),
    *deeds(("create", "patch", "delete"), ["forecasters.tidecast.dev"], ("",)),
    # What leads to more rights.
    *deeds(
        (*WRITING, "bind", "escalate"),
        [f"{kind}.rbac.authorization.k8s.io" for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")],
    ),
    *deeds(("create",), ["serviceaccounts/token", "tokenreviews.authentication.k8s.io"]),
    *deeds(("create",), ["subjectaccessreviews.authorization.k8s.io"], ("",)),
    *deeds(("impersonate",), ["users", "groups", "serviceaccounts"]),
    *deeds(WRITING, ["serviceaccounts", "certificatesigningrequests.certificates.k8s.io"]),
    # What is the cluster's.
    *deeds(WRITING, ["namespaces", "nodes", "customresourcedefinitions.apiextensions.k8s.io"], ("",)),
    *deeds(("create", "delete", "update"), ["apiservices.apiregistration.k8s.io"], ("",)),
    *deeds(("get", "patch"), ["apiservices.apiregistration.k8s.io"], ("",), ("v1.apps", "v1beta1.metrics.k8s.io")),
    *deeds(WRITING, ["mutatingwebhookconfigurations.admissionregistration.k8s.io"], ("",)),
    # Leases of others.
    *deeds(("get", "list", *WRITING), ["leases.coordination.k8s.io"], ("", LISTED, "kube-system")),
    *deeds(("get", "list", *WRITING[1:]), ["leases.coordination.k8s.io"], (NAMESPACE,), ("", "of-somebody-else")),
    *deeds(("patch", "delete"), ["leases.coordination.k8s.io"], (NAMESPACE,), ("tidecast-operator",)),
    # The hidden wildcard.
    *deeds(("*", "get", "list"), ["*.*"]),
]  # fmt: skip
NEVER_IN_SOME_NAMESPACES = [
    *deeds(
        ("list", "watch"), ["services", "deployments.apps", "serviceperformanceforecasts.tidecast.dev"], ("", UNLISTED)
    ),
    *deeds(("create", "delete"), ["serviceperformanceforecasts.tidecast.dev"], ("", UNLISTED, NAMESPACE)),
    *deeds(("patch",), ["serviceperformanceforecasts.tidecast.dev/status"], ("", UNLISTED, NAMESPACE)),
    *deeds(("get", "list", "patch"), ["horizontalpodautoscalers.autoscaling"], ("", UNLISTED, NAMESPACE)),
    *deeds(("create",), ["events"], ("", UNLISTED)),
    *deeds(("get", "list", "watch"), ["namespaces", "customresourcedefinitions.apiextensions.k8s.io"], ("",)),
    *deeds(("get", "list", "watch", "patch"), ["forecasters.tidecast.dev", "forecasters.tidecast.dev/status"], ("",)),
    *deeds(("get", "list", "watch", "patch"), ["apiservices.apiregistration.k8s.io"], ("",)),
]


@dataclass(frozen=True)
class Mode:
    """Values with which all is granted that the page tells of, and where; and what must be refused beside the rest."""

    values: Mapping[str, Any]
    granted: Mapping[str, str]
    never: Sequence[Deed] = ()


MODES = {
    "the cluster": Mode(MAXIMAL, {OF_THE_CLUSTER: "", OF_THE_RELEASE: NAMESPACE}),
    "some namespaces": Mode(
        {"namespaces": [LISTED], "hpaFloors": {"enabled": True}, "rbac": {"secretNames": ["some"]}},
        {OF_EACH_NAMESPACE: LISTED, OF_THE_RELEASE: NAMESPACE},
        NEVER_IN_SOME_NAMESPACES,
    ),
}


@pytest.fixture(scope="module", params=MODES)
def mode(request, plane, shop):  # noqa: ARG001 - its namespaces are there
    """A release without pods."""
    mode = MODES[request.param]
    release = Release(plane, waits=False, applies=False)  # 1.20 fails at applying an APIService
    release.install(mode.values)
    yield mode
    release.discard()


@pytest.fixture(scope="module")
def permitted(plane):
    """Tells which ones of some deeds an account may do."""
    authorizer = Authorizer(plane)
    yield lambda account, deeds: sorted(str(deed) for deed in deeds if authorizer.may(account, deed))
    authorizer.close()


def granted(heading, namespace):
    """What the page says may be done, in a namespace where it speaks of one."""
    for group, resource, name, verbs in told(heading):
        whole, _, subresource = resource.partition("/")
        kind = whole if group == "core" else f"{whole}.{group}"
        for verb in verbs:
            where = f"{kind}/{subresource}" if subresource else kind
            yield Deed(verb, where, namespace, "" if name == "*" else name)


def test_all_that_the_page_tells_of_is_permitted_to_the_operator_alone(mode, permitted):
    deeds = [deed for heading, namespace in mode.granted.items() for deed in granted(heading, namespace)]

    assert len(deeds) > 20
    assert permitted(OPERATOR, deeds) == sorted(map(str, deeds))
    assert permitted(PREDICTOR, deeds) == []


def test_what_neither_has_any_business_with_is_refused(mode, permitted):
    assert permitted(OPERATOR, [*NEVER, *mode.never]) == []
    assert permitted(PREDICTOR, [*NEVER, *mode.never]) == []
