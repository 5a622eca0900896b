"""
Programs that run beside a test: started with a log file, awaited with a deadline, stopped by their own pid.

Each ends with the thread that started it, also when that is killed, and is out of reach of the terminal's Ctrl-C,
so that whoever started several decides in which order they end.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05
_PORTS = range(20000, 32000)  # below Linux' ephemeral range, where an outgoing connection could take one away
_given: set[int] = set()


class NotReady(Exception):
    """A program ended or did not get ready in time; the text has the end of its log."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that this process has not given out before."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise NotReady(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(slots=True)
class Process:
    """
    A program that was started.

    Attributes:
        name: For messages.
        log: The file that its standard output and error are appended to.
    """

    name: str
    log: Path
    _popen: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls, command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> "Process":
        """Start a program; *environment* is added to that of this process."""
        name = Path(command[0]).name
        # prctl in a preexec_fn could deadlock in a process with threads; setpriv sets the same and then is the program.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [*guard, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        return cls(name, log, popen)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.exit_code is None

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float = 60) -> None:
        """
        Return as soon as *ready* says so.

        Raises:
            NotReady: If the program ends before, or the time is over.
        """
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if not self.is_running:
                raise NotReady(f"{self.name} ended with {self.exit_code}; the end of {self.log}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} not ready in {timeout_seconds:g} s; {self.log} ends:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self, *, timeout_seconds: float = 10) -> None:
        """End it with SIGTERM, and with SIGKILL when it takes longer than *timeout_seconds*; may be called twice."""
        if not self.is_running:
            return
        self._popen.send_signal(signal.SIGCONT)
        self._popen.terminate()
        try:
            self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._popen.kill()
        self._popen.wait()

    def pause(self) -> None:
        """Stop it without ending it: it keeps its connections and answers nothing, like a machine that hangs."""
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._popen.send_signal(signal.SIGCONT)

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
