import pytest

from builders.schemas import schemas, violations
from chart.command_lines import OPERATOR, PREDICTOR, flags, forecaster, mounts, source
from chart.rendering import NAMESPACE, cases, container, containers, named, objects, of_kind, pods, rendered
from chart.rendering import values_of as values_in
from tidecast_operator.certificates.wanted import wanted
from tidecast_operator.settings import parse


@pytest.mark.parametrize("case", cases())
def test_every_command_line_is_understood_by_its_program(case):
    for name in containers(rendered(case)):
        assert flags(rendered(case), name)


@pytest.mark.parametrize("case", cases())
def test_every_port_that_a_program_listens_on_is_one_of_its_container(case):
    found = rendered(case)
    for name in containers(found):
        options = vars(flags(found, name))
        addresses = [options[key] for key in options if key.endswith("address") and options[key]]
        ports = {port["containerPort"] for port in container(found, name).get("ports", ())}
        outside = {int(one.rpartition(":")[2]) for one in addresses if not one.startswith("127.0.0.1")}
        if "command" in options and ports:
            assert outside == ports, name


@pytest.mark.parametrize("case", [case for case in cases() if case != "existing"])
def test_the_forecaster_is_one_that_the_operator_takes(case):
    body = forecaster(rendered(case))

    assert (body["apiVersion"], body["kind"]) == ("tidecast.dev/v1alpha1", "Forecaster")
    assert body["metadata"] == {"name": "default"}
    assert not list(violations(body["spec"], schemas()["Forecaster"]))
    assert parse(body["spec"]).prometheus.url


BY_CERT_MANAGER = "-cert-manager"  # what cert-manager leaves behind must not keep the operator from making its own


def test_whole_numbers_stay_whole():
    text = named(rendered("default"), "ConfigMap", "tidecast-forecaster")["data"]["forecaster.yaml"]

    assert "historySeconds: 1209600" in text


def test_the_forecaster_names_the_predictor_as_its_certificate_does():
    found = rendered("default")
    host, _, port = forecaster(found)["spec"]["predictor"]["address"].rpartition(":")
    issued = wanted(flags(found, OPERATOR))

    assert port == "8500"
    assert host in issued.certificates["tidecast-predictor-tls"]


def test_a_predictor_of_somebody_elses_is_kept():
    spec = {"predictor": {"address": "other:1", "timeoutSeconds": 7}}

    assert forecaster(objects({"forecaster": {"spec": spec}}))["spec"]["predictor"] == spec["predictor"]


def test_credentials_are_looked_for_where_the_release_is():
    assert forecaster(rendered("default"))["spec"]["prometheus"]["authSecretRef"] == {
        "name": "tidecast-prometheus",
        "namespace": NAMESPACE,
    }


def test_a_predictor_is_told_the_steps_of_the_forecaster():
    options, spec = flags(rendered("default"), PREDICTOR), forecaster(rendered("default"))["spec"]

    assert options.window_steps == spec["windowSteps"]
    assert options.horizon_steps == spec["horizonSteps"]
    assert options.history_seconds == spec["training"]["historySeconds"]
    assert options.minimum_history_seconds == spec["training"]["minimumHistorySeconds"]


def test_both_sides_show_each_other_certificates_by_default():
    found = rendered("default")
    operator, predictor = flags(found, OPERATOR), flags(found, PREDICTOR)

    assert source(found, "tidecast-operator", str(operator.predictor_tls_folder)) == "tidecast-operator-tls"
    assert source(found, "tidecast-predictor", str(predictor.tls_folder)) == "tidecast-predictor-tls"
    issued = wanted(operator)
    assert issued.namespace == NAMESPACE
    assert issued.authority == "tidecast-authority"
    assert set(issued.certificates) == {"tidecast-operator-tls", "tidecast-predictor-tls"}


def test_the_authoritys_key_is_in_no_pod():
    for case in cases():
        for pod in pods(rendered(case)).values():
            assert "authority" not in str(pod["spec"]["volumes"])


def test_with_cert_manager_the_same_certificates_come_from_it_in_secrets_of_other_names():
    found = rendered("cert-manager")
    certificates = {one["spec"]["secretName"]: one["spec"] for one in of_kind(found, "Certificate")}
    issued = wanted(flags(rendered("default"), OPERATOR)).certificates

    assert wanted(flags(found, OPERATOR)) is None
    assert not of_kind(found, "Secret")
    assert set(certificates) == {f"{name}{BY_CERT_MANAGER}" for name in ("tidecast-authority", *issued)}
    for told, hosts in issued.items():
        name = f"{told}{BY_CERT_MANAGER}"
        assert set(certificates[name]["dnsNames"]) == set(hosts)
        assert {"server auth", "client auth"} <= set(certificates[name]["usages"])
        assert named(found, certificates[name]["issuerRef"]["kind"], certificates[name]["issuerRef"]["name"])
    assert source(found, "tidecast-operator", "/etc/tidecast/tls") == f"tidecast-operator-tls{BY_CERT_MANAGER}"


