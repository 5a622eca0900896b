"""
Which metrics there are, and what a hint says in each. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from tidecast_operator.hints.board import Board, Unknown, Withheld
from tidecast_operator.hints.hint import Hint
from tidecast_operator.outlets.metrics_api.answers import Refused
from tidecast_operator.outlets.metrics_api.quantities import canonical


class Metric(StrEnum):
    """What can be asked for; client libraries make the names of metrics lower case."""

    LOAD = "tidecast-load"
    """In the unit of the signal: for an `AverageValue` of what one replica carries."""
    REPLICAS = "tidecast-replicas"
    """For an `AverageValue` of 1."""

    @classmethod
    def named(cls, name: str) -> "Metric":
        """
        The metric of a name.

        Raises:
            Refused: If there is none.
        """
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(cls)
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no metric {name!r}; there are {known}") from None


@dataclass(frozen=True, slots=True)
class Value:
    """
    What one hint says in one metric.

    Attributes:
        forecast: The name of the ServicePerformanceForecast.
        metric: Which one.
        quantity: In canonical form.
        issued_time: Of the forecast behind it, unix seconds.
        window_seconds: How far ahead it looks: the lead time; None if that is not known.
    """

    forecast: str
    metric: Metric
    quantity: str
    issued_time: int
    window_seconds: int | None


def offered(board: Board, namespace: str, forecast: str, metric: Metric, *, now: float) -> Value:
    """
    What may be told of one forecast.

    Raises:
        Withheld: If nobody may be told now.
        Unknown: If there is no such forecast.
    """
    entry, hint = board.offered(namespace, forecast, now)
    try:
        quantity = canonical(_number(hint, metric))
    except ValueError as error:
        raise Withheld(f"the hint cannot be told: {error}") from error
    window = entry.scaling.lead_time_seconds if entry.scaling else None
    return Value(forecast, metric, quantity, entry.issued_time, window)


def refusal(reason: Unknown | Withheld) -> Refused:
    """What a client is told where nothing is offered."""
    unknown = isinstance(reason, Unknown)
    return Refused(HTTPStatus.NOT_FOUND if unknown else HTTPStatus.SERVICE_UNAVAILABLE, str(reason))


def _number(hint: Hint, metric: Metric) -> float:
    if metric is Metric.REPLICAS:
        return hint.replicas
    # A hint takes 1200.0001 at 120 a replica for 10 replicas; an autoscaler, which rounds up, would make it 11.
    return min(hint.load, hint.replicas * hint.capacity.per_replica)
