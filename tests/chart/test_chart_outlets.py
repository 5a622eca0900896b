import itertools

from chart.command_lines import OPERATOR, flags, source
from chart.rendering import NAMESPACE, named, objects, of_kind, rendered
from tidecast_operator.certificates.wanted import wanted


def test_doors_are_closed_until_they_are_asked_for():
    options = flags(rendered("default"), OPERATOR)

    assert (options.keda_address, options.metrics_api_address, options.relay_address) == (None, None, None)
    assert not options.hpa_floors
    assert not of_kind(rendered("default"), "APIService")
    assert {one["metadata"]["name"] for one in of_kind(rendered("default"), "Service")} == {
        "tidecast-operator",
        "tidecast-predictor",
    }


def test_all_replicas_answer_autoscalers():
    options = flags(rendered("everything"), OPERATOR)
    host, _, port = options.relay_target.rpartition(":")
    (relay,) = named(rendered("everything"), "Service", "tidecast-relay")["spec"]["ports"]

    assert int(port) == relay["port"]
    assert host in wanted(options).certificates["tidecast-operator-tls"]
    assert options.relay_tls_certificate.parent == options.predictor_tls_folder


def test_two_replicas_are_enough_to_follow_each_other():
    found = objects({"keda": {"enabled": True}})

    assert flags(found, OPERATOR).relay_target == f"tidecast-relay.{NAMESPACE}.svc:8502"
    assert named(found, "Service", "tidecast-relay")


def test_a_single_replica_follows_nobody():
    found = objects({"operator": {"replicas": 1}, "keda": {"enabled": True}})

    assert flags(found, OPERATOR).relay_target is None
    assert "tidecast-relay" not in {one["metadata"]["name"] for one in of_kind(found, "Service")}


def test_the_api_server_is_told_whose_certificate_to_believe():
    for case, names in (("everything", ["external", "custom"]), ("cert-manager", []), ("existing", [])):
        told = wanted(flags(rendered(case), OPERATOR))
        assert [one.split(".")[1] for one in (told.api_services if told else ())] == names
    everything, manager, existing = (
        of_kind(rendered(case), "APIService") for case in ("everything", "cert-manager", "existing")
    )
    for one in itertools.chain(everything, manager):
        assert "caBundle" not in one["spec"]  # whoever writes it owns it
    (issued,) = manager
    assert issued["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] == f"{NAMESPACE}/tidecast-operator-tls"
    (given,) = existing
    assert given["spec"]["caBundle"]


def test_an_api_service_asks_under_a_name_of_the_certificate():
    found = rendered("everything")
    for one in of_kind(found, "APIService"):
        host = f"{one['spec']['service']['name']}.{one['spec']['service']['namespace']}.svc"
        assert host in wanted(flags(found, OPERATOR)).certificates["tidecast-operator-tls"]
        assert "insecureSkipTLSVerify" not in one["spec"]


def test_certificates_of_somebody_elses_are_mounted_where_they_are_looked_for():
    found = rendered("existing")
    options = flags(found, OPERATOR)

    assert source(found, "tidecast-operator", str(options.keda_tls_certificate.parent)) == "keda-certificate"
    assert options.keda_tls_client_ca.parent == options.keda_tls_certificate.parent
    assert source(found, "tidecast-operator", str(options.metrics_api_tls_folder)) == "metrics-certificate"
