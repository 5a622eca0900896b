#!/usr/bin/env python3
"""
Brings the chart in step with what it repeats: the definitions, the schema of a Forecaster, and the list of its values.

The definitions in manifests/crds and the comments in values.yaml are the one source. The chart holds the definitions word
for word, in files that Helm does not take for templates, so nothing in them has to be escaped.
Usage: sync-chart.py [--check]; with --check nothing is written, and a file that is not in step is an error.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
DEFINITIONS = ROOT / "manifests" / "crds"
CHART = ROOT / "charts" / "tidecast"

_KEPT = (
    "type",
    "description",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)
_LONGEST = 60  # characters of a default that a row shows
_FILLED_IN = {("predictor", "address"), ("authSecretRef", "namespace")}
_KEY = re.compile(r"^( *)([A-Za-z]+):(?: (.*))?$")
_BEGIN, _END = "<!-- values: written by scripts/sync-chart.py from values.yaml -->", "<!-- end of values -->"


def main() -> str | int:
    """Writes the files, or checks them; returns 0, or what is wrong."""
    stale = [path for path, text in _files() if not path.exists() or path.read_text() != text]
    if sys.argv[1:] == ["--check"]:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        return f"not in step: {names}; run scripts/sync-chart.py" if stale else 0
    for path, text in _files():
        path.write_text(text)
    return 0


def _files() -> Iterator[tuple[Path, str]]:
    for path in sorted(DEFINITIONS.glob("*.yaml")):
        yield CHART / "files" / "crds" / path.name, path.read_text()
    yield CHART / "values.schema.json", _schema()
    yield CHART / "README.md", _readme()


def _schema() -> str:
    definition = yaml.safe_load((DEFINITIONS / "tidecast.dev_forecasters.yaml").read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["definitions"]["forecasterSpec"] = _as_json_schema(spec, "spec")
    return json.dumps(schema, indent=2) + "\n"


def _as_json_schema(field: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The part of a definition's schema that a validator of values understands; what it does not know is refused."""
    schema = {key: field[key] for key in _KEPT if key in field}
    if "items" in field:
        schema["items"] = _as_json_schema(field["items"], name)
    if field["type"] == "object":
        further = field.get("additionalProperties")
        schema["additionalProperties"] = _as_json_schema(further, name) if further else False
        if "properties" in field:
            schema["properties"] = {key: _as_json_schema(one, key) for key, one in field["properties"].items()}
        required = [key for key in field.get("required", ()) if key != "predictor" and (name, key) not in _FILLED_IN]
        if required:
            schema["required"] = required
    return schema


def _readme() -> str:
    text = (CHART / "README.md").read_text()
    begin, end = text.index(_BEGIN) + len(_BEGIN), text.index(_END)
    return f"{text[:begin]}\n{_table()}\n{text[end:]}"


def _table() -> str:
    values, comments = yaml.safe_load((CHART / "values.yaml").read_text()), dict(_lines())
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    for path, value in _told(values, comments):
        written = json.dumps(value, ensure_ascii=False)
        default = f"`{written}`" if len(written) <= _LONGEST else "see values.yaml"
        rows.append(f"| `{'.'.join(path)}` | {_cell(default)} | {_cell(comments[path])} |")
    return "\n".join(rows)


def _told(values: Mapping[str, Any], comments: Mapping[tuple[str, ...], str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What has a row: every key with a comment or without parts; a security context counts as one thing."""
    whole: tuple[str, ...] = ("nothing",)
    for path, comment in comments.items():
        value: Any = values
        for key in path:
            value = value[key] if isinstance(value, dict) else None
        if value is None and comment == "":
            continue  # within a list
        has_parts = any(len(other) > len(path) and other[: len(path)] == path for other in comments)
        is_part = path[: len(whole)] == whole
        if not is_part and (comment or not has_parts or path[-1].endswith("SecurityContext")):
            yield path, value
        if path[-1].endswith("SecurityContext"):
            whole = path


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _lines() -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key of values.yaml that has a line of its own, with the comment above it."""
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            above = [stripped.removeprefix("# -- ")]
        elif stripped.startswith("# ") and above:
            above.append(stripped.removeprefix("# "))
        elif found := _KEY.match(line):
            depth = len(found[1])
            path = [*((level, key) for level, key in path if level < depth), (depth, found[2])]
            yield tuple(key for _, key in path), " ".join(above)
            above = []
        else:
            above = []


if __name__ == "__main__":
    sys.exit(main())
