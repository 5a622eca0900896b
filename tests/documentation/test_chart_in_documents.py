import json
import re

import pytest
import yaml

from builders.documents import ROOT, documents, rows
from chart.rendering import CHART, container, objects
from documentation.shell_commands import OWN_CHART, helm_arguments, shell_commands, values_blocks, values_of

SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
SIZING = (ROOT / "docs" / "sizing.md").read_text()
PATH = re.compile(r"`([A-Za-z]+(?:\.[A-Za-z0-9]+)+)(?:[:=] ?[^`]*)?`")
FILES = {"crt", "key", "py", "yaml", "md", "json", "dev", "io"}
OF_A_FORECASTER = {"predictor.address"}  # a field that the notes after an install tell
OPERATOR, PREDICTOR = "tidecast-operator/operator", "tidecast-predictor/predictor"


def named():
    """Every value of the chart that a document names, as in `operator.replicas` or `operator.replicas: 1`."""
    for path in documents():
        for name in PATH.findall(path.read_text()):
            first, last = name.split(".")[0], name.split(".")[-1]
            if first in SCHEMA["properties"] and last not in FILES and name not in OF_A_FORECASTER:
                yield pytest.param(name, id=f"{path.name}-{name}")


def is_known(name):
    schema = SCHEMA
    for key in name.split("."):
        if "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
        if "properties" not in schema:
            return schema.get("additionalProperties") is not False  # as Kubernetes has it
        if key not in schema["properties"]:
            return False
        schema = schema["properties"][key]
    return True


def helm_commands():
    for path in documents():
        for words in shell_commands(path.read_text()):
            if words[0] == "helm":
                yield pytest.param(path, words, id=f"{path.name} {' '.join(words[1:4])}")


def blocks_of_values():
    for path in documents():
        for number, values in enumerate(values_blocks(path.read_text()), 1):
            yield pytest.param(values, id=f"{path.name}-{number}")


def test_documents_name_values():
    assert len(list(named())) > 60
    assert len(list(blocks_of_values())) >= 6
    assert len(list(helm_commands())) > 12


@pytest.mark.parametrize("name", list(named()))
def test_a_value_that_a_document_names_exists(name):
    assert is_known(name), f"{name} is not in values.schema.json"


@pytest.mark.parametrize("name", ["operator.replica", "predictor.gpu.enable", "forecaster.spec.prometheus.uri"])
def test_a_value_that_does_not_exist_is_noticed(name):
    assert not is_known(name)


@pytest.mark.parametrize("values", list(blocks_of_values()))
def test_values_in_a_document_are_accepted_by_the_chart(values):
    assert objects(values)


@pytest.mark.parametrize(("path", "words"), list(helm_commands()))
def test_a_command_of_helm_is_understood_and_the_chart_accepts_its_values(path, words):
    arguments = helm_arguments(words)

    if getattr(arguments, "chart", None) == OWN_CHART:
        assert objects(values_of(arguments, path.read_text()), release=arguments.name)
    if arguments.command != "repo" and getattr(arguments, "chart", OWN_CHART) == OWN_CHART:
        assert (arguments.name, arguments.namespace) == ("tidecast", "tidecast-system")


def test_a_release_is_installed_from_the_checkout_and_nowhere_else():
    charts = {
        arguments.chart
        for parameters in helm_commands()
        if hasattr(arguments := helm_arguments(parameters.values[1]), "chart") and arguments.name == "tidecast"
    }

    assert charts == {OWN_CHART}


def recommended():
    """The rows of the recommendation: what is requested, what is the limit, for both, and the size of the volume."""
    found = {cells[0].split(", ")[0]: cells[1:] for cells in rows(SIZING, columns=6)}
    assert set(found) == {"100", "1,000", "10,000"}
    return found


def resources(values):
    """The same as a row says it, of rendered containers."""
    found = objects(values)
    for name in (OPERATOR, PREDICTOR):
        for kind in ("requests", "limits"):
            of = container(found, name)["resources"][kind]
            yield f"{of['cpu']}, {of['memory']}"


@pytest.mark.parametrize(("services", "block"), [("10,000", 0), ("100", 1)])
def test_the_values_for_a_size_are_those_of_its_row(services, block):
    values = values_blocks(SIZING)[block]

    assert [*resources(values), values["predictor"]["persistence"]["size"]] == recommended()[services]


def test_the_defaults_are_those_of_the_row_that_says_so():
    size = DEFAULTS["predictor"]["persistence"]["size"]

    assert [*resources({}), size] == recommended()["1,000"]


def test_a_limit_is_above_what_was_measured_at_that_size():
    results = ROOT / "benchmarks" / "results"
    peak = json.loads((results / "cycle-10000.json").read_text())["peak_memory_mib"]
    trainings = json.loads((results / "training-at-size.json").read_text())["trainings"]
    training = max(one.get("peak_mebibytes", 0) for one in trainings)
    operator, predictor = (recommended()["10,000"][place].split(", ")[1] for place in (1, 3))

    assert all(f"{figure:,} MiB" in SIZING for figure in (*peak.values(), training))
    assert int(operator.removesuffix("Gi")) * 1024 > peak["operator"]
    assert int(predictor.removesuffix("Gi")) * 1024 > peak["predictor"] + training  # it serves meanwhile


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}

    assert pages == set(re.findall(r"\((?:\./)?([\w-]+\.md)(?:#[\w-]+)?\)", index))
