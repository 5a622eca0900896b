"""
Readings in the text format that Prometheus scrapes (version 0.0.4).
"""

import math

from tidecast_simulator.exporting.counting import Readings
from tidecast_simulator.exporting.emission import Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(readings: Readings) -> str:
    """One scrape: the first of each series' values, family by family; a series that is not reported is left out."""
    families: dict[str, list[str]] = {}
    for series, value in zip(readings.series, readings.values[:, 0].tolist(), strict=True):
        if math.isnan(value):
            continue
        family = series.family
        head = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        families.setdefault(family.name, head).append(f"{series.name}{label_text(series.labels)} {value_text(value)}")
    return "".join("\n".join(lines) + "\n" for lines in families.values())


def label_text(labels: Labels) -> str:
    """Labels in braces, escaped; empty when there are none."""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def value_text(value: float) -> str:
    """A number as short as it can be read back; whole numbers without a point."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
