import pytest

from chart.rendering import NAMESPACE, cases, texts, values_of


def note(values):
    """What a person reads after an install."""
    return texts(values)["NOTES.txt"]


def test_notes_name_commands_for_the_namespaces_that_are_watched():
    notes = {case: note(values_of(case)) for case in cases()}

    assert all(f"helm test tidecast --namespace {NAMESPACE}" in note for note in notes.values())
    assert "--namespace shop" in notes["namespaced"]
    assert "label namespace default tidecast.dev/forecast=enabled" in notes["default"]
    assert "emptyDir" not in notes["gpu"]
    assert "whoever reaches the predictor's port" in notes["keda"]


def test_notes_warn_of_a_predictor_for_each_replica():
    assert "Each of the 2 replicas" in note({"predictor": {"mode": "sidecar"}})
    assert "Each of the" not in note(values_of("sidecar"))


def test_notes_say_which_prometheus_is_asked():
    assert "asks Prometheus at https://prometheus.monitoring.svc (" in note(values_of("default"))
    assert "asks Prometheus" not in note({"forecaster": {"create": False}})


@pytest.mark.parametrize(
    ("url", "port"), [("http://prometheus.monitoring", 80), ("https://p", 443), ("http://p:9091/prefix", 9091)]
)
def test_notes_say_that_a_policy_counts_ports_of_pods(url, port):
    forecaster = {"spec": {"prometheus": {"url": url}}}

    told = note({"forecaster": forecaster})

    assert f"reach Prometheus on port {port}, the one in forecaster.spec.prometheus.url." in told
    assert "until networkPolicy.prometheus.ports names that of the pods" in told
    assert f"on port {port}, the one in forecaster.spec.prometheus.url, also if your Forecaster" in note(
        {"forecaster": forecaster | {"create": False}}
    )


@pytest.mark.parametrize("policy", [{"enabled": False}, {"prometheus": {"ports": [9090]}}])
def test_notes_say_nothing_of_ports_that_are_named_or_not_narrowed(policy):
    assert "reach Prometheus on port" not in note({"networkPolicy": policy})


@pytest.mark.parametrize(
    ("mode", "address"), [("pod", "tidecast-predictor.tidecast-system.svc"), ("sidecar", "127.0.0.1")]
)
def test_notes_tell_where_a_forecaster_of_ones_own_finds_the_predictor(mode, address):
    told = note({"forecaster": {"create": False}, "predictor": {"mode": mode}})

    assert f"with predictor.address {address}:8500\n" in told


def test_notes_tell_how_to_see_whether_the_api_server_gets_through():
    api = {"enabled": True, "external": {"enabled": True}}

    assert "kubectl get apiservice v1beta1.external.metrics.k8s.io\n" in note({"metricsApi": api})
    assert "port 8443 of the pods" in note({"metricsApi": api})
    assert "apiservice" not in note({"metricsApi": {"enabled": True}})


def test_notes_warn_where_the_metrics_api_lets_in_the_addresses_of_the_other_direction():
    cidrs = {"cidrs": ["10.0.0.1/32"]}

    def told(servers, **more):
        return note({"metricsApi": {"enabled": True}, "networkPolicy": {"apiServer": servers, **more}})

    assert "name them in networkPolicy.apiServer.clientCidrs" in told(cidrs)
    assert "clientCidrs" not in told(cidrs | {"clientCidrs": ["10.1.0.0/28"]})
    assert "clientCidrs" not in told({})
    assert "clientCidrs" not in told(cidrs, enabled=False)


def test_notes_tell_keda_where_to_ask_and_who_is_let_in():
    told = note({"keda": {"enabled": True}})

    assert "scalerAddress tidecast-keda.tidecast-system.svc:8600." in told
    assert "networkPolicy.keda.peers" in told
    assert "networkPolicy.keda.peers" not in note({"keda": {"enabled": True}, "networkPolicy": {"enabled": False}})


def test_notes_say_that_cert_manager_has_nothing_to_issue():
    values = {"tls": {"certManager": {"enabled": True}}, "predictor": {"mode": "sidecar"}}

    assert "nothing needs a certificate" in note(values)
    assert "nothing needs a certificate" not in note(values | {"metricsApi": {"enabled": True}})
