"""
What the status of the Forecaster in use says, besides its conditions. Pure.
"""

from dataclasses import dataclass
from typing import Any

from tidecast_contract.forecast import ModelInfo
from tidecast_contract.status import HistoryStatus, PredictorStatus, TrainingStatus
from tidecast_operator.published import to_time
from tidecast_operator.publishing.quantities import quantity

_TEXT_LENGTH = 512


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """
    The graph of this cycle.

    Attributes:
        services: Nodes.
        calls: Edges.
        sources: Where they were read from.
        unattributed_requests_per_second: Of calls with a side that nobody knows.
    """

    services: int
    calls: int
    sources: tuple[str, ...]
    unattributed_requests_per_second: float


@dataclass(frozen=True, slots=True)
class CycleFacts:
    """
    What the cycle did.

    Attributes:
        start_time: Unix seconds.
        duration_seconds: Until its results were written.
        queries: Requests to Prometheus.
        missing_ratio: Of the requests of all workloads and steps; NaN when nothing was observed.
        writes: Statuses written.
    """

    start_time: float
    duration_seconds: float
    queries: int
    missing_ratio: float
    writes: int


@dataclass(frozen=True, slots=True)
class HistoryFacts:
    """
    How the filling of the history goes.

    Attributes:
        progress: Between 0 and 1.
        message: What is being fetched, or why nothing is; empty when all is there.
    """

    progress: float
    message: str


def graph(facts: GraphFacts) -> dict[str, Any]:
    """`status.graph`."""
    return {
        "services": facts.services,
        "calls": facts.calls,
        "sources": list(facts.sources),
        "unattributedRequestsPerSecond": quantity(facts.unattributed_requests_per_second),
    }


def cycle(facts: CycleFacts) -> dict[str, Any]:
    """`status.cycle`."""
    return {
        "startTime": to_time(facts.start_time),
        "durationSeconds": quantity(facts.duration_seconds),
        "prometheusQueries": facts.queries,
        "samplesMissingRatio": quantity(facts.missing_ratio),
        "statusWrites": facts.writes,
    }


def predictor(status: PredictorStatus, history: HistoryFacts) -> dict[str, Any]:
    """`status.model`, `status.history` and `status.training`; None for what is not known, so that it is removed."""
    return {
        "model": _model(status.model),
        "history": _history(status.history, history),
        "training": _training(status.training),
    }


def _model(model: ModelInfo) -> dict[str, Any]:
    return {
        "kind": model.kind.value,
        "version": model.version or None,
        "trainedTime": _time(model.trained_time),
        "reason": model.reason[:_TEXT_LENGTH] or None,
        "validation": {
            "error": _number(model.error),
            "naiveError": _number(model.naive_error),
            "skill": _number(model.skill),
        },
    }


def _history(history: HistoryStatus, facts: HistoryFacts) -> dict[str, Any]:
    return {
        "startTime": _time(history.start_time or None),
        "endTime": _time(history.end_time or None),
        "progress": quantity(facts.progress),
        "message": facts.message[:_TEXT_LENGTH] or None,
    }


def _training(training: TrainingStatus) -> dict[str, Any]:
    return {
        "state": training.state.value,
        "progress": quantity(training.progress),
        "finishedTime": _time(training.finished_time),
        "message": training.message[:_TEXT_LENGTH] or None,
    }


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else to_time(seconds)


def _number(value: float | None) -> str | None:
    return None if value is None else quantity(value)
