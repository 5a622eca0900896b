"""
One round of writes: what is planned after a look at the autoscalers, carried out as far as time and leadership go.

A floor and what tells the original one are written together, and only on an autoscaler that nobody has changed since it
was looked at. To give one back takes two writes, and after either of them everything that stands there is true. So it
does not matter where a crash falls: the next cycle, or the next process, goes on from what it finds.

Floors are given back before others are raised; the marks that are of no harm any more are removed last.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.autoscalers import Autoscaler
from tidecast_operator.errors import Misconfigured, TidecastError
from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.floors.claim import ANNOTATIONS, BY, RAISED, Claim, is_marked
from tidecast_operator.outlets.floors.looking import Reads, Seen
from tidecast_operator.outlets.floors.parallel import each
from tidecast_operator.outlets.floors.plan import FloorProblem, Key, Plan, Raise, Restore, plan

_log = logging.getLogger(__name__)
_TRIES = 3  # for an autoscaler that changes under our hands; its status does every few seconds


class AutoscalerDoor(Reads, Protocol):
    """What is needed of `Autoscalers`."""

    def apply(
        self, autoscaler: Autoscaler, floor: int, *, annotations: Mapping[str, str], labels: Mapping[str, str]
    ) -> Autoscaler | Outcome:
        """Writes floor, annotations and labels at once."""

    def release(
        self, autoscaler: Autoscaler, *, annotations: Sequence[str], labels: Collection[str]
    ) -> Autoscaler | Outcome:
        """Removes annotations and labels, and gives up all ownership at once."""


@dataclass(slots=True)
class FloorReport:
    """
    What became of the floors in one cycle.

    Attributes:
        raised: How many were written.
        restored: How many were given back, and bear no mark any more.
        left: How many are still to be written, given back, or rid of their marks, in the next cycle.
        floors: All that are raised now, by namespace and name of the autoscaler, as far as they were looked at.
        problems: Of those who ask for floors.
        error: Why not everything was looked at or tried; None if it was.
        has_looked: Whether anything was looked at, so that whoever asks for a floor and has no problem has that floor.
    """

    raised: int = 0
    restored: int = 0
    left: int = 0
    floors: dict[Key, Claim] = field(default_factory=dict)
    problems: list[FloorProblem] = field(default_factory=list)
    error: TidecastError | None = None
    has_looked: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to try."""
        return not self.left and self.error is None

    @property
    def lost(self) -> list[FloorProblem]:
        """Those of floors whose original is lost, on whichever autoscaler: by the next look nothing tells of them."""
        return [problem for problem in self.problems if problem.is_final]


class Interrupted(Exception):
    """Leadership or time has run out."""


