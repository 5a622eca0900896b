"""
Numbers as Kubernetes quantities in canonical form, rounded up to thousandths. Pure.

Those of `publishing` keep three significant digits, which is for people: an autoscaler that divides has to be told exactly.
"""

import math
from decimal import ROUND_CEILING, Context, Decimal

HIGHEST = 2.0**63 / 1000
"""An autoscaler counts in thousandths, in 64 bits."""

_DIGITS = Context(prec=12)
"""What a float says beyond that is the noise of its arithmetic: 3 times 0.1 is 300m, not 301m."""

_THOUSANDTH = Decimal("0.001")
_SUFFIXES = ("", "k", "M", "G", "T", "P", "E")


def canonical(value: float) -> str:
    """
    The smallest quantity of whole thousandths that is no less than *value*, as in 12500m, 412 or 3k.

    Raises:
        ValueError: If it is negative, no finite number, or more than an autoscaler can count.
    """
    if not math.isfinite(value) or value < 0 or value >= HIGHEST:
        raise ValueError(f"{value} is not a number from 0 to {HIGHEST:.3g}")
    exact = _DIGITS.create_decimal(repr(float(value)))
    thousandths = int(exact.quantize(_THOUSANDTH, rounding=ROUND_CEILING).scaleb(3))
    if thousandths % 1000:
        return f"{thousandths}m"
    whole, suffix = thousandths // 1000, 0
    # Canonical means the largest unit that needs no fraction.
    while whole and whole % 1000 == 0 and suffix < len(_SUFFIXES) - 1:
        whole, suffix = whole // 1000, suffix + 1
    return f"{whole}{_SUFFIXES[suffix]}"
