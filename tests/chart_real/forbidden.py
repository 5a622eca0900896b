"""
What no account of the chart may do, and what none may do where only some namespaces are watched.
"""

from collections.abc import Sequence
from itertools import product

from chart.rendering import NAMESPACE
from chart_real.reviewing import Deed

LISTED, UNLISTED = "mesh-0", "mesh-2"
WRITING = ("create", "update", "patch", "delete", "deletecollection")


def deeds(
    verbs: Sequence[str],
    resources: Sequence[str],
    namespaces: Sequence[str] = ("", NAMESPACE, LISTED),
    names: Sequence[str] = ("",),
) -> list[Deed]:
    """Every verb with every resource, namespace and name."""
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
