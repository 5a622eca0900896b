import pytest

from chart.command_lines import OPERATOR, flags, source
from chart.rendering import (
    NAMESPACE,
    cases,
    container,
    named,
    objects,
    of_kind,
    pods,
    refusal,
    rendered,
    selects,
    texts,
    values_of,
)
from tidecast_operator.certificates.wanted import wanted

POD = "tidecast-outlet-server"
SERVER = f"{POD}/outlet-server"
KEDA_ALONE = {"keda": {"enabled": True}, "outletServer": {"enabled": True}}
OUTLETS = ("keda_address", "keda_tls_certificate", "keda_tls_key", "keda_tls_client_ca")
OUTLETS += ("metrics_api_address", "metrics_api_tls_folder", "metrics_api_own_certificate")
RELAY_FILES = ("relay_tls_certificate", "relay_tls_key", "relay_tls_authority")


def with_outlets():
    """The files of values by which the operator answers autoscalers."""
    return [
        case
        for case in cases()
        if any(values_of(case).get(door, {}).get("enabled") for door in ("keda", "metricsApi"))
        and "outletServer" not in values_of(case)
    ]


def both(case):
    """All objects of such a file, and those with an outlet server besides."""
    return rendered(case), objects(values_of(case) | {"outletServer": {"enabled": True}})


def told(options, names):
    return {name: getattr(options, name) for name in names}


def secrets(found, pod):
    """The Secrets of a pod, by the name of the volume."""
    volumes = pods(found)[pod]["spec"]["volumes"]
    return {one["name"]: one["secret"]["secretName"] for one in volumes if "secret" in one}


def subjects(found, role):
    return [
        one["subjects"][0]["name"]
        for one in of_kind(found, "RoleBinding", "ClusterRoleBinding")
        if one["roleRef"]["name"] == role
    ]


def test_there_is_none_until_it_is_asked_for():
    for case in cases():
        if "outletServer" not in values_of(case):
            assert not [one for one in rendered(case) if "outlet-server" in str(one["metadata"])]


def test_the_doors_lead_to_it_and_not_to_the_operator():
    found = rendered("outlet-server")
    for name in ("tidecast-keda", "tidecast-metrics-api"):
        selector = named(found, "Service", name)["spec"]["selector"]
        assert [pod for pod, one in pods(found).items() if selects(selector, one)] == [POD]


@pytest.mark.parametrize("case", with_outlets())
def test_it_is_told_of_the_doors_what_the_operator_would_be_and_the_operator_no_longer(case):
    without, found = both(case)

    assert told(flags(found, SERVER), OUTLETS) == told(flags(without, OPERATOR), OUTLETS)
    assert set(told(flags(found, OPERATOR), OUTLETS).values()) == {None}


@pytest.mark.parametrize("case", with_outlets())
def test_it_sees_the_certificates_of_the_doors_and_the_operator_only_its_own(case):
    without, found = both(case)

    assert secrets(found, POD) == secrets(without, "tidecast-operator")
    assert set(secrets(found, "tidecast-operator")) <= {"tls"}


@pytest.mark.parametrize("case", [*with_outlets(), "outlet-server"])
def test_it_follows_the_operator_which_follows_nobody(case):
    found = both(case)[1] if case != "outlet-server" else rendered(case)
    server, operator = flags(found, SERVER), flags(found, OPERATOR)
    relay = named(found, "Service", "tidecast-relay")["spec"]

    assert [pod for pod, one in pods(found).items() if selects(relay["selector"], one)] == ["tidecast-operator"]
    assert server.relay_target == f"tidecast-relay.{NAMESPACE}.svc:{relay['ports'][0]['port']}"
    assert server.relay_address is None
    assert operator.relay_target is None
    assert operator.relay_address


def test_both_ends_of_the_relay_show_a_certificate_of_one_authority_for_its_name():
    found = rendered("outlet-server")
    server, operator = flags(found, SERVER), flags(found, OPERATOR)

    assert told(server, RELAY_FILES) == told(operator, RELAY_FILES)
    for file in told(server, RELAY_FILES).values():
        assert source(found, POD, str(file.parent)) == "tidecast-operator-tls"
    assert server.relay_target.partition(":")[0] in wanted(operator).certificates["tidecast-operator-tls"]


def test_the_operator_still_issues_the_certificate_and_tells_the_api_server_of_it():
    issued = wanted(flags(rendered("outlet-server"), OPERATOR))

    assert f"tidecast-metrics-api.{NAMESPACE}.svc" in issued.certificates["tidecast-operator-tls"]
    assert list(issued.api_services) == ["v1beta1.external.metrics.k8s.io"]


def test_a_predictor_in_the_operators_pod_leaves_the_relay_its_certificate():
    found = objects(KEDA_ALONE | {"operator": {"replicas": 1}, "predictor": {"mode": "sidecar"}})

    assert flags(found, SERVER).relay_tls_certificate
    assert secrets(found, POD) == {"tls": "tidecast-operator-tls"}


