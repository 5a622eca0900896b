"""
Prometheus' text format, as far as gauges need it.
"""

import math
from collections.abc import Iterable

from tidecast_operator.outlets.gauges.families import Family

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def labelled(names: Iterable[str], values: Iterable[str]) -> str:
    """Labels with their values escaped, without the braces."""
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True))


def sample(family: Family, values: Iterable[str], value: float) -> list[str]:
    """One line in full precision, for the values of the labels; none where *value* is not known."""
    if not math.isfinite(value):
        return []
    labels, figure = labelled(family.labels, values), repr(float(value)).removesuffix(".0")
    return [f"{family.name}{{{labels}}} {figure}" if labels else f"{family.name} {figure}"]


def written(family: Family, lines: Iterable[str]) -> str:
    """The family with its lines; nothing without any, since a name alone says nothing."""
    body = "\n".join(lines)
    return f"# HELP {family.name} {family.help}\n# TYPE {family.name} gauge\n{body}\n" if body else ""
