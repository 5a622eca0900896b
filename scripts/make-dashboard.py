#!/usr/bin/env python3
"""
Writes charts/tidecast/files/monitoring/dashboard.json, for Grafana 10 and newer.

Rows and queries are in dashboard-rows.yaml beside this program, which adds what Grafana wants around them.
Usage: make-dashboard.py [--check]; with --check nothing is written, and a file that is not current is an error.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "scripts" / "dashboard-rows.yaml"
DASHBOARD = ROOT / "charts" / "tidecast" / "files" / "monitoring" / "dashboard.json"

WIDTH = 24
"""Columns of Grafana's grid."""

_SELECTORS = {
    "@operator": 'cluster=~"$cluster", job=~"$job"',
    "@services": 'cluster=~"$cluster", job=~"$job", namespace=~"$namespace"',
    "@service": 'cluster=~"$cluster", job=~"$job", namespace=~"$namespace", service="$service"',
    "@resource": 'cluster=~"$cluster", job=~"$job", namespace=~"$namespace", name="$resource"',
    "@predictor": 'cluster=~"$cluster", job=~"$predictor"',
}
"""Written in rows for the series that the variables select."""

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_CONDITIONS = {"1": ("True", "green"), "0": ("False", "red"), "-1": ("Unknown", "yellow")}
_STATES = {"1": ("yes", "blue"), "0": ("no", "transparent")}
_HEIGHTS = {"stat": 4}
_HEIGHT = 8


@dataclass(frozen=True, slots=True)
class Panel:
    """
    One panel, as a row has it.

    Attributes:
        title: Above it.
        width: In columns.
        unit: Of all its values, as Grafana names units.
        queries: By the name of the curve.
        type: As Grafana names types.
        description: For whoever asks.
        limits: Colours by the value from which on they hold; the first has none.
        states: Of which kind values are that stand for words: conditions, or training.
        stacked: Whether curves are added up.
        band: Whether curves are p10, p50 and p90 of what was measured.
    """

    title: str
    width: int
    unit: str
    queries: Mapping[str, str]
    type: str = "timeseries"
    description: str = ""
    limits: Mapping[str, float | None] = field(default_factory=dict)
    states: str = ""
    stacked: bool = False
    band: bool = False


def dashboard() -> dict[str, Any]:
    """The whole model, as Grafana imports it."""
    told = yaml.safe_load(ROWS.read_text())
    return {
        "title": "Tidecast",
        "uid": "tidecast",
        "description": "Forecasts along the service graph, how good they are, and what autoscalers are told.",
        "tags": ["tidecast", "autoscaling", "forecasting"],
        "schemaVersion": 38,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "templating": {"list": [_datasource(), *(_variable(**one) for one in told["variables"])]},
        "panels": list(_panels(told["rows"])),
    }


def written() -> str:
    """The file: a line for each panel and variable, so that a change shows as one."""
    model = dashboard()
    lists = {"templating": model["templating"]["list"], "panels": model["panels"]}
    lines = []
    for name, value in model.items():
        if name not in lists:
            lines.append(f"  {json.dumps(name)}: {json.dumps(value)}")
            continue
        items = ",\n".join(f"    {json.dumps(item, sort_keys=True)}" for item in lists[name])
        body = f"[\n{items}\n  ]"
        lines.append(f"  {json.dumps(name)}: " + (f'{{"list": {body}}}' if name == "templating" else body))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(*, name: str, query: str, label: str, is_all: bool = False) -> dict[str, Any]:
    found = f"label_values({_selected(query)})"
    variable: dict[str, Any] = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "definition": found,
        "query": {"query": found, "refId": name},
        "refresh": 2,
        "sort": 3 if name == "offset" else 1,
        "includeAll": is_all,
        "multi": is_all,
    }
    if is_all:
        variable |= {"allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return variable


def _panels(rows: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    number = top = 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row["title"],
            "collapsed": False,
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
            "panels": [],
        }
        top, left, height = top + 1, 0, 0
        for panel in (Panel(**told) for told in row["panels"]):
            number += 1
            tall = _HEIGHTS.get(panel.type, _HEIGHT)
            if left + panel.width > WIDTH:
                top, left, height = top + height, 0, 0
            place = {"h": tall, "w": panel.width, "x": left, "y": top}
            yield {"id": number, "gridPos": place, **_model(panel)}
            left, height = left + panel.width, max(height, tall)
        top += height


def _model(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "color": {"mode": "palette-classic"}, "custom": {}}
    if panel.type == "stat":
        defaults |= {"color": {"mode": "thresholds"}, "thresholds": _thresholds(panel.limits)}
    if panel.type == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "spanNulls": False}
    if panel.stacked:
        defaults["custom"] |= {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 40}
    if panel.states:
        defaults["mappings"] = [_mapping(_CONDITIONS if panel.states == "conditions" else _STATES)]
    model: dict[str, Any] = {
        "title": panel.title,
        "type": panel.type,
        "datasource": _SOURCE,
        "targets": [_target(place, panel.type, *query) for place, query in enumerate(panel.queries.items())],
        "fieldConfig": {"defaults": defaults, "overrides": _band() if panel.band else []},
        "options": _options(panel.type),
    }
    if panel.type == "table":
        model["transformations"] = [{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}]
    return model | ({"description": panel.description} if panel.description else {})


