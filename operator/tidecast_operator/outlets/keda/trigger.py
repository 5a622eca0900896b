"""
What the trigger of a ScaledObject asks for, read from what KEDA passes on of it. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from tidecast_operator.errors import Misconfigured

FORECAST, METRIC = "forecast", "metric"
_KEYS = (FORECAST, METRIC)
_ALIKE = 0.85  # metrics and forcast are meant, metricType is another key
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class Metric(StrEnum):
    """In which terms the autoscaler is told."""

    LOAD = "load"
    """The forecast load, with what one replica carries as its target."""
    REPLICAS = "replicas"
    """How many replicas, with a target of 1."""

    @property
    def name_told(self) -> str:
        """What the metric is called in the HorizontalPodAutoscaler, behind the trigger's number."""
        return f"tidecast-{self.value}"


@dataclass(frozen=True, slots=True)
class Trigger:
    """
    Whose hint is asked for, and in which terms.

    Attributes:
        namespace: Of the ScaledObject, and so of the ServicePerformanceForecast.
        forecast: The name of the ServicePerformanceForecast.
        metric: In which terms.
    """

    namespace: str
    forecast: str
    metric: Metric


def parse(namespace: str, name: str, metadata: Mapping[str, str]) -> Trigger:
    """
    The trigger of the ScaledObject of that name; keys that are KEDA's own are left alone.

    Raises:
        Misconfigured: If a field cannot be followed; it names the field and what to write instead.
    """
    if not namespace:
        raise Misconfigured("namespace", "it is empty", "pass on that of the ScaledObject")
    for key in metadata:
        if _is_meant(key):
            raise Misconfigured(f"metadata.{key}", "this key is not known", f"write {' or '.join(_KEYS)}, or remove it")
    forecast = metadata.get(FORECAST, name)
    if not _NAME.fullmatch(forecast):
        raise Misconfigured(
            f"metadata.{FORECAST}",
            f"{forecast!r} is no name of a resource",
            "write the name alone of a ServicePerformanceForecast in the ScaledObject's namespace, as in checkout",
        )
    metric = metadata.get(METRIC, Metric.LOAD)
    if metric not in tuple(Metric):
        raise Misconfigured(f"metadata.{METRIC}", f"{metric!r} is not known", f"write one of {', '.join(Metric)}")
    return Trigger(namespace, forecast, Metric(metric))


def _is_meant(key: str) -> bool:
    """Whether an unknown key was probably to be one of those that are known, which would go unnoticed."""
    lower = key.lower()
    return key not in _KEYS and (lower.startswith(FORECAST) or bool(get_close_matches(lower, _KEYS, cutoff=_ALIKE)))