def test_it_may_read_whom_to_believe_and_nothing_else():
    found = rendered("outlet-server")
    bound = [one for one in of_kind(found, "RoleBinding", "ClusterRoleBinding") if one["subjects"][0]["name"] == POD]

    assert [one["roleRef"]["name"] for one in bound] == ["extension-apiserver-authentication-reader"]
    assert bound[0]["metadata"]["namespace"] == "kube-system"
    assert subjects(found, "extension-apiserver-authentication-reader") == [POD]


def test_with_keda_alone_it_has_no_permission_and_no_token_and_no_way_to_the_api_server():
    found = objects(KEDA_ALONE)

    assert POD not in str(of_kind(found, "RoleBinding", "ClusterRoleBinding"))
    assert pods(found)[POD]["spec"]["automountServiceAccountToken"] is False
    leaving = named(found, "NetworkPolicy", POD)["spec"]["egress"]
    assert {port["port"] for rule in leaving for port in rule["ports"]} == {53, 8502}


def test_roles_that_somebody_else_writes_are_left_to_them():
    found = objects(values_of("outlet-server") | {"rbac": {"create": False, "aggregateClusterRoles": False}})

    assert not of_kind(found, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def test_an_account_of_somebody_elses_is_bound():
    mine = {"enabled": True, "serviceAccount": {"create": False, "name": "platform-outlets"}}
    found = objects(values_of("outlet-server") | {"outletServer": mine})

    assert pods(found)[POD]["spec"]["serviceAccountName"] == "platform-outlets"
    assert subjects(found, "extension-apiserver-authentication-reader") == ["platform-outlets"]
    assert POD not in {one["metadata"]["name"] for one in of_kind(found, "ServiceAccount")}


@pytest.mark.parametrize("case", ["default", "namespaced"])
def test_an_outlet_server_that_has_nothing_to_serve_is_refused(case):
    message = refusal(values_of(case) | {"keda": {"enabled": False}, "outletServer": {"enabled": True}})

    assert ": outletServer.enabled: is true, and there is nothing that it could serve: set keda.enabled or" in message


def test_it_runs_the_operators_image_as_often_as_it_is_asked_to():
    image = {"tag": "1.2", "pullPolicy": "Always"}
    found = objects(KEDA_ALONE | {"operator": {"image": image, "logLevel": "WARNING"}})
    server, operator = container(found, SERVER), container(found, OPERATOR)

    assert (server["image"], server["imagePullPolicy"]) == (operator["image"], "Always")
    assert flags(found, SERVER).log_level == "WARNING"
    assert named(rendered("outlet-server"), "Deployment", POD)["spec"]["replicas"] == 3


def test_what_shapes_its_pod_reaches_it_and_no_other():
    found = rendered("outlet-server")
    pod, operator = pods(found)[POD], pods(found)["tidecast-operator"]

    assert pod["spec"]["priorityClassName"] == "system-cluster-critical"
    assert pod["spec"]["tolerations"][0]["key"] == "dedicated"
    assert "podAntiAffinity" in pod["spec"]["affinity"]
    assert pod["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert pod["metadata"]["labels"]["zone"] == "trusted"
    assert container(found, SERVER)["args"][-1] == "--log-level=DEBUG"
    assert container(found, SERVER)["env"] == [{"name": "LANG", "value": "C.UTF-8"}]
    assert not {"priorityClassName", "tolerations", "affinity"} & set(operator["spec"])


def test_its_pods_are_spread_over_nodes_by_themselves():
    found = rendered("outlet-server")
    (constraint,) = pods(found)[POD]["spec"]["topologySpreadConstraints"]
    spread = [name for name, pod in pods(found).items() if selects(constraint["labelSelector"]["matchLabels"], pod)]

    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert spread == [POD]


def test_an_upgrade_never_takes_the_last_one_that_answers():
    strategy = named(rendered("outlet-server"), "Deployment", POD)["spec"]["strategy"]

    assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_what_is_recreated_has_no_settings_of_a_rolling_update():
    found = objects(KEDA_ALONE | {"outletServer": {"enabled": True, "strategy": {"type": "Recreate"}}})

    assert named(found, "Deployment", POD)["spec"]["strategy"] == {"type": "Recreate"}


def test_it_is_scraped_as_the_operator_is_and_only_where_it_runs():
    found = rendered("outlet-server")
    own, operators = (named(found, "ServiceMonitor", name)["spec"] for name in (POD, "tidecast-operator"))
    service = named(found, "Service", POD)

    assert own["endpoints"] == operators["endpoints"]
    assert own["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [pod for pod, one in pods(found).items() if selects(service["spec"]["selector"], one)] == [POD]
    assert POD not in {one["metadata"]["name"] for one in of_kind(rendered("everything"), "ServiceMonitor", "Service")}


def test_notes_say_who_answers_autoscalers():
    assert f"Autoscalers are answered by deployment/{POD}" in texts(values_of("outlet-server"))["NOTES.txt"]
    assert "outlet-server" not in texts(values_of("everything"))["NOTES.txt"]


def test_a_platform_that_chooses_users_itself_can_do_so():
    free = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    found = objects(KEDA_ALONE | {"outletServer": {"enabled": True} | free})

    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pods(found)[POD]["spec"]["securityContext"])
