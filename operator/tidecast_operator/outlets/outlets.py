"""
All that is told to others, and done to them, once a cycle knows what is to be said.
"""

from collections.abc import Mapping

from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.outlets.floors.floors import FloorReport, Floors
from tidecast_operator.outlets.floors.plan import FloorProblem
from tidecast_operator.outlets.gauges.facts import Facts
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
    """

    def __init__(self, noticeboard: Noticeboard, gauges: Gauges, floors: Floors | None = None) -> None:
        self._noticeboard = noticeboard
        self._gauges = gauges
        self._floors = floors

    @property
    def board(self) -> Board:
        """What was told last."""
        return self._noticeboard.board

    def tell(self, facts: Facts) -> None:
        """Everything of a cycle, to all that only ask."""
        self._noticeboard.show(facts.board)
        self._gauges.show(facts)

    def follow(self, board: Board) -> FloorReport:
        """Makes floors what the board asks for."""
        if self._floors is not None:
            return self._floors.follow(board)
        return FloorReport(
            problems=[FloorProblem(key, *DISABLED) for key, one in board.entries.items() if one.asks_for_floor]
        )

    def withdraw(self) -> None:
        """Another replica leads: what this one knew is not to stand beside what that one says."""
        self._gauges.clear()
        if self._floors is not None:
            # Of a board that knows nothing: it touches none, and looks at all of them when this replica leads again.
            self._floors.follow(Board())


def by_key(report: FloorReport) -> Mapping[tuple[str, str], FloorProblem]:
    """The problems of those who ask for floors."""
    return {problem.key: problem for problem in report.problems}
