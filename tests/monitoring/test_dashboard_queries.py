"""
Every query of the dashboard finds something in a real Prometheus that has the series of the project's own code.
"""

import json
import re

import pytest

from builders.documents import ROOT
from builders.hints import NOW
from builders.monitored import SAID, recorded
from tidecast_simulator.testbed.prometheus import PrometheusServer

pytestmark = pytest.mark.real("prometheus", "promtool")
MODEL = json.loads((ROOT / "charts" / "tidecast" / "files" / "monitoring" / "dashboard.json").read_text())
CHOSEN = {
    "cluster": ".*",
    "job": ".*",
    "predictor": ".*",
    "namespace": "shop",
    "service": "checkout",
    "resource": "checkout",
    "offset": "300",
    "__rate_interval": "5m",
}


def targets():
    for panel in MODEL["panels"]:
        for target in panel.get("targets", ()):
            yield pytest.param(target["expr"], id=f"{panel['title']}: {target['legendFormat']}")


def filled(query):
    """As Grafana sends it."""
    for name, value in CHOSEN.items():
        query = re.sub(rf"\$({name}\b|\{{{name}\}})", value, query)
    return query


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("monitored")
    storage = recorded(folder, NOW)
    with PrometheusServer.start(folder / "prometheus", storage=storage, retention="100y") as server:
        yield server


@pytest.mark.parametrize("query", list(targets()))
def test_a_query_finds_something(query, prometheus):
    found = prometheus.query(filled(query), time=NOW + 1)

    assert found
    assert not [one for one in found if one["value"][1] in ("NaN", "+Inf", "-Inf")]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cluster", set()),
        ("job", {"tidecast-operator"}),
        ("predictor", {"tidecast-predictor"}),
        ("namespace", {"shop"}),
        ("service", {"checkout", "service-0", "service-1"}),
        ("offset", {"300", "1800"}),
        ("resource", {"checkout", "service-0", "service-1"}),
    ],
)
def test_a_variable_finds_what_there_is_to_choose(name, values, prometheus):
    (variable,) = [one for one in MODEL["templating"]["list"] if one["name"] == name]
    series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
    found = prometheus.query(f"group by ({label}) ({filled(series)})", time=NOW + 1)

    assert {one["metric"][label] for one in found if label in one["metric"]} == values


def value(prometheus, title, legend):
    (panel,) = [one for one in MODEL["panels"] if one["title"] == title]
    (target,) = [one for one in panel["targets"] if one["legendFormat"] == legend]
    (found,) = prometheus.query(filled(target["expr"]), time=NOW + 1)
    return float(found["value"][1])


def test_a_band_is_that_of_the_forecast_made_so_long_before(prometheus):
    # Of the first service the builder forecasts the number of the step and 0.1, 0.5 or 0.9, and five minutes are five steps.
    for legend, expected in (("p10", 5.1), ("p50", 5.5), ("p90", 5.9), ("measured", 0)):
        assert value(prometheus, "Requests", legend) == pytest.approx(expected)


def test_what_only_the_leader_knows_is_not_that_of_a_replica_that_stands_by(prometheus):
    assert value(prometheus, "Services and calls", "services") == 3
    assert value(prometheus, "Replicas that lead", "leading") == 1


def test_hints_are_counted_by_what_becomes_of_them(prometheus):
    counted = [
        value(prometheus, "Hints by what becomes of them", of)
        for of in ("Active, offered", "Active, not offered", "Preview")
    ]

    assert counted == [1, 1, 1]


def test_a_condition_is_drawn_as_the_word_that_it_stands_for(prometheus):
    (panel,) = [one for one in MODEL["panels"] if one["title"] == "Conditions of the Forecaster"]
    found = prometheus.query(filled(panel["targets"][0]["expr"]), time=NOW + 1)

    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    drawn = {one["metric"]["type"]: words[one["value"][1]]["text"] for one in found}
    assert drawn == {name: status for name, status, _ in SAID}
