import re

import pytest

from builders.documents import rows
from chart.permissions import MAXIMAL, OF_EACH_NAMESPACE, OF_THE_CLUSTER, OF_THE_RELEASE, PAGE, grants, told
from chart.rendering import NAMESPACE, cases, named, objects, of_kind, rendered
from tidecast_operator.handlers import WATCHED
from tidecast_operator.scope import NEEDED, NEEDED_FOR_FLOORS

OWN_ROLES = {"tidecast-operator", "tidecast-watched"}


def every_role(found):
    return of_kind(found, "Role", "ClusterRole")


@pytest.mark.parametrize(
    ("heading", "kind", "name", "values"),
    [
        (OF_THE_CLUSTER, "ClusterRole", "tidecast-operator", MAXIMAL),
        (OF_THE_RELEASE, "Role", "tidecast-operator", MAXIMAL),
        (
            OF_EACH_NAMESPACE,
            "Role",
            "tidecast-watched",
            {"namespaces": ["shop"], "hpaFloors": {"enabled": True}},
        ),
    ],
)
def test_the_page_says_why_of_every_permission_and_of_no_other(heading, kind, name, values):
    assert sorted(told(heading)) == sorted(grants(named(objects(values), kind, name)))


def test_people_are_told_what_becomes_part_of_their_roles():
    found = rendered("default")
    parts = {cells[0]: set(re.findall(r"\w+", cells[1])) for cells in rows(PAGE, columns=3)}

    for name, roles in parts.items():
        labels = named(found, "ClusterRole", name)["metadata"]["labels"]
        into = {key.rpartition("-")[2] for key, value in labels.items() if "aggregate-to" in key and value == "true"}
        assert into == roles
    assert set(parts) == {one["metadata"]["name"] for one in of_kind(found, "ClusterRole")} - OWN_ROLES


@pytest.mark.parametrize("case", cases())
def test_no_permission_is_a_wildcard(case):
    for role in every_role(rendered(case)):
        for rule in role["rules"]:
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
            assert not rule.get("nonResourceURLs")


@pytest.mark.parametrize("case", cases())
def test_a_secret_may_be_read_by_its_name_alone(case):
    for role in every_role(rendered(case)):
        for group, resource, name, verbs in grants(role):
            if (group, resource) == ("core", "secrets"):
                assert name != "*"
                assert role["kind"] == "Role"
                assert role["metadata"]["namespace"] == NAMESPACE
                assert set(verbs) <= {"get", "update"}


@pytest.mark.parametrize("case", cases())
def test_the_operator_has_two_roles_at_most_besides_those_of_listed_namespaces(case):
    roles = [one for one in every_role(rendered(case)) if one["metadata"]["name"] in OWN_ROLES]

    assert len([one for one in roles if one["metadata"]["name"] == "tidecast-operator"]) <= 2


@pytest.mark.parametrize("case", cases())
def test_nobody_is_given_what_leads_to_more(case):
    risky = {"bind", "escalate", "impersonate", "deletecollection"}
    never = {"pods/exec", "pods/attach", "serviceaccounts/token", "nodes/proxy", "roles", "clusterroles", "pods"}
    for role in every_role(rendered(case)):
        if role["metadata"]["name"] in OWN_ROLES:
            for _, resource, _, verbs in grants(role):
                assert not risky & set(verbs)
                assert resource not in never


def test_a_list_of_namespaces_means_that_nothing_of_the_cluster_is_granted():
    found = rendered("namespaced")

    assert not of_kind(found, "ClusterRole", "ClusterRoleBinding")
    assert {one["metadata"]["namespace"] for one in of_kind(found, "Role")} == {NAMESPACE, "shop", "warehouse"}
    assert {one["metadata"]["namespace"] for one in of_kind(found, "RoleBinding")} == {NAMESPACE, "shop", "warehouse"}


def test_the_namespace_of_the_release_can_be_one_of_the_list():
    found = objects({"namespaces": [NAMESPACE]})

    assert {one["metadata"]["name"] for one in of_kind(found, "Role")} == OWN_ROLES


def test_everything_that_is_watched_in_the_cluster_may_be():
    granted = list(grants(named(rendered("default"), "ClusterRole", "tidecast-operator")))

    for group, _, plural in WATCHED:
        verbs = {verb for one in granted if one[:3] == (group or "core", plural, "*") for verb in one[3]}
        assert {"list", "watch"} <= verbs


def test_a_listed_namespace_grants_exactly_what_the_operator_asks_for_there():
    granted = {
        (group, resource, verb)
        for group, resource, _, verbs in grants(named(rendered("namespaced"), "Role", "tidecast-watched", "shop"))
        for verb in verbs
    }

    assert granted == {(one.group or "core", one.resource, one.verb) for one in (*NEEDED, *NEEDED_FOR_FLOORS)}


@pytest.mark.parametrize(
    ("values", "resource"),
    [
        ({}, "horizontalpodautoscalers"),
        ({"metricsApi": {"enabled": True}}, "apiservices"),
        ({"tls": {"certManager": {"enabled": True}}}, "secrets"),
        ({"tls": {"enabled": False}}, "secrets"),
    ],
)
def test_what_is_off_needs_no_permission(values, resource):
    for role in every_role(objects(values)):
        assert resource not in {one[1] for one in grants(role)}


def test_an_api_service_of_a_foreign_issuer_is_only_looked_at():
    for case, verbs in (("everything", ("get", "patch")), ("cert-manager", ("get",)), ("existing", ("get",))):
        found = rendered(case)
        granted = {
            (role["kind"], name): verbs
            for role in every_role(found)
            for _, resource, name, verbs in grants(role)
            if resource == "apiservices"
        }
        assert granted == {("ClusterRole", one["metadata"]["name"]): verbs for one in of_kind(found, "APIService")}


def test_of_forecasters_only_the_one_of_the_chart_may_be_written():
    granted = grants(named(rendered("default"), "ClusterRole", "tidecast-operator"))
    writing = {name for _, resource, name, verbs in granted if resource == "forecasters" and "patch" in verbs}

    assert writing == {"default"}
    without = grants(named(rendered("existing"), "ClusterRole", "tidecast-operator"))
    assert not [one for one in without if one[1] == "forecasters" and "patch" in one[3]]


def test_the_secret_with_credentials_for_prometheus_may_be_read():
    granted = set(grants(named(rendered("default"), "Role", "tidecast-operator")))

    assert ("core", "secrets", "tidecast-prometheus", ("get",)) in granted
    existing = set(grants(named(rendered("existing"), "Role", "tidecast-operator")))
    assert ("core", "secrets", "prometheus-token", ("get",)) in existing


def test_roles_that_somebody_else_writes_are_left_out():
    found = objects({"rbac": {"create": False, "aggregateClusterRoles": False}, "metricsApi": {"enabled": True}})

    assert not of_kind(found, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