@pytest.mark.parametrize("is_by_cert_manager", [False, True])
def test_both_certificates_hold_further_names(is_by_cert_manager):
    more = ["gateway.example.com", "*.mesh.example.com"]
    tls = {"extraDnsNames": more, "certManager": {"enabled": is_by_cert_manager}}
    found = objects({"tls": tls})

    if is_by_cert_manager:
        names = {one["spec"]["secretName"]: one["spec"].get("dnsNames") for one in of_kind(found, "Certificate")}
    else:
        names = wanted(flags(found, OPERATOR)).certificates
    for secret, service in (
        ("tidecast-operator-tls", "tidecast-relay"),
        ("tidecast-predictor-tls", "tidecast-predictor"),
    ):
        assert {*more, service} <= set(names[f"{secret}{BY_CERT_MANAGER}" if is_by_cert_manager else secret])


def test_an_issuer_of_ones_own_is_asked():
    mine = {"kind": "ClusterIssuer", "name": "company"}
    found = objects({"tls": {"certManager": {"enabled": True, "issuerRef": mine}}})

    assert not of_kind(found, "Issuer")
    assert [one["spec"]["issuerRef"] for one in of_kind(found, "Certificate")] == [mine, mine]


def test_without_tls_nobody_shows_or_issues_a_certificate():
    found = rendered("keda")

    assert wanted(flags(found, OPERATOR)) is None
    assert flags(found, OPERATOR).predictor_tls_folder is None
    assert flags(found, PREDICTOR).tls_folder is None
    assert not of_kind(found, "Secret", "Certificate")


def test_a_predictor_in_the_operators_pod_answers_over_loopback_alone():
    found = rendered("sidecar")
    predictor = flags(found, "tidecast-operator/predictor")

    assert predictor.address == forecaster(found)["spec"]["predictor"]["address"] == "127.0.0.1:8500"
    assert predictor.tls_folder is None
    assert not of_kind(found, "Secret")
    assert [port["name"] for port in named(found, "Service", "tidecast-predictor")["spec"]["ports"]] == ["http"]
    assert flags(found, "tidecast-check/check").without_predictor


def test_a_list_of_namespaces_reaches_all_who_ask():
    found = rendered("namespaced")

    assert flags(found, OPERATOR).watch_namespaces == "shop,warehouse"
    assert flags(found, "tidecast-check/check").watch_namespaces == "shop,warehouse"
    assert flags(found, "tidecast-clean-up/clean-up").namespace == ["shop", "warehouse"]
    assert not flags(found, "tidecast-clean-up/clean-up").with_forecaster


@pytest.mark.parametrize("case", cases())
def test_a_check_looks_at_the_api_services_of_the_release(case):
    found = rendered(case)
    names = [one["metadata"]["name"] for one in of_kind(found, "APIService")]

    assert sorted(flags(found, "tidecast-check/check").api_service) == sorted(names)


def test_with_a_list_of_namespaces_no_api_service_is_looked_at_since_none_may_be_read():
    own = {"tls": {"existingSecret": "metrics", "caBundle": "YQ=="}}
    found = objects({"namespaces": ["shop"], "metricsApi": {"enabled": True, "external": {"enabled": True}} | own})

    assert of_kind(found, "APIService")
    assert flags(found, "tidecast-check/check").api_service == []


@pytest.mark.parametrize("case", cases())
def test_what_cleans_up_asks_for_nothing_that_it_may_not(case):
    names = containers(rendered(case))
    floors, with_file = flags(rendered(case), OPERATOR).hpa_floors, flags(rendered(case), OPERATOR).forecaster_file
    if "tidecast-clean-up/clean-up" not in names:
        assert values_in(case).get("cleanUp", {}).get("enabled") is False or not (floors or with_file)
        return
    options = flags(rendered(case), "tidecast-clean-up/clean-up")
    assert options.lease_namespace == NAMESPACE
    assert options.without_floors is not floors
    assert options.with_forecaster == bool(with_file and not flags(rendered(case), OPERATOR).watch_namespaces)


def test_the_lease_is_in_the_namespace_of_the_release():
    assert flags(rendered("default"), OPERATOR).namespace == NAMESPACE
    assert flags(rendered("default"), "tidecast-check/check").namespace == NAMESPACE


def test_a_pods_own_name_tells_replicas_apart():
    (variable,) = [one for one in container(rendered("default"), OPERATOR)["env"] if one["name"] == "POD_NAME"]

    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_folders_that_are_written_are_volumes():
    found = rendered("default")

    assert mounts(found, OPERATOR)[str(flags(found, OPERATOR).state_folder)] == "state"
    for variable in container(found, PREDICTOR)["env"]:
        if "value" in variable:
            assert variable["value"] in mounts(found, PREDICTOR)


@pytest.mark.parametrize("selector", [{}, {"matchLabels": {"team": "a"}}, {"matchExpressions": []}])
def test_a_selector_of_namespaces_is_taken_as_it_is(selector):
    assert (
        forecaster(objects({"forecaster": {"spec": {"namespaceSelector": selector}}}))["spec"]["namespaceSelector"]
        == selector
    )


def test_without_a_selector_namespaces_are_asked_to_opt_in():
    expected = {"matchLabels": {"tidecast.dev/forecast": "enabled"}}

    assert forecaster(objects({}))["spec"]["namespaceSelector"] == expected


@pytest.mark.parametrize("component", ["operator", "predictor"])
def test_what_is_recreated_has_no_settings_of_a_rolling_update(component):
    found = objects({component: {"strategy": {"type": "Recreate"}}})

    assert named(found, "Deployment", f"tidecast-{component}")["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("field", ["nodeSelector", "tolerations", "podLabels", "podAnnotations"])
def test_a_value_can_be_dropped_by_null(field):
    assert objects({"operator": {field: None}})
