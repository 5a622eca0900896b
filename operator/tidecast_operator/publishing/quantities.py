"""
Numbers as Kubernetes quantities, rounded to three significant digits. Pure.
"""

import math

from tidecast_operator.figures import figure, three_digits

_SMALL = ((1e-3, "m"), (1e-6, "u"))
_MEBI = 1024**2


def quantity(value: float) -> str | None:
    """
    As people write rates and seconds: 412, 12.3, 1.8, 83m; None for what is not known, 0 for less than a millionth.
    """
    # These two are almost all there are, and a cycle may write two million.
    if 1 <= value < 999.5:
        return f"{value:.3g}"
    if 0.001 <= value < 0.9995:
        return f"{value * 1000:.3g}m"
    if not math.isfinite(value):
        return None
    rounded = three_digits(value)
    if abs(rounded) < 1e-6:
        return "0"
    if abs(rounded) >= 1:
        return figure(rounded)
    scale, suffix = next(pair for pair in _SMALL if abs(rounded) >= pair[0])
    return figure(rounded / scale) + suffix


def milli(value: float) -> str | None:
    """
    As Kubernetes writes cores: 1340m, 12; None for what is not known.
    """
    if not math.isfinite(value):
        return None
    thousandths = round(three_digits(value * 1000))
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def binary(value: float) -> str | None:
    """
    As Kubernetes writes bytes: 1230Mi, 12.3Mi, 512Ki; None for what is not known.
    """
    if not math.isfinite(value):
        return None
    if value < 1024:
        return str(round(value))
    unit, suffix = (_MEBI, "Mi") if value >= _MEBI else (1024, "Ki")
    return figure(value / unit) + suffix
