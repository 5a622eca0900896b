"""
A program that a test stops and starts again: the same command, the same ports, the same log file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tidecast_simulator.testbed.process import NotReady, Process


def answers_nothing() -> bool:
    """The readiness of a program that cannot be asked."""
    return True


@dataclass(slots=True)
class Program:
    """
    How a program is started, and its process while it runs; as a context manager it ends with the block.

    Attributes:
        command: The program and its arguments.
        log: The file for what it says, over all its starts.
        is_ready: Asked until it says yes.
    """

    command: Sequence[str | Path]
    log: Path
    is_ready: Callable[[], bool] = answers_nothing
    _process: Process | None = field(default=None, init=False)

    @property
    def process(self) -> Process:
        """
        The process of the last start.

        Raises:
            NotReady: If it was never started.
        """
        if self._process is None:
            raise NotReady(f"{self.command[0]} was not started")
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.is_running

    def start(self, *, wait_seconds: float = 60) -> Self:
        """
        Start it and wait until it is ready; with 0 do not wait.

        Raises:
            NotReady: If it ends, or is not ready in time.
        """
        self._process = Process.start(self.command, log=self.log)
        if wait_seconds:
            self._process.wait_until(self.is_ready, timeout_seconds=wait_seconds)
        return self

    def stop(self) -> None:
        """Ask it to end, and insist after 10 s; nothing when it does not run."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End it without a word, as a crash would."""
        if self._process is not None:
            self._process.kill()

    def restart(self, *, wait_seconds: float = 60) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start(wait_seconds=wait_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
