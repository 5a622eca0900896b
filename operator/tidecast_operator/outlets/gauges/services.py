"""
What is forecast of services, and what came of past forecasts, as lines of text. Pure.

Shapes: `K` steps that are shown, `Q` quantiles.
"""

from collections import defaultdict

import numpy as np

from tidecast_contract.features import FORECAST_FEATURES, Feature
from tidecast_contract.forecast import Forecast
from tidecast_operator.outlets.gauges import families
from tidecast_operator.outlets.gauges.choosing import Choice, steps_of
from tidecast_operator.outlets.gauges.families import Family
from tidecast_operator.outlets.gauges.text import labelled, sample, written
from tidecast_operator.trust.skills import Skill, Skills


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
    """From when the forecast is, and until when it holds: true also when it has expired."""
    return written(families.ISSUED, sample(families.ISSUED, (), forecast.issued_time)) + written(
        families.EXPIRE, sample(families.EXPIRE, (), expire_time)
    )


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
