"""
Events for changes of state, and for nothing else. Pure: what is posted is for `writer`.
"""

from collections.abc import Sequence
from typing import Any

from tidecast_operator.published import Condition, Published, to_time
from tidecast_operator.publishing.hinted import OFFERED
from tidecast_operator.resources import (
    API_VERSION,
    FORECAST_KIND,
    FORECASTER_KIND,
    ForecasterResource,
    ForecastResource,
)

COMPONENT = "tidecast-operator"
_CLUSTER_NAMESPACE = "default"  # where Kubernetes keeps events about objects that have no namespace


def of_forecast(
    resource: ForecastResource, conditions: Sequence[Condition], *, model_kind: str, now: int
) -> list[dict[str, Any]]:
    """
    The events of one ServicePerformanceForecast: that it is ready or is so no more, that another method speaks, and, where
    somebody wants hints, that its forecasts are trusted and its hint offered, or are so no more.

    Args:
        resource: As it was before.
        conditions: As they are from now on.
        model_kind: What made its new forecast; empty without one.
        now: Unix seconds.
    """
    subject = {
        "apiVersion": API_VERSION,
        "kind": FORECAST_KIND,
        "namespace": resource.namespace,
        "name": resource.name,
        "uid": resource.uid,
    }
    told = ("Ready",) if resource.scaling is None else ("Ready", "Trusted", OFFERED)
    chosen = [condition for condition in conditions if condition.type in told]
    events = [_event(subject, condition, now=now) for condition in _changed(chosen, resource.published)]
    old = resource.published.model_kind
    if old and model_kind and old != model_kind:
        change = Condition("Model", "True", "ModelChanged", f"{model_kind} speaks instead of {old}.")
        events.append(_event(subject, change, now=now))
    return events


def of_forecaster(resource: ForecasterResource, conditions: Sequence[Condition], *, now: int) -> list[dict[str, Any]]:
    """The events of a Forecaster: one for each condition that turned."""
    subject = {"apiVersion": API_VERSION, "kind": FORECASTER_KIND, "name": resource.name, "uid": resource.uid}
    return [_event(subject, condition, now=now) for condition in _changed(conditions, resource.published)]


def _changed(conditions: Sequence[Condition], before: Published) -> list[Condition]:
    """Those whose status turned; what starts as not true is no news."""
    turned = []
    for condition in conditions:
        old = before.condition(condition.type)
        if condition.status == "Unknown" or (old is None and condition.status != "True"):
            continue
        if old is None or old.status != condition.status:
            turned.append(condition)
    return turned


def _event(subject: dict[str, Any], condition: Condition, *, now: int) -> dict[str, Any]:
    namespace = subject.get("namespace", _CLUSTER_NAMESPACE)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{subject['name'][:200]}.", "namespace": namespace},
        "involvedObject": subject,
        "type": "Normal" if condition.status == "True" else "Warning",
        "reason": condition.reason,
        "message": condition.message[:1024],
        "source": {"component": COMPONENT},
        "firstTimestamp": to_time(now),
        "lastTimestamp": to_time(now),
        "count": 1,
    }
