#!/usr/bin/env python3
"""
Writes docs/custom-resources.md from the definitions in manifests/crds.

The definitions are the one source: whoever changes a field changes its description there and runs this again.
Usage: document-resources.py [--check]; with --check nothing is written, and a page that is not current is an error.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
DEFINITIONS = ROOT / "manifests" / "crds"
PAGE = ROOT / "docs" / "custom-resources.md"

_HEAD = """\
<!-- Written by scripts/document-resources.py from manifests/crds; edit the definitions instead. -->
# Custom resources

Group `tidecast.dev`, version `v1alpha1`. The same texts are shown by `kubectl explain`, as in
`kubectl explain spf.status.peak`.

Measured and forecast numbers are Kubernetes quantities in strings (`83m` is 0.083), rounded to three significant
digits. Times are in UTC. **What is not known is absent, never 0.** Names end in `Seconds` where a number counts seconds.

[Examples](../manifests/examples) of both kinds can be applied as they are. The words in conditions are explained in
[troubleshooting](troubleshooting.md).

An API server older than 1.25 does not check the rules that span several fields. The operator checks those of a
Forecaster again, and names what is wrong in its `Ready` condition.
"""
_TABLE = ("| Field | Type | Default and bounds | Meaning |", "|---|---|---|---|")


def main() -> str | int:
    """Writes the page, or checks it; returns 0, or what is wrong."""
    page = "\n".join((_HEAD, *(line for path in sorted(DEFINITIONS.glob("*.yaml")) for line in _kind(path))))
    if sys.argv[1:] == ["--check"]:
        if PAGE.exists() and PAGE.read_text() == page:
            return 0
        return f"{PAGE.relative_to(ROOT)} is not current; run scripts/document-resources.py"
    PAGE.write_text(page)
    return 0


def _kind(path: Path) -> Iterator[str]:
    definition = yaml.safe_load(path.read_text())["spec"]
    names, version = definition["names"], definition["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    short = ", ".join(f"`{name}`" for name in names["shortNames"])
    yield f"## {names['kind']}\n"
    yield f"{schema['description']}\n"
    scope = "Belongs to no namespace" if definition["scope"] == "Cluster" else "Lives in a namespace"
    yield f"{scope}. Short name: {short}. Category: `{', '.join(names['categories'])}`.\n"
    for part in ("spec", "status"):
        section = schema["properties"][part]
        yield f"### {names['kind']}: {part}\n"
        yield f"{section['description']}\n"
        yield from (f"- {rule['message']}" for rule in section.get("x-kubernetes-validations", ()))
        yield from (("", *_TABLE) if "x-kubernetes-validations" in section else _TABLE)
        yield from _fields(section, part)
        yield ""
    yield f"### {names['kind']}: columns of kubectl get\n"
    yield from ("| Column | Shows | Meaning |", "|---|---|---|")
    yield from (_column(column) for column in version["additionalPrinterColumns"])
    yield ""


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        place = f"{path}.{name}"
        is_required = name in schema.get("required", ())
        yield _row(f"`{place}`", _type(field), "; ".join(_bounds(field, is_required=is_required)), _meaning(field))
        if field["type"] == "array":
            yield from _fields(field["items"], f"{place}[]")
        else:
            yield from _fields(field, place)


def _type(field: Mapping[str, Any]) -> str:
    if field["type"] == "array":
        return f"list of {_type(field['items'])}s"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}s"
    return {"date-time": "time", "byte": "base64"}.get(field.get("format", ""), field["type"])


def _bounds(field: Mapping[str, Any], *, is_required: bool) -> Iterator[str]:
    if is_required:
        yield "required"
    if field.get("default") not in (None, {}):
        yield f"default `{_written(field['default'])}`"
    choices = field.get("enum") or field.get("items", {}).get("enum")
    if choices:
        yield f"{'of' if 'items' in field else 'one of'} {', '.join(f'`{_written(choice)}`' for choice in choices)}"
    for lowest, highest, what in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " entries"),
    ):
        yield from _span(field.get(lowest), field.get(highest), what)
    if "pattern" in field:
        yield f"matches `{field['pattern']}`"


def _span(lowest: int | None, highest: int | None, what: str) -> Iterator[str]:
    if lowest is not None and highest is not None:
        yield f"{lowest} to {highest}{what}"
    elif highest is not None:
        yield f"at most {highest}{what}"
    elif lowest is not None:
        yield f"at least {lowest}{what}"


def _meaning(field: Mapping[str, Any]) -> str:
    rules = field.get("x-kubernetes-validations", ()) or field.get("items", {}).get("x-kubernetes-validations", ())
    return " ".join((field.get("description", ""), *(f"Rule: {rule['message']}." for rule in rules))).strip()


def _column(column: Mapping[str, Any]) -> str:
    meaning = column.get("description", "Time since it was created.")
    wide = " Shown with `-o wide`." if column.get("priority") else ""
    return _row(column["name"].upper(), f"`{column['jsonPath']}`", f"{meaning}{wide}".strip())


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.exit(main())
