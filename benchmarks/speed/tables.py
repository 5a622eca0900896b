"""
The results as Markdown.
"""

from typing import Any

_TITLES = {
    "forward": "Forward, ms: median (lower to upper quartile), peak memory in MiB",
    "step": "A streaming step, ms: median (lower to upper quartile), peak memory in MiB",
    "epoch": "An epoch over 7 days of minutes, s: extrapolated from measured optimiser steps, peak memory in MiB",
}


def table(done: dict[str, Any]) -> str:
    """One table for each thing measured and each window."""
    machine = done["machine"]
    gpu = f"{machine['gpu']}; " if "gpu" in machine else ""
    lines = [
        (
            f"{gpu}{machine['processor']}, {machine['cores']} cores, {machine['instructions']}; {done['threads']} threads; "
            f"torch {machine['torch']}. Written by `benchmarks/speed/run.py`."
        ),
        "",
    ]
    for what, title in _TITLES.items():
        for steps in sorted({row["steps"] for row in done["rows"] if row["what"] == what}):
            rows = [row for row in done["rows"] if row["what"] == what and row["steps"] == steps]
            sizes = sorted({row["services"] for row in rows})
            lines += [f"## {title}" + (f", T = {steps}" if what == "forward" else ""), ""]
            lines += [
                "| method | " + " | ".join(f"N = {size:,}" for size in sizes) + " |",
                "|---" * (len(sizes) + 1) + "|",
            ]
            for method in dict.fromkeys(row["method"] for row in rows):
                of = {row["services"]: row for row in rows if row["method"] == method}
                if all("missing" in row for row in of.values()):
                    continue
                cells = [_cell(of.get(size), 1e-3 if what == "epoch" else 1.0) for size in sizes]
                lines.append(f"| {method} | " + " | ".join(cells) + " |")
            lines.append("")
    return "\n".join(lines)


def _cell(row: dict[str, Any] | None, unit: float) -> str:
    if row is None:
        return ""
    if "median" not in row:
        return str(row.get("failed") or row.get("missing"))
    median, lower, upper = (_number(row[key] * unit) for key in ("median", "lower", "upper"))
    return f"{median} ({lower} to {upper}), {row['peak_mib']:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
