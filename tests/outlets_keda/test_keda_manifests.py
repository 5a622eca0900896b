"""
The examples for KEDA in manifests and on its page, held against what the outlet understands.
"""

import re

import pytest
import yaml

from builders.documents import ROOT, blocks, rows
from builders.hints import entry
from builders.keda import asking, metrics_request, noticeboard, serving, soon
from tidecast_operator.outlets.gauges import families
from tidecast_operator.outlets.keda import trigger
from tidecast_operator.outlets.keda.trigger import Metric
from tidecast_operator.scaling import Mode

PAGE = (ROOT / "docs" / "scaling-keda.md").read_text()
EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("scaledobject-*.yaml"))
KINDS = {"ScaledObject", "TriggerAuthentication"}
SPEC = {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "fallback", "triggers"}
KEYS = {
    "external": {"scalerAddress", trigger.FORECAST, trigger.METRIC},
    "prometheus": {"serverAddress", "query", "threshold", "ignoreNullValues"},
    "cpu": {"value"},
}
"""What KEDA, or Tidecast, knows of the metadata of each type of trigger, as far as the examples go."""


def bodies(text):
    return [body for body in yaml.safe_load_all(text) if body["kind"] in KINDS]


ON_PAGE = [body for block in blocks(PAGE, "yaml") for body in bodies(block)]
SCALED = [body for body in ON_PAGE if body["kind"] == "ScaledObject"]
SCALED += [body for path in EXAMPLES for body in bodies(path.read_text())]


def triggers(kind):
    return [one["metadata"] for body in SCALED for one in body["spec"]["triggers"] if one["type"] == kind]


def test_the_page_shows_the_examples_as_they_are():
    shown = [body for body in ON_PAGE if body["kind"] == "ScaledObject"]

    assert len(EXAMPLES) == 2
    assert [body for path in EXAMPLES for body in bodies(path.read_text())] == shown


@pytest.mark.parametrize("body", SCALED, ids=lambda body: body["spec"]["triggers"][0]["type"])
def test_an_example_has_only_what_keda_knows(body):
    assert body["apiVersion"] == "keda.sh/v1alpha1"
    assert set(body["spec"]) == SPEC
    for one in body["spec"]["triggers"]:
        assert set(one["metadata"]) == KEYS[one["type"]]
        assert all(isinstance(value, str) for value in one["metadata"].values())


@pytest.mark.parametrize("body", SCALED, ids=lambda body: body["spec"]["triggers"][0]["type"])
def test_an_example_falls_back_to_its_minimum_which_is_not_zero(body):
    spec = body["spec"]

    assert spec["fallback"]["replicas"] == spec["minReplicaCount"] > 0


@pytest.mark.parametrize("body", SCALED, ids=lambda body: body["spec"]["triggers"][0]["type"])
def test_an_example_keeps_a_trigger_that_needs_no_forecast(body):
    assert "cpu" in {one["type"] for one in body["spec"]["triggers"]}


async def test_the_trigger_of_the_examples_is_answered():
    async with serving(noticeboard(entry())) as server, asking(server) as keda:
        for metadata in triggers("external"):
            answer = await soon(keda.GetMetrics(metrics_request(**metadata)))
            assert [value.metricValueFloat for value in answer.metricValues] == [750]


def test_the_query_of_the_examples_is_for_a_gauge_and_its_labels_and_takes_no_null_for_zero():
    for metadata in triggers("prometheus"):
        name, labels = re.fullmatch(r"max\((\w+)\{(.*)\}\)", metadata["query"]).groups()
        asked = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert name == families.LOAD.name
        assert set(asked) <= set(families.LOAD.labels)
        assert asked["mode"] == Mode.ACTIVE
        assert metadata["ignoreNullValues"] == "false"


def test_the_threshold_of_the_example_is_what_the_example_of_a_forecast_says():
    forecast = yaml.safe_load((ROOT / "manifests" / "examples" / "serviceperformanceforecast.yaml").read_text())

    assert {one["threshold"] for one in triggers("prometheus")} == {forecast["spec"]["scaling"]["perReplica"]}


def test_the_page_has_all_keys_with_their_defaults():
    told = {cells[0]: cells for cells in rows(PAGE, columns=3) if cells[0] in (trigger.FORECAST, trigger.METRIC)}
    default = trigger.parse("shop", "checkout", {})

    assert set(told) == {trigger.FORECAST, trigger.METRIC}
    assert (default.forecast, told["metric"][1]) == ("checkout", default.metric)
    assert re.findall(r"(\w+)`: ", told["metric"][2]) == list(Metric)


def test_what_keda_is_to_show_is_what_it_knows():
    (authentication,) = [body for body in ON_PAGE if body["kind"] == "TriggerAuthentication"]

    assert [one["parameter"] for one in authentication["spec"]["secretTargetRef"]] == [
        "caCert",
        "tlsClientCert",
        "tlsClientKey",
    ]
