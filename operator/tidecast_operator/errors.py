"""
What can go wrong, told apart by what the caller can do next.

Only the process edge turns these into conditions and events; nobody between catches more than it can cure.
"""

from tidecast_contract.errors import ContractMismatch

__all__ = [
    "ApiServerUnavailable",
    "ContractMismatch",
    "Misconfigured",
    "NotEnoughData",
    "PredictorUnavailable",
    "PrometheusUnavailable",
    "TemporarilyUnavailable",
    "TidecastError",
]


class TidecastError(Exception):
    """
    The root of what the operator expects to go wrong.
    """


class TemporarilyUnavailable(TidecastError):
    """
    Something that Tidecast needs does not answer: the next cycle tries again, the old forecasts stay and age.
    """


class PrometheusUnavailable(TemporarilyUnavailable):
    """
    Prometheus does not answer, or not in time, or answers that it cannot.
    """


class QueryTooLarge(PrometheusUnavailable):
    """
    Prometheus would have to load too much for one answer; the same over a shorter time may be answered.
    """


class PredictorUnavailable(TemporarilyUnavailable):
    """
    The predictor does not answer, or not in time, or is still loading.
    """


class ApiServerUnavailable(TemporarilyUnavailable):
    """
    The Kubernetes API server does not answer, or asks to be left alone for a while.
    """


class NotEnoughData(TidecastError):
    """
    There is nothing to forecast from yet; the text says how much there is and how much is needed.
    """


class Misconfigured(TidecastError):
    """
    A setting cannot be followed: there is no point in another try until it changes.

    Attributes:
        field: The path of the setting, as in `spec.prometheus.url`.
        problem: What is wrong with it, with the value.
        remedy: What to write instead.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}; {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy
