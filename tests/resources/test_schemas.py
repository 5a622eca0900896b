from pathlib import Path

import pytest
import yaml

from builders.operating import forecaster_spec
from tidecast_operator.errors import Misconfigured
from tidecast_operator.publishing.forecast_conditions import FORECAST_CONDITIONS
from tidecast_operator.settings import METRICS, SOURCES, parse

CRDS = Path(__file__).parents[2] / "manifests" / "crds"


def schema(plural):
    (version,) = yaml.safe_load((CRDS / f"tidecast.dev_{plural}.yaml").read_text())["spec"]["versions"]
    return version, version["schema"]["openAPIV3Schema"]


def fields(node, path=""):
    """Every field below a schema with its path."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    if "items" in node:
        yield from fields(node["items"], f"{path}[]")


SPEC = dict(fields(schema("forecasters")[1]["properties"]["spec"]))


@pytest.mark.parametrize("plural", ["forecasters", "serviceperformanceforecasts"])
def test_every_field_is_documented(plural):
    undocumented = [path for path, child in fields(schema(plural)[1]) if "description" not in child]

    assert undocumented == [".metadata"]


@pytest.mark.parametrize("plural", ["forecasters", "serviceperformanceforecasts"])
def test_every_text_and_list_is_bounded(plural):
    status_and_spec = [(path, child) for path, child in fields(schema(plural)[1]) if path.count(".") > 1]
    unbounded = [
        path
        for path, child in status_and_spec
        if (child["type"] == "string" and not {"maxLength", "enum", "format"} & child.keys())
        or (child["type"] == "array" and "maxItems" not in child)
        or child["type"] == "number"
    ]

    assert unbounded == []


@pytest.mark.parametrize("plural", ["forecasters", "serviceperformanceforecasts"])
def test_columns_and_selectable_fields_are_fields(plural):
    version, root = schema(plural)
    known = {path for path, _ in fields(root)}
    columns = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    selectable = [field["jsonPath"] for field in version.get("selectableFields", [])]

    read = [path for path in columns + selectable if "[?" not in path and not path.startswith(".metadata.")]

    assert set(read) <= known
    assert len(selectable) <= 8


def test_the_schema_and_the_operator_know_the_same_names():
    assert tuple(SPEC[".telemetry.sources"]["items"]["enum"]) == SOURCES
    assert tuple(SPEC[".metrics"]["items"]["enum"]) == METRICS


def test_the_schemas_defaults_are_those_of_the_operator():
    required = {"prometheus": {"url": "http://p:9090"}, "predictor": {"address": "p:8500"}}
    top = {name: SPEC[f".{name}"]["default"] for name in ("stepSeconds", "windowSteps", "horizonSteps", "metrics")}
    training = {
        name: SPEC[f".training.{name}"]["default"] for name in ("historySeconds", "minimumHistorySeconds", "schedule")
    }

    assert parse(required | top | {"training": training}) == parse(required)


@pytest.mark.parametrize("name", ["stepSeconds", "windowSteps", "horizonSteps"])
def test_the_schema_and_the_operator_draw_the_same_bounds(name):
    low, high = SPEC[f".{name}"]["minimum"], SPEC[f".{name}"]["maximum"]
    others = {"horizonSteps": 1} if name != "horizonSteps" else {}

    parse(forecaster_spec(**others | {name: low}))
    parse(forecaster_spec(**others | {name: high}))
    for value in (low - 1, high + 1):
        with pytest.raises(Misconfigured, match=name):
            parse(forecaster_spec(**others | {name: value}))


def test_the_schema_names_the_conditions():
    text = schema("serviceperformanceforecasts")[1]["properties"]["status"]["properties"]["conditions"]["description"]

    assert all(kind in text for kind in FORECAST_CONDITIONS)
