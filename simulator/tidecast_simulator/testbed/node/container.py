"""
One container: a process that is started, watched, probed, ended, and started again as its restart policy says.

Called by the thread of its pod alone, but for `kill`.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tidecast_simulator.testbed.node.api import Body
from tidecast_simulator.testbed.node.probing import KINDS, Asked, Launch, Probe, check, run

_LONGEST_BACKOFF = 30


@dataclass(frozen=True, slots=True)
class State:
    """
    What a container does; exactly one of waiting, running and terminated.

    Attributes:
        reason: Why it waits or ended; empty while it runs.
        message: More about that.
        started_at: When its process started, unix seconds; None before.
        finished_at: When it ended; None before.
        exit_code: With 128 and its number for a signal; None before its end.
    """

    reason: str = ""
    message: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self.started_at is not None and self.finished_at is None

    @property
    def is_terminated(self) -> bool:
        """Whether there was one."""
        return self.finished_at is not None


@dataclass(frozen=True, slots=True)
class Manner:
    """
    How a container is ended and started again.

    Attributes:
        policy: The restartPolicy: Always, OnFailure or Never.
        grace_seconds: From SIGTERM until SIGKILL when a probe ends it.
        backoff_seconds: The pause before its second restart, doubled with each; the first comes at once.
    """

    policy: str
    grace_seconds: float
    backoff_seconds: float


class Container:
    """
    A container of a pod.

    Attributes:
        spec: As the pod has it.
        state: What it does now.
        last_state: How it ended before; None if it never did.
        restarts: How often it was started again.
        is_done: Whether it has ended and is not started again.

    Args:
        spec: As the pod has it.
        manner: How it is ended and started again.
        logs: A folder for what it says, a file for each start.
        changed: Called from other threads when there is something to do.
        warn: Told reason and message of what goes wrong.
    """

    def __init__(
        self,
        spec: Body,
        *,
        manner: Manner,
        logs: Path,
        changed: Callable[[], None],
        warn: Callable[[str, str], None],
    ) -> None:
        self.spec = spec
        self.state = State("ContainerCreating")
        self.last_state: State | None = None
        self.restarts = 0
        self.is_done = False
        self._manner = manner
        self._logs = logs
        self._changed = changed
        self._warn = warn
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: Asked | None = None
        self._probes: dict[str, Probe] = {}
        self._starts = 0
        self._next_start = 0.0
        self._kill_at: float | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.spec["name"])

    @property
    def log(self) -> Path:
        """The file of its present or last start."""
        return self._logs / f"{max(0, self._starts - 1)}.log"

    @property
    def is_started(self) -> bool:
        """Whether it runs and its startup probe has passed."""
        startup = self._probes.get("startupProbe")
        return self.state.is_running and (startup is None or startup.has_passed)

    @property
    def is_ready(self) -> bool:
        """Whether it may be sent requests."""
        readiness = self._probes.get("readinessProbe")
        return self.is_started and self._kill_at is None and (readiness is None or readiness.has_passed)

    def go_on(self, launch: Callable[[], Launch], asked: Asked) -> None:
        """
        Does what is due: starts it, notices its end, ends it when a probe asks for that.

        Args:
            launch: How it is started, asked at each start.
            asked: For its probes.
        """
        if self._process is not None:
            self._notice_end()
            if self._process is not None:
                self._obey_probes()
        elif not self.is_done and time.monotonic() >= self._next_start:
            self._start(launch(), asked)

    def wait_for(self, reason: str, message: str) -> None:
        """Says why it is not started yet, and lets some time pass before the next try."""
        self.state = State(reason, message)
        self._next_start = time.monotonic() + self._manner.backoff_seconds

    def end(self, grace_seconds: float) -> None:
        """Has it end: its hook, SIGTERM, and SIGKILL when it takes longer; it is not started again by itself."""
        self.is_done = True
        self._end_process(grace_seconds)

    def notice_end(self) -> bool:
        """After `end`: whether its process is gone, which is killed when its time is over."""
        if self._process is not None:
            self._notice_end()
        return self._process is None

    def kill(self, number: signal.Signals) -> None:
        """Sends its process a signal, as somebody would from outside of the pod."""
        process = self._process
        if process is None:
            raise ProcessLookupError(f"the container {self.name} has no process")
        process.send_signal(number)

    def _start(self, launch: Launch, asked: Asked) -> None:
        self._asked = asked
        self._logs.mkdir(parents=True, exist_ok=True)
        if self._starts:
            self.restarts += 1
        self._starts += 1
        self._kill_at = None
        # It ends with the thread of its pod, also when that is killed.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        program = shutil.which(launch.arguments[0], path=launch.environment["PATH"])
        if program is None:
            self._fail(f"{launch.arguments[0]}: no such program on this machine")
            return
        try:
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    [*guard, program, *launch.arguments[1:]],
                    env=dict(launch.environment), cwd=launch.folder, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                )  # fmt: skip
        except OSError as error:
            self._fail(f"{program}: {error}")
            return
        self.state = State(started_at=time.time())
        for kind in KINDS:
            if kind in self.spec:
                is_due = (lambda: True) if kind == "startupProbe" else (lambda: self.is_started)
                self._probes[kind] = Probe(self.spec[kind], asked, is_due=is_due, changed=self._changed)

    def _fail(self, message: str) -> None:
        now = time.time()
        self._warn("Failed", message)
        self._ended(State("StartError", message, started_at=now, finished_at=now, exit_code=128))

    def _notice_end(self) -> None:
        process = self._process
        if process is None:
            return
        code = process.poll()
        if code is None:
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._kill_group()
            return
        self._kill_group()  # nothing outlives the first process of a container
        self._process = None
        exit_code = code if code >= 0 else 128 - code
        state = State("Error" if exit_code else "Completed", exit_code=exit_code, finished_at=time.time())
        self._ended(replace(state, started_at=self.state.started_at))

    def _ended(self, state: State) -> None:
        for probe in self._probes.values():
            probe.stop()
        self._probes.clear()
        self.state = state
        again = self._manner.policy == "Always" or (self._manner.policy == "OnFailure" and state.exit_code != 0)
        if self.is_done or not again:
            self.is_done = True
            return
        self.last_state = state
        pause = min(_LONGEST_BACKOFF, self._manner.backoff_seconds * 2 ** (self.restarts - 1)) if self.restarts else 0.0
        self._next_start = time.monotonic() + pause
        if pause:
            message = f"back-off {pause:g}s restarting failed container={self.name}"
            self.state = State("CrashLoopBackOff", message)

    def _obey_probes(self) -> None:
        for kind in ("startupProbe", "livenessProbe"):
            probe = self._probes.get(kind)
            if probe is not None and probe.has_failed and self._kill_at is None:
                self._warn("Unhealthy", f"{kind} of {self.name} failed: {probe.message}; it is ended")
                grace_seconds = self.spec[kind].get("terminationGracePeriodSeconds", self._manner.grace_seconds)
                self._end_process(grace_seconds)

    def _end_process(self, grace_seconds: float) -> None:
        process = self._process
        if process is None:
            return
        until = time.monotonic() + grace_seconds
        self._kill_at = until if self._kill_at is None else min(until, self._kill_at)
        if grace_seconds <= 0:
            self._kill_group()
            return
        hook, asked = (self.spec.get("lifecycle") or {}).get("preStop"), self._asked
        if hook is None or asked is None:
            process.terminate()
        else:
            thread = threading.Thread(target=_end_after_hook, args=(hook, asked, process, grace_seconds), daemon=True)
            thread.start()

    def _kill_group(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _end_after_hook(hook: Body, asked: Asked, process: subprocess.Popen[bytes], seconds: float) -> None:
    if "sleep" in hook:
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(seconds, hook["sleep"]["seconds"]))
    elif "exec" in hook:
        run(asked.launch_of(hook["exec"]["command"]), seconds)
    else:
        check(hook | {"timeoutSeconds": seconds}, asked)
    process.terminate()
