import pytest

from chart.rendering import NAMESPACE, cases, containers, named, objects, of_kind, pods, rendered, selects

# What the cluster or somebody else brings.
OF_THE_CLUSTER = {"kube-root-ca.crt"}
NAMED_BY_VALUES = {"keda-certificate", "metrics-certificate", "forecasts", "platform-tidecast", "platform-predictor"}


def volumes(found):
    return [(name, volume) for name, pod in pods(found).items() for volume in pod["spec"]["volumes"]]


def secrets_and_config_maps(volume):
    """What a volume takes its files from."""
    if "projected" in volume:
        yield from (source["configMap"]["name"] for source in volume["projected"]["sources"] if "configMap" in source)
    if "configMap" in volume:
        yield volume["configMap"]["name"]
    if "secret" in volume:
        yield volume["secret"]["secretName"]


@pytest.mark.parametrize("case", cases())
def test_a_deployment_finds_its_own_pods_and_no_others(case):
    found = rendered(case)
    for deployment in of_kind(found, "Deployment"):
        labels = deployment["spec"]["selector"]["matchLabels"]
        assert [name for name, pod in pods(found).items() if selects(labels, pod)] == [deployment["metadata"]["name"]]


@pytest.mark.parametrize("case", cases())
def test_every_service_has_pods_that_listen_on_its_ports(case):
    found = rendered(case)
    for service in of_kind(found, "Service"):
        (pod,) = [pod for pod in pods(found).values() if selects(service["spec"]["selector"], pod)]
        names = [port["name"] for one in pod["spec"]["containers"] for port in one.get("ports", ())]
        for port in service["spec"]["ports"]:
            assert names.count(port["targetPort"]) == 1, (service["metadata"]["name"], port)


@pytest.mark.parametrize("case", cases())
def test_every_budget_and_policy_has_pods(case):
    found = rendered(case)
    for one in of_kind(found, "PodDisruptionBudget"):
        assert [pod for pod in pods(found).values() if selects(one["spec"]["selector"]["matchLabels"], pod)]
    for one in of_kind(found, "NetworkPolicy"):
        assert [pod for pod in pods(found).values() if selects(one["spec"]["podSelector"]["matchLabels"], pod)]


@pytest.mark.parametrize("case", cases())
def test_every_mount_has_a_volume_and_every_volume_a_mount(case):
    found = rendered(case)
    for name, pod in pods(found).items():
        mounted = {mount["name"] for one in pod["spec"]["containers"] for mount in one["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}, name
    for name, one in containers(found).items():
        paths = [mount["mountPath"] for mount in one["volumeMounts"]]
        assert len(paths) == len(set(paths)), name


@pytest.mark.parametrize("case", cases())
def test_every_secret_and_config_map_that_is_mounted_is_there(case):
    found = rendered(case)
    made = {one["metadata"]["name"] for one in of_kind(found, "Secret", "ConfigMap")}
    made |= {one["spec"]["secretName"] for one in of_kind(found, "Certificate")}
    wanted = {name for _, volume in volumes(found) for name in secrets_and_config_maps(volume)}

    assert wanted <= made | OF_THE_CLUSTER | NAMED_BY_VALUES


@pytest.mark.parametrize("case", cases())
def test_every_secret_of_the_release_is_used(case):
    found = rendered(case)
    mounted = {name for _, volume in volumes(found) for name in secrets_and_config_maps(volume)}

    # The authority is nobody's file: only the operator reads it, by name.
    assert {one["metadata"]["name"] for one in of_kind(found, "Secret")} <= mounted | {"tidecast-authority"}


@pytest.mark.parametrize("case", cases())
def test_every_claim_that_is_mounted_is_there(case):
    found = rendered(case)
    made = {one["metadata"]["name"] for one in of_kind(found, "PersistentVolumeClaim")}
    wanted = {
        volume["persistentVolumeClaim"]["claimName"]
        for _, volume in volumes(found)
        if "persistentVolumeClaim" in volume
    }

    assert made <= wanted <= made | NAMED_BY_VALUES


@pytest.mark.parametrize("case", cases())
def test_every_account_that_a_pod_or_a_binding_names_is_there(case):
    found = rendered(case)
    made = {one["metadata"]["name"] for one in of_kind(found, "ServiceAccount")} | NAMED_BY_VALUES
    bindings = of_kind(found, "RoleBinding", "ClusterRoleBinding")

    assert {pod["spec"]["serviceAccountName"] for pod in pods(found).values()} <= made
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert subject["name"] in made
        assert subject["namespace"] == NAMESPACE


@pytest.mark.parametrize("case", cases())
def test_every_binding_leads_to_a_role_that_is_there(case):
    found = rendered(case)
    for binding in of_kind(found, "RoleBinding", "ClusterRoleBinding"):
        reference, namespace = binding["roleRef"], binding["metadata"].get("namespace")
        if namespace == "kube-system":
            assert reference["name"] == "extension-apiserver-authentication-reader"
        else:
            assert named(found, reference["kind"], reference["name"], namespace)


@pytest.mark.parametrize("case", cases())
def test_every_api_service_leads_to_a_service_that_is_there(case):
    found = rendered(case)
    for one in of_kind(found, "APIService"):
        service = named(found, "Service", one["spec"]["service"]["name"], one["spec"]["service"]["namespace"])
        assert one["spec"]["service"]["port"] in [port["port"] for port in service["spec"]["ports"]]


@pytest.mark.parametrize("case", cases())
def test_every_service_monitor_finds_a_service_with_its_port(case):
    found = rendered(case)
    for one in of_kind(found, "ServiceMonitor"):
        labels = one["spec"]["selector"]["matchLabels"]
        services = [each for each in of_kind(found, "Service") if labels.items() <= each["metadata"]["labels"].items()]
        ports = [port["name"] for each in services for port in each["spec"]["ports"]]
        for endpoint in one["spec"]["endpoints"]:
            assert ports.count(endpoint["port"]) == 1


def test_accounts_that_are_not_made_are_the_default_ones_unless_they_are_named():
    found = objects({side: {"serviceAccount": {"create": False}} for side in ("operator", "predictor")})

    assert {pod["spec"]["serviceAccountName"] for pod in pods(found).values()} == {"default"}


def test_the_relay_finds_replicas_that_are_not_ready():
    service = named(rendered("everything"), "Service", "tidecast-relay")["spec"]

    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True


def test_secrets_that_the_operator_fills_hold_nothing_that_helm_would_own():
    found = rendered("default")

    assert {one["metadata"]["name"] for one in of_kind(found, "Secret")} == {
        "tidecast-authority",
        "tidecast-operator-tls",
        "tidecast-predictor-tls",
    }
    for one in of_kind(found, "Secret"):
        assert not {"data", "stringData"} & set(one)
        assert one["type"] == "Opaque"
