"""
What the chart makes of rules and dashboard, and of the values under `monitoring`.
"""

import json
import subprocess

import pytest
import yaml

from builders.alerts import RULES, rules
from chart.rendering import CHART, named, objects, of_kind
from tidecast_simulator.testbed import binaries

FILE = yaml.safe_load(RULES.read_text())
KINDS = ("ServiceMonitor", "PrometheusRule")
NAMES = [rule["alert"] for rule in rules()]


BOTH = {"external": {"enabled": True}, "custom": {"enabled": True}}
METRICS_API = "TidecastMetricsApiUnavailable"


def monitoring(*, provides=BOTH, **parts):
    chosen = {"monitoring": {name: {"enabled": True} | values for name, values in parts.items()}}
    return objects(chosen | {"metricsApi": {"enabled": bool(provides)} | provides})


def rendered_rules(*, provides=BOTH, **values):
    (rule,) = of_kind(monitoring(provides=provides, prometheusRule=values), "PrometheusRule")
    return rule["spec"]["groups"]


def alert(groups, name):
    (found,) = [rule for group in groups for rule in group["rules"] if rule["alert"] == name]
    return found


def test_nothing_that_needs_another_operator_is_made_unless_it_is_asked_for():
    found = objects({})

    assert not of_kind(found, *KINDS)
    assert not [one for one in of_kind(found, "ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]


@pytest.mark.parametrize("mode", ["pod", "sidecar"])
def test_both_sides_are_scraped_without_their_labels_being_renamed(mode):
    values = {"predictor": {"mode": mode}, "monitoring": {"serviceMonitor": {"enabled": True, "interval": "15s"}}}
    monitors = of_kind(objects(values), "ServiceMonitor")

    assert [one["metadata"]["name"] for one in monitors] == ["tidecast-operator", "tidecast-predictor"]
    for one in monitors:
        assert one["spec"]["endpoints"] == [
            {"port": "http", "path": "/metrics", "honorLabels": True, "interval": "15s"}
        ]


def test_labels_and_relabellings_of_service_monitors_are_those_of_the_values():
    drop = {"sourceLabels": ["__name__"], "regex": "tidecast_forecast_bias", "action": "drop"}
    found = monitoring(
        serviceMonitor={
            "labels": {"release": "prometheus"},
            "annotations": {"a": "b"},
            "scrapeTimeout": "5s",
            "relabelings": [{"targetLabel": "team", "replacement": "a"}],
            "metricRelabelings": [drop],
        }
    )

    for one in of_kind(found, "ServiceMonitor"):
        assert one["metadata"]["labels"]["release"] == "prometheus"
        assert one["metadata"]["annotations"] == {"a": "b"}
        (endpoint,) = one["spec"]["endpoints"]
        assert (endpoint["scrapeTimeout"], endpoint["metricRelabelings"]) == ("5s", [drop])
        assert endpoint["relabelings"] == [{"targetLabel": "team", "replacement": "a"}]


def test_the_rules_are_those_of_the_file_templates_of_prometheus_included():
    assert rendered_rules() == FILE["groups"]


@pytest.mark.real("promtool")
def test_prometheus_takes_the_rules_that_are_made(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": rendered_rules(alertLabels={"team": "platform"})}))
    done = subprocess.run(
        [binaries.find("promtool"), "check", "rules", path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_labels_of_the_rule_are_those_of_the_values():
    (rule,) = of_kind(monitoring(prometheusRule={"labels": {"release": "prometheus"}}), "PrometheusRule")

    assert rule["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_can_be_left_out(name):
    groups = rendered_rules(disabled=[name])

    assert [rule["alert"] for group in groups for rule in group["rules"]] == [one for one in NAMES if one != name]


@pytest.mark.parametrize("api", BOTH)
def test_only_an_api_that_the_release_provides_is_watched(api):
    found = alert(rendered_rules(provides={api: {"enabled": True}}), METRICS_API)["expr"]
    (name,) = [one for one in ("v1beta1.external.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io") if api in one]

    assert f'{{name=~"{name}"}}' in found


def test_where_no_api_is_provided_none_is_watched():
    groups = rendered_rules(provides={})

    assert [rule["alert"] for group in groups for rule in group["rules"]] == [
        one for one in NAMES if one != METRICS_API
    ]


def test_a_group_without_alerts_is_left_out():
    scaling = [rule["alert"] for rule in FILE["groups"][-1]["rules"]]

    assert [group["name"] for group in rendered_rules(disabled=scaling)] == [one["name"] for one in FILE["groups"][:-1]]
    assert rendered_rules(disabled=NAMES) == []


def test_a_severity_and_labels_of_ones_own_replace_those_of_the_chart():
    groups = rendered_rules(severities={"TidecastForecastStale": "info"}, alertLabels={"team": "platform"})

    assert alert(groups, "TidecastForecastStale")["labels"] == {"severity": "info", "team": "platform"}
    assert alert(groups, "TidecastOperatorDown")["labels"] == {"severity": "critical", "team": "platform"}


def test_runbooks_of_ones_own_replace_the_links():
    groups = rendered_rules(runbookUrl="https://runbooks.example.org/tidecast")

    assert (
        alert(groups, "TidecastNoSkill")["annotations"]["runbook_url"]
        == "https://runbooks.example.org/tidecast#tidecastnoskill"
    )


@pytest.mark.parametrize(
    "values",
    [
        {"disabled": ["TidecastForecastStail"]},
        {"severities": {"TidecastForecastStail": "info"}},
        {"severities": {"TidecastForecastStale": "page"}},
        {"runbookUrl": "runbooks"},
        {"rules": []},
    ],
    ids=str,
)
def test_a_value_that_would_be_without_effect_is_refused(values):
    with pytest.raises(Exception, match="monitoring/prometheusRule"):
        monitoring(prometheusRule=values)


def test_the_schema_knows_every_alert():
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["monitoring"]["properties"]
    told = schema["prometheusRule"]["properties"]

    assert told["disabled"]["items"]["enum"] == NAMES
    assert list(told["severities"]["patternProperties"]) == [f"^({'|'.join(NAMES)})$"]


def test_the_dashboard_is_the_file_and_grafanas_sidecar_finds_it():
    found = named(monitoring(dashboard={}), "ConfigMap", "tidecast-dashboard")

    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Tidecast"}
    file = CHART / "files" / "monitoring" / "dashboard.json"
    assert found["data"] == {"tidecast.json": file.read_text()}


def test_the_dashboard_goes_where_the_values_say():
    values = {"namespace": "grafana", "folder": "Scaling", "folderAnnotation": "k8s-sidecar-target-directory"}
    found = named(monitoring(dashboard=values), "ConfigMap", "tidecast-dashboard", "grafana")

    assert found["metadata"]["annotations"] == {"k8s-sidecar-target-directory": "Scaling"}


def test_without_a_folder_the_sidecar_decides():
    found = named(monitoring(dashboard={"folder": ""}), "ConfigMap", "tidecast-dashboard")

    assert "annotations" not in found["metadata"]
