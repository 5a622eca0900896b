"""
`external.metrics.k8s.io/v1beta1`: the label `forecast` of a selector picks the forecast. Pure.
"""

from typing import Any

from tidecast_operator.hints.board import Board, Unknown, Withheld
from tidecast_operator.outlets.metrics_api.offering import Metric, offered, refusal
from tidecast_operator.outlets.metrics_api.picking import LABEL, picked
from tidecast_operator.published import to_time

GROUP = "external.metrics.k8s.io"
VERSION = "v1beta1"
KIND = "ExternalMetricValueList"


def values(board: Board, namespace: str, name: str, selector: str, *, now: float) -> dict[str, Any]:
    """
    An `ExternalMetricValueList` of exactly one item: an autoscaler adds up all that it gets.

    Args:
        board: What may be told.
        namespace: Of the autoscaler and the forecast.
        name: Of the metric.
        selector: Of labels, as in `forecast=checkout`.
        now: Unix seconds.

    Raises:
        Refused: If there is nothing that may be told, or the selector does not pick one forecast.
    """
    metric = Metric.named(name)
    try:
        value = offered(board, namespace, picked(board, namespace, selector), metric, now=now)
    except (Unknown, Withheld) as reason:
        raise refusal(reason) from reason
    item: dict[str, Any] = {
        "metricName": value.metric.value,
        "metricLabels": {LABEL: value.forecast},
        "timestamp": to_time(value.issued_time),
        "value": value.quantity,
    }
    if value.window_seconds is not None:
        item["window"] = value.window_seconds
    return {"kind": KIND, "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": [item]}
