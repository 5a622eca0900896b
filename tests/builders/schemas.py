"""
The definitions of the resources, and what an object violates of them, as an API server would say it.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from builders.documents import ROOT

_TYPES: Mapping[str, type] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


@cache
def schemas() -> Mapping[str, Mapping[str, Any]]:
    """The schema of the spec of each kind."""
    definitions = [yaml.safe_load(path.read_text())["spec"] for path in (ROOT / "manifests" / "crds").glob("*.yaml")]
    return {
        one["names"]["kind"]: one["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for one in definitions
    }


def violations(value: Any, schema: Mapping[str, Any], path: str = "spec") -> Iterator[str]:
    """Where a value does not follow its schema; a field that the schema does not know is a violation too."""
    if not isinstance(value, _TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        yield f"{path}: {value!r} is no {schema['type']}"
    elif isinstance(value, dict):
        yield from _of_object(value, schema, path)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{path}: {len(value)} items"
        for one in value:
            yield from violations(one, schema["items"], f"{path}[]")
    elif isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{path}: {len(value)} characters"
        if value not in schema.get("enum", [value]) or not re.search(schema.get("pattern", ""), value):
            yield f"{path}: {value!r} is not allowed"
    elif not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{path}: {value} is out of bounds"


def _of_object(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{name}: is missing" for name in schema.get("required", ()) if name not in value)
    known, further = schema.get("properties", {}), schema.get("additionalProperties")
    for name, one in value.items():
        if name in known or further:
            yield from violations(one, known.get(name, further), f"{path}.{name}")
        else:
            yield f"{path}.{name}: is not known"
