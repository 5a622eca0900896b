"""
`custom.metrics.k8s.io/v1beta2`: the described object is the ServicePerformanceForecast. Pure.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tidecast_operator.hints.board import Board, Unknown, Withheld
from tidecast_operator.outlets.metrics_api.answers import Refused
from tidecast_operator.outlets.metrics_api.offering import Metric, Value, offered, refusal
from tidecast_operator.outlets.metrics_api.picking import all_picked, parsed
from tidecast_operator.published import to_time
from tidecast_operator.resources import API_VERSION, FORECAST_KIND, FORECASTS
from tidecast_operator.resources import GROUP as OBJECT_GROUP

GROUP = "custom.metrics.k8s.io"
VERSION = "v1beta2"
KIND = "MetricValueList"
RESOURCE = f"{FORECASTS}.{OBJECT_GROUP}"
"""How the described objects are called in a path."""

ANY = "*"
"""In the place of a name: all objects that the selector picks."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What a request asks for.

    Attributes:
        namespace: Of the autoscaler and the forecast.
        forecast: Its name, or `ANY`.
        metric: The name of the metric.
        selector: Of the objects' labels; it matters for `ANY`.
        metric_selector: Of the metric's labels, of which it has none.
    """

    namespace: str
    forecast: str
    metric: str
    selector: str = ""
    metric_selector: str = ""


def values(board: Board, wanted: Wanted, *, now: float) -> dict[str, Any]:
    """
    A `MetricValueList` of one item for a name, and for `ANY` of all that may be told.

    Raises:
        Refused: If there is nothing that may be told, or a selector breaks the grammar.
    """
    metric = Metric.named(wanted.metric)
    if not parsed(wanted.metric_selector).matches({}):
        raise Refused(HTTPStatus.NOT_FOUND, f"metric {metric} has no labels, so that no metric selector can match")
    try:
        if wanted.forecast != ANY:
            told = [offered(board, wanted.namespace, wanted.forecast, metric, now=now)]
        else:
            told = _all_offered(board, wanted, metric, now=now)
    except (Unknown, Withheld) as reason:
        raise refusal(reason) from reason
    items = [_item(wanted.namespace, value) for value in told]
    return {"kind": KIND, "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items}


def _all_offered(board: Board, wanted: Wanted, metric: Metric, *, now: float) -> list[Value]:
    told, kept = [], []
    for forecast in all_picked(board, wanted.namespace, wanted.selector):
        try:
            told.append(offered(board, wanted.namespace, forecast, metric, now=now))
        except Withheld as reason:
            kept.append(reason)
    if not told:
        raise kept[0]
    return told


def _item(namespace: str, value: Value) -> dict[str, Any]:
    item = {
        "describedObject": {
            "kind": FORECAST_KIND,
            "namespace": namespace,
            "name": value.forecast,
            "apiVersion": API_VERSION,
        },
        "metric": {"name": value.metric.value, "selector": None},
        "timestamp": to_time(value.issued_time),
        "value": value.quantity,
    }
    if value.window_seconds is not None:
        item["windowSeconds"] = value.window_seconds
    return item
