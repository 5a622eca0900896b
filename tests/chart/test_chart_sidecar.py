import json
import re
from functools import cache

import helm_python
import pytest
import yaml

from chart.rendering import CHART, objects, refusal, texts

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())["predictor"]
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEXTS = ("other", "7Gi", "1.2", f"sha256:{'a' * 64}", "example.com/gpu")
# There is none to make, so it does not matter whether one should be.
WITHOUT_A_MEANING = {("serviceAccount", "create")}


def followed(schema):
    return SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def leaves(schema, path=()):
    """Every single value of a part of the schema, by its path."""
    schema = followed(schema)
    if "properties" in schema:
        for key, one in schema["properties"].items():
            yield from leaves(one, (*path, key))
    else:
        yield path, schema


def default(path):
    found = DEFAULTS
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def other(schema, value):
    """A value of that schema that is not the one given."""
    match schema.get("type"):
        case _ if "enum" in schema:
            return next(one for one in schema["enum"] if one != value)
        case "boolean":
            return not value
        case "integer":
            return (value or 1) + 1
        case "string":
            return next(one for one in TEXTS if one != value and re.search(schema.get("pattern", ""), one))
        case "array":
            item = followed(schema["items"])
            return [{"name": "other"}] if item.get("type") == "object" else [other(item, value and value[0])]
    return {"other": "7"}


SCHEMAS = {path: schema for path, schema in leaves(SCHEMA["properties"]["predictor"]) if path != ("mode",)}


@cache
def unchanged(mode):
    return texts({"predictor": {"mode": mode}})


@cache
def effect(mode, path):
    """What it does to give another value than the default: `nothing`, `something`, or why it is refused."""
    value = other(SCHEMAS[path], default(path))
    for key in reversed(path):
        value = {key: value}
    try:
        found = texts({"predictor": {"mode": mode} | value})
    except helm_python.HelmError as error:
        return str(error)
    return "nothing" if found == unchanged(mode) else "something"


@pytest.mark.parametrize("path", list(SCHEMAS), ids=".".join)
def test_a_value_counts_in_the_operators_pod_or_is_refused_by_name(path):
    here = effect("sidecar", path)

    if here == "nothing":
        assert effect("pod", path) == "nothing" or path in WITHOUT_A_MEANING
    elif here != "something":
        assert re.search(rf": predictor\.{path[0]}[.:]", here)
        assert "predictor.mode to pod" in here


def test_values_that_count_in_a_pod_are_looked_at():
    assert {path[0] for path in SCHEMAS if effect("pod", path) == "something"} == set(DEFAULTS) - {"mode"}


def test_all_that_would_be_ignored_is_told_at_once_with_where_it_belongs():
    message = refusal(
        {"predictor": {"mode": "sidecar", "nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}]}}
    )

    assert ": predictor.nodeSelector, predictor.tolerations: with predictor.mode sidecar" in message
    assert "see to operator.nodeSelector, operator.tolerations," in message


def test_what_both_are_given_alike_is_accepted():
    alike = {
        "nodeSelector": {"disk": "ssd"},
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
        "serviceAccount": {"create": False, "name": "platform"},
    }

    assert objects({"operator": alike, "predictor": {"mode": "sidecar", **alike}})


def test_values_that_are_taken_out_are_accepted():
    gone = {"nodeSelector": None, "strategy": None, "affinity": None}

    assert objects({"predictor": {"mode": "sidecar", **gone}})
