"""
What the operator would have told autoscalers at each step: its own judge and its own hints, from the forecasts given.

Shapes: `T` steps, `N` candidates, `F` features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FORECAST_FEATURES, READY_REPLICAS, index_of
from tidecast_contract.forecast import Forecast
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.keeper import Hinted, HintKeeper, Seen
from tidecast_operator.judging import Judge
from tidecast_operator.published import Condition
from tidecast_operator.publishing.status import VALID_STEPS
from tidecast_operator.publishing.trusted import trusted
from tidecast_operator.replaying.autoscaler import Counts
from tidecast_operator.replaying.candidates import Candidate, Subject
from tidecast_operator.timing import settle_seconds
from tidecast_operator.trust.skills import Skills

_RECENT_STEPS = 5
_Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """
    What came out at one step.

    Attributes:
        floors: The least replicas for each candidate, int of shape (N,); its own minimum where nothing is offered.
        is_trusted: Whether its forecasts were, bool of shape (N,).
        is_offered: Whether autoscalers were told a hint, bool of shape (N,).
    """

    floors: Counts
    is_trusted: NDArray[np.bool_]
    is_offered: NDArray[np.bool_]


class Hinting:
    """
    Goes through the steps of a recording in their order. Not safe to use from several threads at once.

    Args:
        subject: Whose hints.
        window_steps: How many steps the operator knows at a time.
        always: Whether hints are offered no matter what came of past forecasts.
    """

    def __init__(self, subject: Subject, *, window_steps: int, always: bool) -> None:
        self._recording = subject.recording
        self._candidates = candidates = subject.candidates
        self._rows = np.array([candidate.row for candidate in candidates], np.int64)
        self._resources = [candidate.resource for candidate in candidates]
        self._minimum = np.array([candidate.bounds[0] for candidate in candidates], np.int64)
        self._window_steps, self._always = window_steps, always
        self._settle = settle_seconds(self._recording.step_seconds)
        self._is_measured = subject.recording.is_measured()
        leading = index_of(subject.recording.leading())
        self._needed = np.array([(leading, candidate.signal) for candidate in candidates], np.int64).T
        self._judge, self._hints = Judge(services=subject.services), HintKeeper(valid_steps=VALID_STEPS)
        self._conditions: list[Condition | None] = [None] * len(self._candidates)
        self._replicas = np.full((window_steps, len(self._candidates)), np.nan, np.float32)

    def after(self, step: int, forecast: Forecast | None, ready: Counts) -> Told:
        """
        What is told once a step is over.

        Args:
            step: The step.
            forecast: Made from what is known at its end; None if there is none.
            ready: Ready replicas at its end, in the replay, int of shape (N,).
        """
        self._replicas = np.concatenate([self._replicas[1:], ready[None].astype(np.float32)])
        now = int(self._recording.time_of(step) + self._settle)
        window, skills = None, None
        is_measured: NDArray[np.bool_] = np.ones(len(self._candidates), np.bool_)
        if self._is_measured[step]:
            window = self._recording.window(step, self._window_steps)
            skills = self._judge.after(window, forecast, dict)
            # As in the operator: the service itself, and what its hint leans on.
            recent = window.values[-_RECENT_STEPS:, self._rows, self._needed]
            is_measured = np.asarray(np.isfinite(recent).any(axis=0).all(axis=0))
            window = self._with_replicas(window)
        else:
            forecast = None  # a cycle that measures nothing makes none; the one before stands until it expires
        hinted = self._hints.after(Seen(now=now, window=window, forecast=forecast), self._resources)
        return self._told([hinted[resource.key] for resource in self._resources], skills, is_measured, now)

    def _told(self, hinted: list[Hinted], skills: Skills | None, is_measured: NDArray[np.bool_], now: int) -> Told:
        floors, step_seconds = self._minimum.copy(), self._recording.step_seconds
        is_trusted = np.zeros(len(hinted), np.bool_)
        is_offered = np.zeros(len(hinted), np.bool_)
        for row, (candidate, found) in enumerate(zip(self._candidates, hinted, strict=True)):
            seconds = candidate.scaling.lead_time_seconds + step_seconds
            signal = candidate.scaling.signal
            condition = trusted(
                None if skills is None else skills.of(candidate.service, signal, seconds),
                self._conditions[row],
                is_judged=skills is not None,
                is_fresh=found.expire_time > now,
                is_measured=bool(is_measured[row]),
            )
            self._conditions[row] = condition
            is_trusted[row] = condition.status == "True"
            if found.hint is not None and (is_trusted[row] or self._always):
                is_offered[row] = True
                floors[row] = max(floors[row], found.hint.floor)
        return Told(floors, is_trusted, is_offered)

    def _with_replicas(self, window: Snapshot) -> Snapshot:
        """As it would have been measured, had there been as many replicas as in the replay."""
        values = window.values.copy()
        measured = values[:, self._rows, index_of(READY_REPLICAS)]
        replayed = self._replicas[-window.steps :]
        # A workload that had lost all its replicas had lost them, whatever an autoscaler wanted.
        replayed = np.where((measured == 0) | ~np.isfinite(replayed), measured, replayed)
        values[:, self._rows, index_of(READY_REPLICAS)] = replayed
        return Snapshot(window.end_time, window.step_seconds, window.services, values, window.calls, window.rates)


def band_at_lead(forecast: Forecast, candidates: tuple[Candidate, ...]) -> tuple[NDArray[np.int64], _Array]:
    """
    How many steps ahead each candidate's lead time ends, (N,), and the lowest and highest quantile of its load then, (2, N).
    """
    ahead = [-(-candidate.scaling.lead_time_seconds // forecast.step_seconds) for candidate in candidates]
    steps = np.clip(np.array(ahead, np.int64), 1, forecast.horizon_steps)
    places = [FORECAST_FEATURES.index(candidate.scaling.signal) for candidate in candidates]
    values = forecast.values[np.arange(len(candidates)), places, steps - 1]
    return steps, np.stack([values[:, 0], values[:, -1]])
