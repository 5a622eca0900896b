"""
Rules, dashboard and pages fit each other: each alert has a paragraph, each query names series that exist, and the
dashboard is one that Grafana 10 imports anywhere.
"""

import json
import re
import subprocess
import sys
from itertools import combinations

import pytest
import yaml

from builders.alerts import LEADER, RULES, alert_complaints, condition, rules, steady, then, well
from builders.documents import ROOT, anchors, rows
from tidecast_simulator.testbed import binaries

PAGE = (ROOT / "docs" / "alerts.md").read_text()
SECTIONS = {text.splitlines()[0]: " ".join(text.split()) for text in PAGE.split("\n## ")[1:]}
MODEL = json.loads((ROOT / "charts" / "tidecast" / "files" / "monitoring" / "dashboard.json").read_text())
PANELS = [panel for panel in MODEL["panels"] if panel["type"] != "row"]
TOLD = "".join((ROOT / "docs" / name).read_text() for name in ("metrics.md", "running.md"))
EXPLAINED = {cells[0]: cells[1:] for cells in rows(TOLD, columns=4) if cells[0].startswith("tidecast_")}
NOT_DRAWN = {
    "tidecast_forecast_issued_timestamp_seconds",  # when it expires says the same
    "tidecast_forecast_step_seconds",
    "tidecast_forecast_services_left_out",  # these have an alert
    "tidecast_forecast_resources_left_out",
    "tidecast_floors_complete",
    "tidecast_certificate_expiry_timestamp_seconds",
    "tidecast_relay_connected",
    "tidecast_board_age_seconds",
}
TARGET = {"cluster", "namespace", "job", "instance", "le", "__name__"}
SECONDS = {"m": 60, "h": 3600}


def queries():
    found = {rule["alert"]: rule["expr"] for rule in rules()}
    for panel in PANELS:
        found |= {f"{panel['title']}: {one['legendFormat']}": one["expr"] for one in panel["targets"]}
    return [pytest.param(query, id=name) for name, query in found.items()]


def base(name):
    """A series without what Prometheus' client appends to the name of a histogram."""
    return re.sub(r"_(bucket|sum|count)$", "", name) if name not in EXPLAINED else name


@pytest.mark.parametrize("query", queries())
def test_a_query_names_series_and_labels_that_exist(query):
    for name, labels in re.findall(r"\b(tidecast_\w+)(?:\{([^}]*)\})?", query):
        assert base(name) in EXPLAINED
        known = set(EXPLAINED[base(name)][1].split(", ")) | TARGET
        assert set(re.findall(r"(\w+)=", labels)) <= known


def test_every_series_is_drawn_or_left_out_on_purpose():
    drawn = {
        base(name) for panel in PANELS for one in panel["targets"] for name in re.findall(r"tidecast_\w+", one["expr"])
    }

    assert {name for name in EXPLAINED if name not in drawn} == NOT_DRAWN


def test_every_alert_has_a_paragraph_and_no_other():
    assert list(SECTIONS) == [rule["alert"] for rule in rules()]


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_an_alert_is_calm_and_says_what_to_do(rule):
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert int(rule["for"][:-1]) * SECONDS[rule["for"][-1]] >= 60
    link, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert link.endswith("/blob/main/docs/alerts.md")
    assert anchor in anchors(PAGE)
    assert anchor == rule["alert"].lower()
    for text in (rule["annotations"]["summary"], rule["annotations"]["description"]):
        assert text.endswith(".")
        assert "\n" not in text


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_a_paragraph_tells_severity_and_patience_as_they_are(rule):
    told = re.match(
        r"\S+ \*(\w+), (?:after (an hour|\d+ (?:minutes|hours))|for half an hour[^*]*)\.\*", SECTIONS[rule["alert"]]
    )
    number, unit = rule["for"][:-1], rule["for"][-1]
    wait = "an hour" if rule["for"] == "1h" else f"{number} {'minutes' if unit == 'm' else 'hours'}"

    assert told
    assert told.group(1) == rule["labels"]["severity"]
    assert told.group(2) in (wait, None)
    assert (told.group(2) is None) == (rule["alert"] == "TidecastFloorGivenBackByForce")


def test_values_on_the_page_are_those_of_the_chart():
    values = yaml.safe_load((ROOT / "charts" / "tidecast" / "values.yaml").read_text())["monitoring"]["prometheusRule"]
    told = {cells[0].rpartition(".")[2] for cells in rows(PAGE, columns=2) if cells[0].startswith("monitoring.")}

    assert told == set(values) - {"enabled", "annotations"}