class Round:
    """
    What follows from one look at the autoscalers.

    Args:
        autoscalers: Where they are.
        board: What is asked for.
        report: What becomes of it is added here.
        now: Unix seconds; asked before each single write, and raises `Interrupted` when there is to be none.
        threads: How many writes are under way at once.
        falls_from: Unix seconds; before that no hint that asks for less lowers a floor that stands.

    Attributes:
        marked: Where anything of ours stands, as far as is known.
    """

    def __init__(  # noqa: PLR0913 - what was seen of whom, what is asked for, and what bounds it
        self,
        autoscalers: AutoscalerDoor,
        board: Board,
        report: FloorReport,
        now: Callable[[], float],
        threads: int,
        *,
        falls_from: float = 0.0,
    ) -> None:
        self._autoscalers = autoscalers
        self._board = board
        self._report = report
        self._now = now
        self._threads = threads
        self._falls_from = falls_from
        self._lock = threading.Lock()
        self._is_over = False
        self._failures = 0  # in a row
        self._unmarking: list[Restore] = []
        self.marked: set[Key] = set()

    def run(self, seen: Seen) -> None:
        """
        Carries out what is planned for what was seen, and reports it.

        Raises:
            Interrupted: If leadership is lost before the first write.
        """
        planned = self._plan(seen.autoscalers.values(), seen.unread)
        self.marked = {key for key, one in seen.autoscalers.items() if is_marked(one)} | seen.unread.keys()
        self._report.floors |= planned.standing
        self._report.problems += planned.problems
        _tell_of_lost(planned.problems)
        self._report.error = self._report.error or seen.error
        # First what costs replicas that nobody wants, then what others wait for, last what is only tidy.
        restores = [step for step in planned.steps if isinstance(step, Restore)]
        self._unmarking = [step for step in restores if step.claim is None]
        self._all([step for step in restores if step.claim is not None])
        self._all([step for step in planned.steps if isinstance(step, Raise)])
        while self._unmarking:
            steps, self._unmarking = self._unmarking, []
            self._all(steps)

    def _plan(self, autoscalers: Iterable[Autoscaler], unread: Mapping[Key, str] | None = None) -> Plan:
        return plan(self._board, autoscalers, self._now(), unread=unread, falls_from=self._falls_from)

    def _all(self, steps: Sequence[Raise | Restore]) -> None:
        each(self._try, steps, threads=self._threads)

    def _try(self, step: Raise | Restore) -> None:
        if self._is_over:
            self._count("left")
            return
        try:
            self._carry_out(step)
        except WriteRefused as error:
            self._refused(step, error)
        except Interrupted:
            self._is_over = True
            self._count("left")
        except Misconfigured as error:  # it may be allowed in other namespaces
            self._report.error = self._report.error or error
            self._count("left")
        except TidecastError as error:
            self._report.error = self._report.error or error
            self._count("left")
            self._failed()
        else:
            self._failures = 0

    def _failed(self) -> None:
        """An API server that is busy turns some away; one that is gone answers nobody, and the rest is not tried."""
        with self._lock:
            self._failures += 1
            self._is_over |= self._failures >= self._threads

    def _carry_out(self, step: Raise | Restore) -> None:
        for _ in range(_TRIES):
            done = self._raise(step) if isinstance(step, Raise) else self._restore(step)
            if done is not Outcome.CONFLICT:
                return
            fresh = self._autoscalers.read(*step.autoscaler.key)
            if fresh is None:
                self.marked.discard(step.autoscaler.key)
                return
            again = self._plan([fresh])
            self._lose(again.problems)
            if not again.steps:
                self._report.floors |= again.standing
                if not again.standing:
                    self.marked.discard(fresh.key)
                return
            step = again.steps[0]
        self._count("left")

    def _lose(self, problems: Sequence[FloorProblem]) -> None:
        with self._lock:
            lost = [one for one in problems if one.is_final and one not in self._report.problems]
            self._report.problems += lost
        _tell_of_lost(lost)

    def _raise(self, step: Raise) -> Outcome:
        claim = step.claim
        self.marked.add(step.autoscaler.key)  # also if no answer comes
        after = self._apply(step.autoscaler, claim)
        if isinstance(after, Outcome):
            return after
        self._count("raised")
        self._report.floors[after.key] = claim
        _log.info("%s: floor raised from %d to %d for %s", after, claim.original, claim.floor, claim.by)
        return Outcome.DONE

    def _restore(self, step: Restore) -> Outcome:
        autoscaler = step.autoscaler
        if step.claim is not None:
            after = self._apply(autoscaler, step.claim)
            if isinstance(after, Outcome):
                return after
            _log.info("%s: floor of %d given back: %s", after, after.min_replicas, step.reason)
            self._unmarking.append(Restore(after, None, step.reason))
            return Outcome.DONE
        self._now()
        released = self._autoscalers.release(autoscaler, annotations=ANNOTATIONS, labels=tuple(RAISED))
        if isinstance(released, Outcome):
            return released
        self._count("restored")
        self.marked.discard(released.key)
        _log.debug("%s: marks removed, the floor is %d: %s", released, released.min_replicas, step.reason)
        return Outcome.DONE

    def _apply(self, autoscaler: Autoscaler, claim: Claim) -> Autoscaler | Outcome:
        self._now()
        return self._autoscalers.apply(autoscaler, claim.floor, annotations=claim.to_annotations(), labels=RAISED)

    def _refused(self, step: Raise | Restore, error: WriteRefused) -> None:
        by = step.claim.by if step.claim is not None else step.autoscaler.annotations.get(BY, "")
        _log.error("%s: %s", step.autoscaler, error)
        self._count("left")
        key = (step.autoscaler.namespace, by)
        self._report.problems.append(FloorProblem(key, "AutoscalerWriteRefused", f"{step.autoscaler}: {error}"))

    def _count(self, name: str) -> None:
        with self._lock:
            setattr(self._report, name, getattr(self._report, name) + 1)


def _tell_of_lost(problems: Iterable[FloorProblem]) -> None:
    """Where nobody asks for a floor any more, no status tells of it."""
    for problem in problems:
        if problem.is_final:
            _log.error("%s", problem.message)
