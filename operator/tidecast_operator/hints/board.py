"""
What autoscalers may be told at present: written after every cycle, read by every outlet, always from memory.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tidecast_contract.services import ServiceId
from tidecast_operator.hints.hint import Hint
from tidecast_operator.scaling import Mode, Scaling


class NotOffered(Exception):
    """
    There is nothing that an autoscaler may be told; the text says why and what to do.
    """


class Unknown(NotOffered):
    """Nobody has asked for hints of that name."""


class Withheld(NotOffered):
    """There is a hint, or will be, but it must not be acted on now: untrusted, expired, or not wanted yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What there is to say of one ServicePerformanceForecast with a `spec.scaling`.

    Attributes:
        namespace: Of the resource.
        name: Of the resource.
        uid: Of the resource.
        target: The workload.
        scaling: What its spec asks for; None if that is not valid.
        hint: The newest one, trusted or not; None while there is none.
        withheld: Why autoscalers must not be told; empty if they may be.
        issued_time: Of the forecast that the hint comes from, unix seconds; 0 without one.
        expire_time: From then on nobody may be told, unix seconds; 0 without a hint.
    """

    namespace: str
    name: str
    uid: str
    target: ServiceId
    scaling: Scaling | None
    hint: Hint | None
    withheld: str = ""
    issued_time: int = 0
    expire_time: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def asks_for_floor(self) -> bool:
        """Whether the floor of a HorizontalPodAutoscaler is to follow."""
        return self.scaling is not None and self.scaling.mode is Mode.ACTIVE and bool(self.scaling.autoscaler)

    def offered(self, now: float) -> Hint:
        """
        The hint, if autoscalers may be told.

        Raises:
            Withheld: If not.
        """
        if self.hint is None or self.withheld:
            raise Withheld(self.withheld or "there is no hint yet")
        if now >= self.expire_time:
            raise Withheld("the forecast has expired; see the condition ForecastFresh")
        return self.hint


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """
    Everything that autoscalers may be told at one moment.

    Attributes:
        time: Of the cycle, unix seconds.
        entries: By namespace and name.
        is_known: Whether a cycle has completed since the start; before, nothing is known of any name.
    """

    time: int = 0
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)
    is_known: bool = False

    def later(self, seconds: int) -> "Board":
        """The same with all times put off: as a replica says it whose clock is ahead by so many *seconds*."""
        entries = {
            key: replace(
                entry,
                issued_time=entry.issued_time and entry.issued_time + seconds,
                expire_time=entry.expire_time and entry.expire_time + seconds,
                hint=entry.hint and replace(entry.hint, effective_time=entry.hint.effective_time + seconds),
            )
            for key, entry in self.entries.items()
        }
        return replace(self, time=self.time + seconds, entries=entries)

    def offered(self, namespace: str, name: str, now: float) -> tuple[Entry, Hint]:
        """
        The entry of that name and its hint.

        Raises:
            Withheld: If nobody may be told now.
            Unknown: If there is no entry of that name.
        """
        entry = self.entries.get((namespace, name))
        if entry is not None:
            return entry, entry.offered(now)
        if not self.is_known:
            raise Withheld("no cycle has completed since the start")
        raise Unknown(
            f"there is no ServicePerformanceForecast {name} with spec.scaling in namespace {namespace}, "
            "or another one speaks for its target"
        )


class Noticeboard:
    """
    Where the newest board hangs; safe to use from several threads.
    """

    def __init__(self) -> None:
        self._board = Board()
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[Board], None], ...] = ()

    @property
    def board(self) -> Board:
        """The newest one."""
        return self._board

    def show(self, board: Board) -> None:
        """Replaces the board, and tells all listeners, in the caller's thread; they must not block."""
        with self._lock:
            self._board = board
            listeners = self._listeners
        for listener in listeners:
            listener(board)

    def show_if_newer(self, board: Board) -> bool:
        """The same, unless what hangs there is as new; whether it was shown."""
        with self._lock:
            if board.time <= self._board.time:
                return False
            self._board = board
            listeners = self._listeners
        for listener in listeners:
            listener(board)
        return True

    def listen(self, listener: Callable[[Board], None]) -> Callable[[], None]:
        """Calls *listener* with every new board; returns what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return stop

    def listen_on_loop(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls *listener* on the running event loop after every new board, whoever shows it; returns what ends that."""
        loop = asyncio.get_running_loop()

        def tell(_: Board) -> None:
            with suppress(RuntimeError):  # the loop has ended, and whoever shows boards goes on
                loop.call_soon_threadsafe(listener)

        return self.listen(tell)
