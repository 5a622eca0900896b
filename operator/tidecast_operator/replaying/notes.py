"""
The sentences of a report that have to be read along with its numbers.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from tidecast_contract.features import CPU, REQUESTS, index_of
from tidecast_contract.forecast import ModelInfo
from tidecast_operator.published import to_time
from tidecast_operator.replaying.candidates import Candidate, Subject
from tidecast_operator.replaying.forecasting import PERFECT
from tidecast_operator.replaying.recording import Recording
from tidecast_operator.replaying.replay import Outcome, Plan

_OPEN_LOOP = (
    "Load is as it was measured and does not answer to capacity: no queues, no retries, no requests that nobody sent "
    "because the service was slow."
)
_NOT_REAL = ("simulated", "generated", "synthetic")
_MOST_IGNORED = 10  # HorizontalPodAutoscalers that are named
_MOSTLY = 0.5


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
        *_of_day_before(outcome, is_predictor=model is not None),
        *_of_trust(plan),
        *_of_requests(subject),
        *_of_capacity(subject),
        *_of_autoscalers(subject.candidates, plan),
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


def _of_day_before(outcome: Outcome, *, is_predictor: bool) -> Iterator[str]:
    unknown = int((outcome.day_before_ratio < _MOSTLY).sum())
    if is_predictor and unknown:
        yield (
            f"For {unknown} of {len(outcome.day_before_ratio)} workloads the predictor's history knew no day before, for most "
            "of the time: its forecasts lack what was usual, and trust compares them with last value alone. Expect more of "
            "a predictor that has watched these workloads itself."
        )


def _of_trust(plan: Plan) -> Iterator[str]:
    if plan.always:
        yield "Hints are followed untrusted as well (--trust always): the operator would not do so."


def _of_requests(subject: Subject) -> Iterator[str]:
    recording = subject.recording
    if recording.leading() is CPU:
        yield (
            "No requests were recorded: what has CPU counts as measured here. The operator itself makes forecasts only of "
            "workloads whose requests are measured."
        )
        return
    rows = [candidate.row for candidate in subject.candidates]
    silent = int((~np.isfinite(recording.values[:, rows, index_of(REQUESTS)]).any(axis=0)).sum())
    if silent:
        yield (
            f"Of {silent} of {len(rows)} workloads no requests were measured: the operator makes no forecasts of such, so "
            "that their hints are trusted at no time."
        )


def _of_capacity(subject: Subject) -> Iterator[str]:
    learned = [candidate.capacity for candidate in subject.candidates if candidate.capacity.is_learned]
    if learned:
        yield (
            f"What a replica carries was learned for {len(learned)} of {len(subject.candidates)} workloads, from all of the "
            "data; «at least» is the most that was seen to go well."
        )


def _of_autoscalers(candidates: Sequence[Candidate], plan: Plan) -> Iterator[str]:
    own = [(each, each.autoscaler) for each in candidates if each.autoscaler is not None]
    usual = f"minReplicas and maxReplicas of spec.scaling and aim at {plan.target:.0%} of what a replica carries"
    if not own:
        yield f"No HorizontalPodAutoscaler was read (--objects): autoscalers have {usual}."
        return
    told = f"{len(own)} of {len(candidates)} workloads have minReplicas, maxReplicas and behavior of their own "
    told += "HorizontalPodAutoscaler"
    aiming = sum(each.aims_at is not None for each, _ in own)
    told += f", {aiming} its target." if aiming else "."
    yield told if aiming == len(candidates) else f"{told} All else is as usual: {usual}."
    shares = sum(each.aims_at is not None and not autoscaler.is_exact(each.scaling.signal) for each, autoscaler in own)
    if shares:
        yield (
            f"The target of CPU of {shares} of them is taken for the same share of what a replica carries, as if one that carries "
            "that much used all the CPU it requests."
        )
    ignored = [f"{autoscaler.name} ({'; '.join(autoscaler.ignored)})" for _, autoscaler in own if autoscaler.ignored]
    if ignored:
        more = f", and of {len(ignored) - _MOST_IGNORED} others" if len(ignored) > _MOST_IGNORED else ""
        yield f"Not followed of HorizontalPodAutoscalers: {', '.join(ignored[:_MOST_IGNORED])}{more}."


def _of_gaps(subject: Subject, outcome: Outcome, plan: Plan) -> Iterator[str]:
    counted = subject.loads[plan.first : plan.last + 1]
    missing = float(np.isnan(counted).mean())
    if missing > 0.001:
        yield f"{missing:.1%} of the load was not measured; that time counts nowhere."
    if outcome.steps_without_forecast:
        yield f"At {outcome.steps_without_forecast} of {outcome.steps} steps there was no new forecast."
