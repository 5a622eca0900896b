"""
Carries out what is planned: one look at all autoscalers in a cycle, then one write for each floor that changes.

A floor and what tells the original one are written together, and only on an autoscaler that nobody has changed since it
was looked at. To give one back takes two writes, and after either of them everything that stands there is true. So it
does not matter where a crash falls: the next cycle, or the next process, goes on from what it finds.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.autoscalers import Autoscaler
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured, TidecastError
from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.floors.claim import ANNOTATIONS, BY, Claim
from tidecast_operator.outlets.floors.plan import FloorProblem, Key, Raise, Restore, names_any, plan

_log = logging.getLogger(__name__)
_LOOK_SECONDS, _BUDGET_SECONDS = 60.0, 20.0
_TRIES = 3  # for an autoscaler that changes under our hands; its status does every few seconds
_PASSES, _PAUSE_SECONDS = 5, 3.0


class AutoscalerDoor(Protocol):
    """What is needed of `Autoscalers`."""

    def pages(self, namespace: str = "") -> Iterator[Sequence[Autoscaler]]:
        """All of a namespace, or of the cluster."""

    def read(self, namespace: str, name: str) -> Autoscaler | None:
        """One of them."""

    def apply(self, autoscaler: Autoscaler, floor: int, annotations: Mapping[str, str]) -> Autoscaler | Outcome:
        """Writes floor and annotations at once."""

    def release(self, autoscaler: Autoscaler, annotations: Sequence[str]) -> Autoscaler | Outcome:
        """Removes annotations and gives up all ownership at once."""


@dataclass(slots=True)
class FloorReport:
    """
    What became of the floors in one cycle.

    Attributes:
        raised: How many were written.
        restored: How many were given back.
        left: How many are still to be written or given back, in the next cycle.
        floors: All that are raised now, by namespace and name of the autoscaler, as far as they were looked at.
        problems: Of those who ask for floors.
        error: Why not everything was looked at or tried; None if it was.
    """

    raised: int = 0
    restored: int = 0
    left: int = 0
    floors: dict[Key, Claim] = field(default_factory=dict)
    problems: list[FloorProblem] = field(default_factory=list)
    error: TidecastError | None = None

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to try."""
        return not self.left and self.error is None