def _selected(query: str) -> str:
    for word, selector in _SELECTORS.items():
        query = re.sub(rf"{word}\b", selector, query)
    return " ".join(query.split())


def _target(place: int, type: str, legend: str, query: str) -> dict[str, Any]:  # noqa: A002
    expr = _selected(query)
    target: dict[str, Any] = {
        "refId": chr(ord("A") + place),
        "expr": expr,
        "legendFormat": legend,
        "datasource": _SOURCE,
    }
    if type in ("stat", "bargauge", "table"):
        target |= {"instant": True, "range": False}
    return target | ({"format": "table"} if type == "table" else {})


def _options(type: str) -> dict[str, Any]:  # noqa: A002
    last = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if type == "stat":
        return last | {"colorMode": "value", "graphMode": "none", "textMode": "auto"}
    if type == "bargauge":
        return last | {"orientation": "horizontal", "displayMode": "basic"}
    if type == "state-timeline":
        return {"showValue": "never", "mergeValues": True, "legend": {"displayMode": "list", "placement": "bottom"}}
    if type == "table":
        return {"showHeader": True}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _thresholds(limits: Mapping[str, float | None]) -> dict[str, Any]:
    """Colours by the value from which on they hold; the first has none."""
    steps = [{"color": colour, "value": value} for colour, value in (limits or {"text": None}).items()]
    return {"mode": "absolute", "steps": steps}


def _mapping(states: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "type": "value",
        "options": {
            value: {"text": text, "color": colour, "index": place}
            for place, (value, (text, colour)) in enumerate(states.items())
        },
    }


def _band() -> list[dict[str, Any]]:
    """The area from p10 to p90 is filled, the median dashed, and what was measured stands out."""
    looks: dict[str, list[tuple[str, Any]]] = {
        "p90": [("custom.fillBelowTo", "p10"), ("custom.fillOpacity", 15), ("custom.lineWidth", 0)],
        "p10": [("custom.fillOpacity", 0), ("custom.lineWidth", 0)],
        "p50": [("custom.fillOpacity", 0), ("custom.lineStyle", {"fill": "dash", "dash": [6, 4]})],
        "measured": [("custom.fillOpacity", 0), ("custom.lineWidth", 2)],
    }
    colours = {"p90": "light-blue", "p10": "light-blue", "p50": "blue", "measured": "orange"}
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [
                {"id": "color", "value": {"mode": "fixed", "fixedColor": colours[name]}},
                *({"id": key, "value": value} for key, value in properties),
            ],
        }
        for name, properties in looks.items()
    ]


def main(arguments: list[str]) -> int:
    """Writes the file, or says whether it is current."""
    text = written()
    if "--check" not in arguments:
        DASHBOARD.write_text(text)
        return 0
    if DASHBOARD.read_text() == text:
        return 0
    sys.stderr.write(f"{DASHBOARD.relative_to(ROOT)} is not current; run scripts/make-dashboard.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
