"""
All that is told to others, and done to them, once a cycle knows what is to be said.
"""

import time
from collections.abc import Callable, Mapping

from tidecast_operator.hints.board import Board, Noticeboard, Withheld
from tidecast_operator.outlets.floors.claim import Claim
from tidecast_operator.outlets.floors.floors import FloorReport, Floors
from tidecast_operator.outlets.floors.plan import FloorProblem, Key
from tidecast_operator.outlets.gauges.facts import Facts, FloorFacts
from tidecast_operator.outlets.gauges.gauges import Gauges

DISABLED = (
    "FloorsDisabled",
    "The operator does not raise floors; start it with --hpa-floors, with the permission to patch HorizontalPodAutoscalers.",
)
"""Reason and message where a floor is asked for, and floors are off."""


class Outlets:
    """
    Synchronous; call it in one thread at a time.

    Args:
        noticeboard: What servers of other outlets read.
        gauges: What Prometheus scrapes.
        floors: Raises floors; None where nobody wants that.
        clock: Unix seconds.
    """

    def __init__(
        self,
        noticeboard: Noticeboard,
        gauges: Gauges,
        floors: Floors | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._noticeboard = noticeboard
        self._gauges = gauges
        self._floors = floors
        self._clock = clock
        self._raised: Mapping[Key, Claim] = {}
        self._forced_time: float | None = None

    @property
    def board(self) -> Board:
        """What was told last."""
        return self._noticeboard.board

    def tell(self, facts: Facts) -> None:
        """Everything of a cycle, to all that only ask."""
        self._noticeboard.show(facts.board)
        self._gauges.show(facts)

    def follow(self, board: Board, *, budget_seconds: float) -> FloorReport:
        """Makes floors what the board asks for, within this time after they were looked at."""
        if self._floors is not None:
            report = self._floors.follow(board, budget_seconds=budget_seconds)
            self._show(report, board)
            return report
        return FloorReport(
            problems=[FloorProblem(key, *DISABLED) for key, one in board.entries.items() if one.asks_for_floor]
        )

    def withdraw(self) -> None:
        """Another replica leads: what this one knew is not to stand beside what that one says."""
        self._gauges.clear()
        if self._floors is not None:
            # Of a board that knows nothing: it touches none, and looks at all of them when this replica leads again.
            self._floors.follow(Board())
            self._raised = {}

    def _show(self, report: FloorReport, board: Board) -> None:
        now = self._clock()
        if report.error is None:
            gone = [(key[0], claim.by) for key, claim in self._raised.items() if key not in report.floors]
            if any(_is_withheld(board, *key, now) for key in gone):
                self._forced_time = now
            self._raised = dict(report.floors)
        else:  # not all were looked at, so what is not there may still be raised
            self._raised = {**self._raised, **report.floors}
        floors = FloorFacts(len(self._raised), report.left, report.is_complete, forced_time=self._forced_time)
        self._gauges.show_floors(floors)


def by_key(report: FloorReport) -> Mapping[tuple[str, str], FloorProblem]:
    """The problems of those who ask for floors."""
    return {problem.key: problem for problem in report.problems}


def _is_withheld(board: Board, namespace: str, name: str, now: float) -> bool:
    """Whether a floor is still asked for, by a hint that must not be acted on."""
    entry = board.entries.get((namespace, name))
    if entry is None or not entry.asks_for_floor:
        return False
    try:
        entry.offered(now)
    except Withheld:
        return True
    return False
