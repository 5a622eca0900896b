"""
What is forecast of services, what was measured, and what came of past forecasts, as lines of text. Pure.

Shapes: `K` steps that are shown, `Q` quantiles.
"""

import math
from collections import defaultdict

import numpy as np

from tidecast_contract.features import FEATURES, FORECAST_FEATURES, Feature
from tidecast_contract.forecast import Forecast
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.outlets.gauges import families
from tidecast_operator.outlets.gauges.choosing import Choice, steps_of
from tidecast_operator.outlets.gauges.families import Family
from tidecast_operator.outlets.gauges.text import labelled, sample, written
from tidecast_operator.trust.skills import Skill, Skills

_MEASURED_STEPS = 5  # as old as the condition MetricsAvailable lets a measurement be


def forecasts(forecast: Forecast, choice: Choice, metrics: tuple[str, ...]) -> str:
    """The quantiles of the chosen services, metric by metric."""
    steps = steps_of(forecast)
    rows = [row for row, _ in choice.services]
    services = _labels(choice)
    suffixes = [
        f',quantile="{quantile:g}",offset_seconds="{step * forecast.step_seconds}"}} '
        for step in steps
        for quantile in forecast.quantiles
    ]
    parts = []
    for place, feature in _published(metrics):
        family = families.FORECASTS[feature.name]
        values = forecast.values[rows, place][:, [step - 1 for step in steps]].reshape(len(rows), len(suffixes))
        values = np.where(np.isfinite(values), values, np.nan)
        lines = [
            # float32 is known to six digits. What is not known is NaN, which does not equal itself.
            f"{family.name}{{{labels}{suffix}{value:.6g}"
            for labels, row in zip(services, values.tolist(), strict=True)
            for suffix, value in zip(suffixes, row, strict=True)
            if value == value  # noqa: PLR0124
        ]
        parts.append(written(family, lines))
    return "".join(parts)


def times(forecast: Forecast, expire_time: int) -> str:
    """From when the forecast is, until when it holds, and its step: true also when it has expired."""
    told = ((families.ISSUED, forecast.issued_time), (families.EXPIRE, expire_time))
    return "".join(
        written(family, sample(family, (), value)) for family, value in (*told, (families.STEP, forecast.step_seconds))
    )


def measured_until(window: Snapshot) -> int:
    """From when on the newest step is too old to be shown, unix seconds."""
    return window.end_time + _MEASURED_STEPS * window.step_seconds


def measured(window: Snapshot, choice: Choice, metrics: tuple[str, ...]) -> str:
    """The newest step of the chosen services, metric by metric; what was not measured in it is absent."""
    rows = {service: row for row, service in enumerate(window.services)}
    known = [
        (rows[service], labels)
        for (_, service), labels in zip(choice.services, _labels(choice), strict=True)
        if service in rows
    ]
    parts = []
    for place, feature in enumerate(FEATURES):
        if feature.forecast and feature.name not in metrics:
            continue
        family, newest = families.MEASURED[feature.name], window.values[-1, :, place].tolist()
        lines = [f"{family.name}{{{labels}}} {newest[row]:.6g}" for row, labels in known if math.isfinite(newest[row])]
        parts.append(written(family, lines))
    return "".join(parts)


def past(skills: Skills, forecast: Forecast, choice: Choice, metrics: tuple[str, ...]) -> str:
    """What came of past forecasts of the chosen services, at the same steps as far as they were compared."""
    lines: dict[Family, list[str]] = defaultdict(list)
    seconds = [step * forecast.step_seconds for step in steps_of(forecast)]
    for (_, service), labels in zip(choice.services, _labels(choice), strict=True):
        for _, feature in _published(metrics):
            found = (skills.of(service, feature, each) for each in seconds)
            # Two offsets may share the nearest that was compared, and no series may stand there twice.
            by_offset = {skill.offset_seconds: skill for skill in found if skill is not None}
            for skill in by_offset.values():
                end = f'{labels},metric="{feature.name}",offset_seconds="{skill.offset_seconds}"}}'
                for family, value in _figures(skill).items():
                    if value is not None and np.isfinite(value):
                        lines[family].append(f"{family.name}{{{end} {value:.6g}")
    return "".join(written(family, lines[family]) for family in families.FAMILIES if family in lines)


def _figures(skill: Skill) -> dict[Family, float | None]:
    return {
        families.SKILL: skill.skill,
        families.ERROR: skill.error,
        families.NAIVE_ERROR: skill.naive_error,
        families.BIAS: skill.bias,
        families.COVERAGE: skill.coverage,
        families.SAMPLES: skill.samples,
    }


def _published(metrics: tuple[str, ...]) -> list[tuple[int, Feature]]:
    return [(place, feature) for place, feature in enumerate(FORECAST_FEATURES) if feature.name in metrics]


def _labels(choice: Choice) -> list[str]:
    return [labelled(families.SERVICE, (one.namespace, one.kind, one.name)) for _, one in choice.services]
