"""
Numbers as people read them, in tables and pictures.
"""

import math

from tidecast_predictor.evaluation.ranking import Spread

NONE = "–"
_ENDLESS = 1e7  # so many digits are no longer read
_SMALL = 0.1


def spread(found: Spread, *, percent: bool = False, brackets: bool = True) -> str:
    """A number with the range of its seeds, unless that is nothing."""
    if not math.isfinite(found.median):
        return NONE
    text = number(found.median, percent=percent)
    low, high = number(found.low, percent=percent), number(found.high, percent=percent)
    return text if low == high or not brackets else f"{text} ({low} to {high})"


def number(value: float, *, percent: bool) -> str:
    """With as many digits as a reader can use."""
    value, unit = (100 * value, " %") if percent else (value, "")
    size = abs(value)
    if size >= _ENDLESS:
        return f"{value:.1e}{unit}"
    if percent:
        return f"{value:.1f}{unit}"
    if size >= 1000:
        return f"{value:,.0f}"
    if 0 < size < _SMALL:
        return f"{value:.3g}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}"