class Floors:
    """
    Raises floors, and gives them back. Synchronous; call it in one thread at a time.

    Args:
        autoscalers: Where they are.
        may_write: Asked before each single write.
        clock: Unix seconds.
        budget_seconds: No write is begun later than this after all were listed.
        pause: Waits for some seconds; tests need not.
    """

    def __init__(
        self,
        autoscalers: AutoscalerDoor,
        *,
        may_write: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        budget_seconds: float = _BUDGET_SECONDS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._autoscalers = autoscalers
        self._may_write = may_write
        self._clock = clock
        self._budget_seconds = budget_seconds
        self._pause = pause
        # Whether the last look found no floor of ours, and nobody but this process can have raised one since.
        self._is_clean = False

    def follow(self, board: Board) -> FloorReport:
        """
        Makes all floors what *board* asks for. Errors are reported; what could not be done is tried in the next cycle.

        Call it in every cycle, also while another replica leads: it does nothing then, but knows that floors may have
        been raised meanwhile.
        """
        report = FloorReport()
        if not self._may_write():
            self._is_clean = False
            return report
        if not board.is_known or (self._is_clean and not names_any(board)):
            return report
        self._is_clean = False
        self._pass(board, "", report)
        self._is_clean = report.is_complete and not report.floors
        return report

    def release_all(self, namespaces: Sequence[str] = ()) -> FloorReport:
        """
        Gives back every floor, of some namespaces or of the whole cluster. Needs nothing of Tidecast's in the cluster.

        Tries again some times; what is left then is reported. No write is begun after the budget of a try is spent.
        """
        report = FloorReport()
        for number in range(_PASSES):
            if number:
                self._pause(_PAUSE_SECONDS)
            report = FloorReport(restored=report.restored)
            for namespace in namespaces or ("",):
                self._pass(Board(is_known=True), namespace, report)  # nobody asks for anything
            if report.is_complete:
                break
        return report

    def _pass(self, board: Board, namespace: str, report: FloorReport) -> None:
        try:
            found = self._look(namespace)
            deadline = self._clock() + self._budget_seconds
            now = partial(self._now, deadline)
            _Round(self._autoscalers, board, report, now).run(found)
        except _Interrupted:
            report.error = report.error or ApiServerUnavailable(
                "leadership or time ran out while HorizontalPodAutoscalers were listed"
            )
        except TidecastError as error:
            report.error = report.error or error

    def _look(self, namespace: str) -> Sequence[Autoscaler]:
        found: list[Autoscaler] = []
        deadline = self._clock() + _LOOK_SECONDS
        for page in self._autoscalers.pages(namespace):
            found += page
            self._now(deadline)
        return found

    def _now(self, deadline: float) -> float:
        now = self._clock()
        if now >= deadline or not self._may_write():
            raise _Interrupted
        return now


class _Interrupted(Exception):
    """Leadership or time has run out."""


class _Round:
    """
    What follows from one look at the autoscalers.

    Args:
        now: Unix seconds; asked before each single write, and raises `_Interrupted` when there is to be none.
    """

    def __init__(
        self, autoscalers: AutoscalerDoor, board: Board, report: FloorReport, now: Callable[[], float]
    ) -> None:
        self._autoscalers = autoscalers
        self._board = board
        self._report = report
        self._now = now

    def run(self, found: Sequence[Autoscaler]) -> None:
        planned = plan(self._board, found, self._now())
        self._report.floors |= planned.standing
        self._report.problems += planned.problems
        for number, step in enumerate(planned.steps):
            try:
                self._carry_out(step)
            except WriteRefused as error:
                self._refused(step, error)
            except Misconfigured as error:  # it may be allowed in other namespaces
                self._report.left += 1
                self._report.error = self._report.error or error
            except _Interrupted:
                self._report.left += len(planned.steps) - number
                return
            except TidecastError:
                self._report.left += len(planned.steps) - number
                raise

    def _carry_out(self, step: Raise | Restore) -> None:
        for _ in range(_TRIES):
            done = self._raise(step) if isinstance(step, Raise) else self._restore(step)
            if done is not Outcome.CONFLICT:
                return
            fresh = self._autoscalers.read(*step.autoscaler.key)
            if fresh is None:
                return
            again = plan(self._board, [fresh], self._now())
            if not again.steps:
                self._report.floors |= again.standing
                return
            step = again.steps[0]
        self._report.left += 1

    def _raise(self, step: Raise) -> Outcome:
        claim = step.claim
        after = self._apply(step.autoscaler, claim)
        if isinstance(after, Outcome):
            return after
        self._report.raised += 1
        self._report.floors[after.key] = claim
        _log.info("%s: floor raised from %d to %d for %s", after, claim.original, claim.floor, claim.by)
        return Outcome.DONE

    def _restore(self, step: Restore) -> Outcome:
        autoscaler = step.autoscaler
        if step.claim is not None:
            after = self._apply(autoscaler, step.claim)
            if isinstance(after, Outcome):
                return after
            autoscaler = after
        self._now()
        released = self._autoscalers.release(autoscaler, ANNOTATIONS)
        if isinstance(released, Outcome):
            return released
        self._report.restored += 1
        _log.info("%s: floor of %d given back: %s", released, released.min_replicas, step.reason)
        return Outcome.DONE

    def _apply(self, autoscaler: Autoscaler, claim: Claim) -> Autoscaler | Outcome:
        self._now()
        return self._autoscalers.apply(autoscaler, claim.floor, claim.to_annotations())

    def _refused(self, step: Raise | Restore, error: WriteRefused) -> None:
        by = step.claim.by if step.claim is not None else step.autoscaler.annotations.get(BY, "")
        _log.error("%s: %s", step.autoscaler, error)
        self._report.left += 1
        key = (step.autoscaler.namespace, by)
        self._report.problems.append(FloorProblem(key, "AutoscalerWriteRefused", f"{step.autoscaler}: {error}"))
