"""
The sentences of a report that have to be read along with its numbers.
"""

from collections.abc import Iterator

import numpy as np

from tidecast_contract.forecast import ModelInfo
from tidecast_operator.published import to_time
from tidecast_operator.replaying.candidates import Subject
from tidecast_operator.replaying.forecasting import PERFECT
from tidecast_operator.replaying.recording import Recording
from tidecast_operator.replaying.replay import Outcome, Plan

_OPEN_LOOP = (
    "Load is as it was measured and does not answer to capacity: no queues, no retries, no requests that nobody sent "
    "because the service was slow."
)
_NOT_REAL = ("simulated", "generated", "synthetic")


def notes_of(
    subject: Subject, outcome: Outcome, plan: Plan, *, method: str, model: ModelInfo | None
) -> tuple[str, ...]:
    """
    All that apply.

    Args:
        subject: What was replayed.
        outcome: What came of it.
        plan: How it was replayed.
        method: Where forecasts came from, without a predictor.
        model: What the predictor served; None without one.
    """
    begin_time = subject.recording.time_of(plan.first)
    said = _of_method(method) if model is None else _of_model(model, begin_time)
    return (
        *_of_load(subject.recording),
        said,
        *_of_trust(plan),
        *_of_capacity(subject),
        *_of_gaps(subject, outcome, plan),
        _OPEN_LOOP,
    )


def _of_load(recording: Recording) -> Iterator[str]:
    about = recording.about
    if str(about.get("load", "")).lower() in _NOT_REAL or str(about.get("real", "")).lower() in (*_NOT_REAL, "false"):
        yield "The load is simulated, not measured."


def _of_method(method: str) -> str:
    if method == PERFECT:
        return "Forecasts are what came true: this bounds what hints can do, and no forecaster reaches it."
    return f"Forecasts are those of {method}, with a band from its own past errors, judged beside last value alone."


def _of_model(model: ModelInfo, begin_time: int) -> str:
    told = f"Forecasts are those of the predictor's model of now, {model.kind.value} {model.version}".rstrip()
    if model.trained_time is None:
        return f"{told}: no model has been trained."
    when = to_time(model.trained_time)
    if model.trained_time > begin_time:
        return (
            f"{told}, trained at {when}, which lies after --from: it may have learned from the days that are replayed, and "
            f"the result is too good. Only what comes after {when} is a fair test."
        )
    return f"{told}, trained at {when}, before the days that are replayed."


def _of_trust(plan: Plan) -> Iterator[str]:
    if plan.always:
        yield "Hints are followed untrusted as well (--trust always): the operator would not do so."


def _of_capacity(subject: Subject) -> Iterator[str]:
    learned = [candidate.capacity for candidate in subject.candidates if candidate.capacity.is_learned]
    if learned:
        yield (
            f"What a replica carries was learned for {len(learned)} of {len(subject.candidates)} workloads, from all of the "
            "data; «at least» is the most that was seen to go well."
        )


def _of_gaps(subject: Subject, outcome: Outcome, plan: Plan) -> Iterator[str]:
    counted = subject.loads[plan.first : plan.last + 1]
    missing = float(np.isnan(counted).mean())
    if missing > 0.001:
        yield f"{missing:.1%} of the load was not measured; that time counts nowhere."
    if outcome.steps_without_forecast:
        yield f"At {outcome.steps_without_forecast} of {outcome.steps} steps there was no new forecast."
