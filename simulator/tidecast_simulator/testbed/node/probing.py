"""
Probes of a container: each asks in a thread of its own, so that one that hangs holds up nothing.
"""

import http.client
import math
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tidecast_simulator.testbed.node.api import Body

KINDS = ("startupProbe", "readinessProbe", "livenessProbe")

_EAGER_SECONDS = 0.25
_TIMEOUT_SECONDS, _FAILURES = 1, 3  # what the API server would fill in
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Launch:
    """
    How a program is started.

    Attributes:
        arguments: The program and its arguments.
        environment: All its variables.
        folder: Where it starts.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Whom a probe asks.

    Attributes:
        port_of: The port of 127.0.0.1 for a port of the container, by name or number.
        launch_of: How a command of the container's own is started.
    """

    port_of: Callable[[str | int], int]
    launch_of: Callable[[Sequence[str]], Launch]


class Probe:
    """
    Asks again and again, until it is stopped.

    Until it first succeeds it asks more often than its period says, so that tests do not wait for it; failures
    still count once a period.

    Attributes:
        has_passed: Whether it is passed at present; the kind of probe says what holds before its first answer.
        has_failed: Whether it has failed as often in a row as its threshold says.
        message: What the last failure said.
    """

    def __init__(self, spec: Body, asked: Asked, *, is_due: Callable[[], bool], changed: Callable[[], None]) -> None:
        self.has_passed = False
        self.has_failed = False
        self.message = ""
        self._spec = spec
        self._asked = asked
        self._is_due = is_due
        self._changed = changed
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def stop(self) -> None:
        """Ends it after the question that is under way."""
        self._stopped.set()

    def _run(self) -> None:
        period = self._spec.get("periodSeconds", 10)
        successes = failures = 0
        last_counted = float("-inf")
        self._stopped.wait(self._spec.get("initialDelaySeconds", 0))
        while not self._stopped.is_set():
            if not self._is_due():
                self._stopped.wait(_EAGER_SECONDS)
                continue
            message = check(self._spec, self._asked, self._stopped)
            if self._stopped.is_set():
                return
            if not message:
                successes, failures = successes + 1, 0
                self._settle(has_passed=self.has_passed or successes >= self._spec.get("successThreshold", 1))
            elif time.monotonic() >= last_counted + period:
                last_counted = time.monotonic()
                successes, failures, self.message = 0, failures + 1, message
                if failures >= self._spec.get("failureThreshold", _FAILURES):
                    self._settle(has_passed=False, has_failed=True)
            self._stopped.wait(period if self.has_passed or failures == 0 else min(period, _EAGER_SECONDS))

    def _settle(self, *, has_passed: bool, has_failed: bool = False) -> None:
        if (has_passed, has_failed) != (self.has_passed, self.has_failed):
            self.has_passed, self.has_failed = has_passed, has_failed
            self._changed()


def patient(container: Body, factor: float) -> Body:
    """A container whose probes wait and fail so many times as long, for a machine that is busy."""
    found = dict(container)
    for kind in KINDS:
        if kind in found:
            spec = found[kind]
            timeout_seconds = spec.get("timeoutSeconds", _TIMEOUT_SECONDS) * factor
            threshold = math.ceil(spec.get("failureThreshold", _FAILURES) * factor)
            found[kind] = spec | {"timeoutSeconds": timeout_seconds, "failureThreshold": threshold}
    return found


def check(spec: Body, asked: Asked, stopped: threading.Event | None = None) -> str:
    """What is wrong, asked once; empty if nothing is. A command ends early when it is *stopped*."""
    seconds = spec.get("timeoutSeconds", _TIMEOUT_SECONDS)
    try:
        if "httpGet" in spec:
            return _http(spec["httpGet"], asked.port_of(spec["httpGet"]["port"]), seconds)
        if "tcpSocket" in spec:
            socket.create_connection(("127.0.0.1", asked.port_of(spec["tcpSocket"]["port"])), seconds).close()
            return ""
        if "grpc" in spec:
            return _grpc(spec["grpc"], asked.port_of(spec["grpc"]["port"]), seconds)
        return run(asked.launch_of(spec["exec"]["command"]), seconds, stopped)
    except (OSError, http.client.HTTPException) as error:
        return f"probe failed: {error}"


def run(launch: Launch, seconds: float, stopped: threading.Event | None = None) -> str:
    """Runs a command to its end, for so many *seconds* at most; what is wrong with it, empty if nothing is."""
    try:
        process = subprocess.Popen(
            launch.arguments, env=dict(launch.environment), cwd=launch.folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        return f"probe errored: {error}"
    until = time.monotonic() + seconds
    with process:
        while True:
            try:
                output, _ = process.communicate(timeout=_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() >= until or (stopped is not None and stopped.is_set()):
                    os.killpg(process.pid, signal.SIGKILL)
                    return f"no end after {seconds:g} s"
            else:
                text = output.decode(errors="replace")[-500:]
                return f"ended with {process.returncode}: {text}" if process.returncode else ""


def _http(spec: Body, port: int, seconds: float) -> str:
    if spec.get("scheme", "HTTP").upper() == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # kubelet does not verify either
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    headers = {"User-Agent": "kube-probe/tests", "Accept": "*/*", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in spec.get("httpHeaders") or ()}
    try:
        connection.request("GET", spec.get("path", "/"), headers=headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    is_well = http.client.OK <= status < http.client.BAD_REQUEST
    return "" if is_well else f"HTTP probe failed with statuscode: {status}"


def _grpc(spec: Body, port: int, seconds: float) -> str:
    request = health_pb2.HealthCheckRequest(service=spec.get("service") or "")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=seconds)
        except grpc.RpcError as error:
            return f"gRPC probe failed: {error.code()}"
    is_serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return "" if is_serving else f"gRPC probe failed: status {answer.status}"
