"""
What the gauges are shown after a cycle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidecast_contract.forecast import Forecast
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.board import Board
from tidecast_operator.trust.skills import Skills


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """
    What a cycle has found out.

    Attributes:
        board: What autoscalers may be told.
        forecast: What was forecast; None if nothing was, this time: the one before is shown until it expires.
        expire_time: From then on the forecast is not shown, unix seconds; 0 without one.
        metrics: The names of the features to show.
        skills: How good past forecasts were; None if that is not known anew.
        trusted: What the condition Trusted says, by namespace and name; without those of whom it is not known.
        measured: What was measured; None if nothing was, this time: the newest step is shown until it is too old.
    """

    board: Board = field(default_factory=Board)
    forecast: Forecast | None = None
    expire_time: int = 0
    metrics: tuple[str, ...] = ()
    skills: Skills | None = None
    trusted: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    measured: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class FloorFacts:
    """
    What became of floors of HorizontalPodAutoscalers, where they are raised at all.

    Attributes:
        raised: How many are raised now.
        left: How many are still to be written or given back.
        is_complete: Whether nothing is left to do, as far as they could be looked at.
        forced_time: When one was last given back because its hint must not be acted on any more: not trusted, or
            expired. Unix seconds; None if that has not happened.
    """

    raised: int
    left: int
    is_complete: bool
    forced_time: float | None = None
