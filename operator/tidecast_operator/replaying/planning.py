"""
Which time a replay is of: what flags say of it, found out once, and where it lies in a recording.
"""

import argparse
import time
from dataclasses import dataclass

from tidecast_operator.errors import Misconfigured
from tidecast_operator.published import to_time
from tidecast_operator.replaying.forecasting import DAY_SECONDS
from tidecast_operator.replaying.options import ALWAYS, DEFAULT_TARGET, Span, span_of
from tidecast_operator.replaying.recording import Recording
from tidecast_operator.replaying.replay import Plan
from tidecast_operator.telemetry.series import Grid

_DEFAULT_DAYS = 3


@dataclass(frozen=True, slots=True)
class Fetch:
    """
    What has to be fetched for a replay.

    Attributes:
        span: What counts.
        grid: All steps that are needed for it.
    """

    span: Span
    grid: Grid

    @classmethod
    def until_now(cls, flags: argparse.Namespace, *, needs_day_before: bool) -> "Fetch":
        """
        As of now. Ask once: to fetch days takes longer than a step, and afterwards it is another "now".

        Args:
            flags: As they were parsed.
            needs_day_before: Whether forecasts come from the day before.

        Raises:
            Misconfigured: As `span_of`.
        """
        now, step = int(time.time()), flags.step_seconds
        span = span_of(flags, now=now, data_end=now)
        end = now - step if span.end is None else span.end
        begin = end - _DEFAULT_DAYS * DAY_SECONDS if span.begin is None else span.begin
        before = flags.warm_up_hours * 3600 + flags.window_steps * step
        before += DAY_SECONDS if needs_day_before else 0
        return cls(Span(begin, end), Grid(int(begin - before) // step * step, end // step * step, step))


def span_within(flags: argparse.Namespace, recording: Recording) -> Span:
    """
    What a replay of a file is of.

    Raises:
        Misconfigured: As `span_of`.
    """
    return span_of(flags, now=int(time.time()), data_end=recording.end_time)


def plan_of(flags: argparse.Namespace, recording: Recording, span: Span) -> Plan:
    """
    How a recording is replayed.

    Raises:
        Misconfigured: If the span is not inside.
    """
    last = recording.steps - 1
    if span.end is not None:
        last = min(last, recording.step_at(span.end + 1) - 1)
    # The step that begins then is the first to count.
    first = _usual_first(recording) if span.begin is None else recording.step_at(span.begin + 1)
    known = f"the data are from {to_time(recording.start_time)} to {to_time(recording.end_time)}"
    if last < 1 or (span.end is not None and span.end > recording.end_time + recording.step_seconds):
        raise Misconfigured("--to", f"{flags.end} is not inside: {known}", "write a time between")
    if not 1 <= first <= last:
        raise Misconfigured("--from", f"{flags.begin} is not inside: {known}", "write a time between")
    warm_up = round(flags.warm_up_hours * 3600 / recording.step_seconds)
    return Plan(
        begin=max(0, first - 1 - warm_up),
        first=first,
        last=last,
        window_steps=flags.window_steps,
        target=DEFAULT_TARGET if flags.target is None else flags.target,
        start_seconds=flags.startup_seconds,
        delay_seconds=flags.metric_delay_seconds,
        always=flags.trust == ALWAYS,
    )


def _usual_first(recording: Recording) -> int:
    """Where a file's second day begins, or else its second half."""
    return min(round(DAY_SECONDS / recording.step_seconds), recording.steps // 2)
