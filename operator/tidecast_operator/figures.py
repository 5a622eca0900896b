"""
Numbers as people read them: three significant digits. Pure.
"""


def figure(value: float) -> str:
    """As in 1230, 412, 12.3, 1.8 and 0.083: never with a power of ten, which nobody reads at a glance."""
    rounded = three_digits(value)
    size = abs(rounded)
    if size >= 100:
        return f"{rounded:.0f}"
    text = f"{rounded:.1f}" if size >= 10 else f"{rounded:.2f}" if size >= 1 else f"{rounded:.12f}"
    return text.rstrip("0").rstrip(".")


def three_digits(value: float) -> float:
    """The number that is written."""
    return float(f"{value:.3g}")
