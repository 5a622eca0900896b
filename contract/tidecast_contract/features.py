"""
The measured features of a service: their names, units, ranges and order.

The order is part of the contract: `Snapshot.values[..., i]` is `FEATURES[i]`.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """
    One measured quantity of a service.

    Attributes:
        name: As it stands in the custom resources.
        unit: Of the measurement, in Prometheus' base units.
        maximum: The largest possible value; the smallest is 0 for every feature.
        forecast: Whether it is forecast. What is not forecast is observed and shown only:
            replicas follow the autoscaler, and a forecast that leaned on them would feed on itself.
    """

    name: str
    unit: str
    maximum: float = math.inf
    forecast: bool = True


REQUESTS = Feature("RequestsPerSecond", unit="1/s")
LATENCY_P50 = Feature("LatencyP50", unit="s")
LATENCY_P95 = Feature("LatencyP95", unit="s")
ERRORS = Feature("ErrorRatio", unit="1", maximum=1.0)
CPU = Feature("CPU", unit="cores")
MEMORY = Feature("Memory", unit="bytes")
READY_REPLICAS = Feature("ReadyReplicas", unit="1", forecast=False)

FEATURES: tuple[Feature, ...] = (REQUESTS, LATENCY_P50, LATENCY_P95, ERRORS, CPU, MEMORY, READY_REPLICAS)
FORECAST_FEATURES: tuple[Feature, ...] = tuple(feature for feature in FEATURES if feature.forecast)


def index_of(feature: Feature) -> int:
    """The position of a feature along the last axis of `Snapshot.values`."""
    return FEATURES.index(feature)
