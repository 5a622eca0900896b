"""
What `spec.scaling` of a ServicePerformanceForecast says, checked and typed.

The schema of the CRD checks most of this too; an API server before 1.25 ignores its CEL rules, and a spec may be older
than the schema, so everything is checked here again. Knows nothing of Kubernetes but the spec itself.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tidecast_contract.features import CPU, REQUESTS, Feature
from tidecast_operator.errors import Misconfigured
from tidecast_operator.published import number

SIGNALS: Mapping[str, Feature] = {feature.name: feature for feature in (REQUESTS, CPU)}
_PATH = "spec.scaling"
_QUANTILES = (0.5, 0.99)
_LEAST_CARRIED = 1e-6


class Mode(StrEnum):
    """What becomes of a hint."""

    PREVIEW = "Preview"
    """It is shown, nothing is touched."""
    ACTIVE = "Active"
    """It is published to autoscalers, as long as it is trusted."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """
    How a hint is derived from a forecast.

    Attributes:
        mode: What becomes of it.
        signal: The forecast feature that replicas are derived from.
        per_replica: What one ready replica carries, in the signal's unit; None for what is learned from history.
        quantile: Of the forecast, which the hint covers.
        lead_time_seconds: From a decision to a ready pod.
        min_replicas: A hint is never below.
        max_replicas: A hint is never above; None for no bound of its own.
        autoscaler: The HorizontalPodAutoscaler whose floor is raised; empty for none.
    """

    mode: Mode = Mode.PREVIEW
    signal: Feature = REQUESTS
    per_replica: float | None = None
    quantile: float = 0.9
    lead_time_seconds: int = 180
    min_replicas: int = 1
    max_replicas: int | None = None
    autoscaler: str = ""


def parse(spec: Mapping[str, Any]) -> Scaling:
    """
    What the scaling section of a spec means.

    Raises:
        Misconfigured: If a field cannot be followed; it names the field and what to write instead.
    """
    scaling = Scaling(
        mode=Mode(_one_of(spec, "mode", tuple(Mode), Mode.PREVIEW)),
        signal=SIGNALS[_one_of(spec, "signal", tuple(SIGNALS), REQUESTS.name)],
        per_replica=_per_replica(spec.get("perReplica")),
        quantile=_quantile(spec.get("quantile", "0.9")),
        lead_time_seconds=_integer(spec, "leadTimeSeconds", 180, within=(0, 7200)) or 0,
        min_replicas=_integer(spec, "minReplicas", 1, within=(1, 100_000)) or 1,
        max_replicas=_integer(spec, "maxReplicas", None, within=(1, 100_000)),
        autoscaler=str(spec.get("horizontalPodAutoscalerName") or ""),
    )
    if scaling.max_replicas is not None and scaling.min_replicas > scaling.max_replicas:
        raise Misconfigured(
            f"{_PATH}.minReplicas",
            f"{scaling.min_replicas} exceeds maxReplicas {scaling.max_replicas}",
            "lower it or raise maxReplicas",
        )
    return scaling


def _one_of(spec: Mapping[str, Any], name: str, known: tuple[str, ...], default: str) -> str:
    value = spec.get(name, default)
    if value not in known:
        raise Misconfigured(f"{_PATH}.{name}", f"{value!r} is not known", f"write one of {', '.join(known)}")
    return str(value)


def _per_replica(value: object) -> float | None:
    if value is None:
        return None
    remedy = "write a quantity above 0 as in 120 or 500m, or leave it out so that it is learned"
    try:
        carried = number(str(value))
    except ValueError as error:
        raise Misconfigured(f"{_PATH}.perReplica", f"{value!r} is no quantity", remedy) from error
    if not _LEAST_CARRIED <= carried < math.inf:
        raise Misconfigured(f"{_PATH}.perReplica", f"{value!r} is not above 0, or beyond all measure", remedy)
    return carried


def _quantile(value: object) -> float:
    low, high = _QUANTILES
    remedy = f"write a number from {low} to {high} in quotes, as in {str(0.9)!r}"
    try:
        quantile = float(str(value))
    except ValueError as error:
        raise Misconfigured(f"{_PATH}.quantile", f"{value!r} is no number", remedy) from error
    if not low <= quantile <= high:
        # Below the median a hint would by design be too small more often than not.
        raise Misconfigured(f"{_PATH}.quantile", f"{value!r} is out of range", remedy)
    return quantile


def _integer(spec: Mapping[str, Any], name: str, default: int | None, *, within: tuple[int, int]) -> int | None:
    value = spec.get(name, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not within[0] <= value <= within[1]:
        raise Misconfigured(
            f"{_PATH}.{name}", f"{value!r} is out of range", f"write a whole number from {within[0]} to {within[1]}"
        )
    return value
