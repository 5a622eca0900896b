"""
Floors follow what hints ask for, cycle after cycle: a look at our own autoscalers, then a write for each that changes.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from tidecast_operator.errors import ApiServerUnavailable, TidecastError
from tidecast_operator.hints.board import Board
from tidecast_operator.hints.hint import HOLD_SECONDS
from tidecast_operator.outlets.floors.carrying_out import AutoscalerDoor, FloorReport, Interrupted, Round
from tidecast_operator.outlets.floors.looking import Look, Seen
from tidecast_operator.outlets.floors.plan import Key, named

__all__ = ["FloorReport", "Floors"]

_LOOK_SECONDS, _BUDGET_SECONDS = 60.0, 20.0
_PASSES, _PAUSE_SECONDS = 5, 3.0
_THREADS = 8


class Floors:
    """
    Raises floors, and gives them back. Synchronous; call it in one thread at a time.

    Args:
        autoscalers: Where they are.
        may_write: Asked before each single write.
        clock: Unix seconds.
        budget_seconds: No write is begun later than this after all were looked at.
        threads: How many requests are under way at once.
        hold_seconds: So long after it began to lead this process lowers no floor that it found raised.
    """

    def __init__(  # noqa: PLR0913 - a door, who may use it, and its settings
        self,
        autoscalers: AutoscalerDoor,
        *,
        may_write: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        budget_seconds: float = _BUDGET_SECONDS,
        threads: int = _THREADS,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        self._autoscalers = autoscalers
        self._may_write = may_write
        self._clock = clock
        self._budget_seconds = budget_seconds
        self._threads = threads
        self._hold_seconds = hold_seconds
        self._look = Look(autoscalers, threads=threads)
        # Whether every autoscaler was looked at since this replica leads: before, there may be marks without a label,
        # of an earlier release or where somebody took the label away.
        self._has_seen_all = False
        self._marked: frozenset[Key] = frozenset()
        # What stands from another replica's time may have been asked for just before, as statuses are written after
        # floors: no hint that asks for less lowers it before this time. 0 while this replica does not lead.
        self._falls_from = 0.0
        # Whether the last look found nothing of ours, and nobody but this process can have raised a floor since.
        self._is_clean = False

    def follow(self, board: Board, *, budget_seconds: float | None = None) -> FloorReport:
        """
        Makes all floors what *board* asks for. Errors are reported; what could not be done is tried in the next cycle.

        Call it in every cycle, also while another replica leads: it does nothing then, but knows that floors may have
        been raised meanwhile.

        Args:
            board: What is asked for.
            budget_seconds: Another budget than usual, as where steps are short.
        """
        report = FloorReport()
        if not self._may_write():
            report.has_looked = False
            self._is_clean = self._has_seen_all = False
            self._falls_from = 0.0
            return report
        self._falls_from = self._falls_from or self._clock() + self._hold_seconds
        names = named(board)
        if not board.is_known or (self._is_clean and not names):
            report.has_looked = board.is_known
            return report
        had_seen_all = self._has_seen_all
        self._is_clean = self._has_seen_all = False  # so it is if anything unexpected breaks this off
        # While nobody asks, what is not found is not looked for again: that must not be behind.
        is_cached = had_seen_all and bool(names)

        def look(go_on: Callable[[], object]) -> Seen:
            if not had_seen_all:
                return self._look.at_all("", go_on)
            return self._look.at_ours(names | self._marked, go_on, is_cached=is_cached)

        budget = self._budget_seconds if budget_seconds is None else budget_seconds
        marked = self._pass(board, look, report, budget)
        report.has_looked = marked is not None
        if marked is not None:
            self._marked = marked
            is_all = not self._autoscalers.is_partial
            self._is_clean = report.is_complete and not marked and not is_cached and is_all
        # Where leadership was lost meanwhile, another replica may have written.
        self._has_seen_all = self._may_write() and (had_seen_all or marked is not None)
        return report

    def release_all(
        self, namespaces: Sequence[str] = (), *, pause: Callable[[float], None] = time.sleep
    ) -> FloorReport:
        """
        Gives back every floor, of some namespaces or of the whole cluster. Needs nothing of Tidecast's in the cluster.

        Looks at every autoscaler, labelled or not. Tries again some times; what is left then is reported. No write is
        begun after the budget of a try is spent.

        Args:
            namespaces: Which ones; none for the whole cluster.
            pause: Waits for some seconds between two tries; tests need not.
        """
        report = FloorReport()
        for number in range(_PASSES):
            if number:
                pause(_PAUSE_SECONDS)
            report = FloorReport(restored=report.restored, problems=report.lost)
            for namespace in namespaces or ("",):
                look = partial(self._look.at_all, namespace)
                self._pass(Board(is_known=True), look, report, self._budget_seconds)  # nobody asks for anything
            if report.is_complete:
                break
        return report

    def _pass(
        self, board: Board, look: Callable[[Callable[[], object]], Seen], report: FloorReport, budget_seconds: float
    ) -> frozenset[Key] | None:
        """What is marked afterwards, as far as it was looked at; None if the look failed."""
        try:
            seen = look(partial(self._now, self._clock() + _LOOK_SECONDS))
            now = partial(self._now, self._clock() + budget_seconds)
            work = Round(self._autoscalers, board, report, now, self._threads, falls_from=self._falls_from)
            work.run(seen)
        except Interrupted:
            report.error = report.error or ApiServerUnavailable(
                "leadership or time ran out while HorizontalPodAutoscalers were listed"
            )
        except TidecastError as error:
            report.error = report.error or error
        else:
            return frozenset(work.marked)
        return None

    def _now(self, deadline: float) -> float:
        now = self._clock()
        if now >= deadline or not self._may_write():
            raise Interrupted
        return now
