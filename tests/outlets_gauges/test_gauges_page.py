"""
docs/metrics.md says what is there, and its queries are those that a Prometheus understands.
"""

import json
import re
import subprocess

import pytest
import yaml

from builders.documents import ROOT, blocks, rows
from builders.gauges import facts, forecast, scraped, series, services
from tidecast_operator.condition_gauges import ConditionGauges
from tidecast_operator.outlets.gauges.choosing import STAY_FACTOR
from tidecast_operator.outlets.gauges.families import FAMILIES
from tidecast_operator.outlets.gauges.gauges import SERVICES_LIMIT
from tidecast_simulator.testbed import binaries

PAGE = (ROOT / "docs" / "metrics.md").read_text()
PROSE = " ".join(PAGE.split())
TABLE = [cells for cells in rows(PAGE, columns=4) if cells[0].startswith("tidecast_")]


OTHERS = [("tidecast_forecaster_condition", "gauge", ("type", "status", "reason"))]
"""Told beside the gauges, by `ConditionGauges`."""


def documents(name):
    """The yaml blocks of the page that have a field of that name."""
    return [body for block in blocks(PAGE, "yaml") for body in yaml.safe_load_all(block) if name in body]


def expressions():
    found = [body.strip() for body in blocks(PAGE, "promql")]
    found += [trigger["metadata"]["query"] for body in documents("spec") for trigger in body["spec"]["triggers"]]
    return found + re.findall(r"`(max\(.+?\))`", PAGE.replace("\n", " "))


@pytest.mark.real("promtool")
def test_the_scrape_configuration_is_one_that_prometheus_takes(tmp_path):
    (config,) = documents("scrape_configs")
    for job in config["scrape_configs"]:
        # Debian's Prometheus knows no Kubernetes: that alone is left out of what it is asked.
        assert job.pop("kubernetes_sd_configs") == [{"role": "endpoints", "namespaces": {"names": ["tidecast-system"]}}]
        assert job["honor_labels"]
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))

    done = subprocess.run(
        [binaries.find("promtool"), "check", "config", path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_the_scrape_configuration_keeps_what_serves_metrics():
    (config,) = documents("scrape_configs")
    (kept,) = config["scrape_configs"][0]["relabel_configs"]
    name, port = kept["regex"].split(";")
    manifests = [
        body for path in (ROOT / "manifests").glob("*/*.yaml") for body in yaml.safe_load_all(path.read_text())
    ]
    services = [body for body in manifests if body and body["kind"] == "Service"]
    named = [one for one in services if one["metadata"]["labels"]["app.kubernetes.io/name"] == name]

    serving = {one["metadata"]["name"] for one in named if port in {each["name"] for each in one["spec"]["ports"]}}
    assert serving >= {"tidecast-operator", "tidecast-predictor"}


def test_every_series_is_explained_with_its_type_and_labels_and_no_other():
    told = [(name, kind, tuple(labels.split(", ")) if labels else ()) for name, kind, labels, _ in TABLE]

    assert told == [*((family.name, "gauge", family.labels) for family in FAMILIES), *OTHERS]


def test_the_conditions_of_the_forecaster_are_told_as_the_page_has_it():
    gauges = ConditionGauges(leads=lambda: True)
    gauges.told({"conditions": [{"type": "Ready", "status": "True", "reason": "Forecasting"}]})

    assert list(series(gauges.exposition())) == [(OTHERS[0][0], "Forecasting", "True", "Ready")]


def test_every_label_is_explained():
    explained = {label for cells in rows(PAGE, columns=2) for label in re.findall(r"[a-z_]+", cells[0])}

    assert {label for family in FAMILIES for label in family.labels} | set(OTHERS[0][2]) <= explained


def test_every_series_that_is_named_anywhere_on_the_page_exists():
    named = set(re.findall(r"\btidecast_(?:forecast|measured|hint|floors)_\w+", PAGE))

    assert named <= {family.name for family in FAMILIES} | {"tidecast_forecast_"}


def test_a_rule_that_drops_series_names_some_that_exist():
    (rule,) = documents("metric_relabel_configs")[0]["metric_relabel_configs"]
    dropped = [family.name for family in FAMILIES if re.fullmatch(rule["regex"], family.name)]

    assert len(dropped) == 3


def test_the_number_of_series_of_a_service_is_the_true_one():
    (service,) = services(1)
    found = scraped(facts(forecast=forecast(1)))
    of_service = [key for key in found if key[-1] == service.name]
    of_resource = [key for key in found if "checkout" in key]

    assert f"up to {len(of_service) + len(of_resource)}:" in PROSE
    assert f"{len(of_resource)} of its resource" in PROSE


def test_the_limits_on_the_page_are_the_true_ones():
    assert f"{SERVICES_LIMIT:,} services and {SERVICES_LIMIT:,} resources" in PROSE
    assert STAY_FACTOR == 1.25
    assert "a quarter more" in PROSE


def test_a_trigger_acts_on_active_hints_only_and_takes_an_absent_one_for_an_error():
    triggers = [trigger for body in documents("spec") for trigger in body["spec"]["triggers"]]
    hints = [trigger["metadata"] for trigger in triggers if "tidecast_hint" in trigger["metadata"]["query"]]

    assert len(hints) == 1
    assert len(triggers) > len(hints)
    assert 'mode="Active"' in hints[0]["query"]
    assert hints[0]["ignoreNullValues"] == "false"


def test_a_fallback_asks_for_no_more_than_the_minimum():
    (scaled,) = documents("spec")

    assert scaled["spec"]["fallback"]["replicas"] == scaled["spec"]["minReplicaCount"]


@pytest.mark.real("promtool")
@pytest.mark.parametrize("expression", expressions())
def test_a_query_is_one_that_prometheus_understands(expression, tmp_path):
    rules = {"groups": [{"name": "page", "rules": [{"record": "page:query", "expr": expression}]}]}
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps(rules))
    done = subprocess.run(
        [binaries.find("promtool"), "check", "rules", path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