@pytest.mark.real("promtool")
def test_prometheus_takes_the_rules_without_a_complaint():
    done = subprocess.run(
        [binaries.find("promtool"), "check", "rules", "--lint=all", "--lint-fatal", RULES],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real("promtool")
def test_an_alert_reads_as_it_should(tmp_path):
    name = "TidecastForecastStale"
    expired = {f"tidecast_forecast_expire_timestamp_seconds{{{LEADER}}}": then("540+60x59", steady(4080))}
    (rule,) = [rule for rule in rules() if rule["alert"] == name]
    annotations = rule["annotations"] | {
        "summary": "The forecasts of Tidecast in tidecast-system expired 22m 0s ago.",
    }
    alert = {"exp_labels": {"severity": "warning", "namespace": "tidecast-system"}, "exp_annotations": annotations}

    assert not alert_complaints(
        well() | expired, {"eval_time": "90m", "alertname": name, "exp_alerts": [alert]}, tmp_path
    )


@pytest.mark.real("promtool")
def test_an_alert_about_a_condition_does_not_begin_anew_when_the_reason_changes(tmp_path):
    of, labels = "PrometheusReachable", {"severity": "warning", "namespace": "tidecast-system"}
    series = well() | {
        condition(of, "True", "Answers"): then(steady(1, 60), "stale"),
        condition(of, "False", "PrometheusUnavailable"): then("_x60", steady(1, 6), "stale"),
        condition(of, "False", "Misconfigured"): then("_x66", steady(1)),
    }
    (rule,) = [rule for rule in rules() if rule["alert"] == "TidecastPrometheusUnreachable"]
    annotations = rule["annotations"] | {"summary": "Tidecast in tidecast-system cannot read Prometheus."}
    expected = {"exp_labels": labels, "exp_annotations": annotations}

    assert not alert_complaints(
        series, {"eval_time": "71m", "alertname": rule["alert"], "exp_alerts": [expected]}, tmp_path
    )


def test_the_dashboard_is_the_one_that_its_rows_make():
    program = ROOT / "scripts" / "make-dashboard.py"
    done = subprocess.run([sys.executable, program, "--check"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_dashboard_belongs_to_no_installation():
    assert MODEL["schemaVersion"] >= 38
    assert not {"id", "version", "iteration"} & set(MODEL)
    (source,) = [one for one in MODEL["templating"]["list"] if one["type"] == "datasource"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    assert set(re.findall(r'"uid": "([^"]+)"', json.dumps(MODEL))) == {"tidecast", "${datasource}"}


def test_every_variable_that_a_query_names_is_there():
    texts = json.dumps([MODEL["panels"], MODEL["templating"]["list"]])
    named = set(re.findall(r"\$\{?(\w+)", texts))

    assert named - {"__rate_interval", "__all"} == {one["name"] for one in MODEL["templating"]["list"]}


def test_a_variable_comes_after_those_that_it_depends_on():
    known = []
    for one in MODEL["templating"]["list"]:
        assert set(re.findall(r"\$\{?(\w+)", json.dumps(one.get("query", "")))) <= set(known)
        known.append(one["name"])


@pytest.mark.parametrize("panel", [pytest.param(panel, id=panel["title"]) for panel in PANELS])
def test_a_panel_has_a_unit_and_curves_of_different_names(panel):
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for key in ("legendFormat", "refId"):
        names = [one[key] for one in panel["targets"]]
        assert names
        assert len(set(names)) == len(names)


def test_panels_have_numbers_of_their_own_and_lie_beside_each_other():
    assert len({panel["id"] for panel in MODEL["panels"]}) == len(MODEL["panels"])
    places = [panel["gridPos"] for panel in MODEL["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_above


def test_there_is_a_row_for_each_thing_to_look_at():
    titles = [panel["title"].split(" of ")[0] for panel in MODEL["panels"] if panel["type"] == "row"]

    assert titles == ["The cycle", "The graph", "Forecasts", "Skill and coverage", "Hints", "The predictor"]


def test_a_band_is_filled_from_its_lower_to_its_upper_edge():
    bands = [panel for panel in PANELS if "p90" in {one["legendFormat"] for one in panel["targets"]}]

    assert len(bands) == 6
    for panel in bands:
        looks = {one["matcher"]["options"]: one["properties"] for one in panel["fieldConfig"]["overrides"]}
        assert {"id": "custom.fillBelowTo", "value": "p10"} in looks["p90"]
        assert set(looks) == {one["legendFormat"] for one in panel["targets"]}
