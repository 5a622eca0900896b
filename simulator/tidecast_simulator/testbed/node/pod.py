"""
The life of one pod, in a thread of its own: bound, mounted, started, watched, ended; its status follows.
"""

import logging
import shutil
import threading
import time
from pathlib import Path

import requests

from tidecast_simulator.testbed.node.api import Body, pod_path, timestamp
from tidecast_simulator.testbed.node.container import Container, Manner, State
from tidecast_simulator.testbed.node.launching import Launching
from tidecast_simulator.testbed.node.probing import patient
from tidecast_simulator.testbed.node.refusals import refusal, why_not_here
from tidecast_simulator.testbed.node.statuses import Conditions, phase, status_of
from tidecast_simulator.testbed.node.surroundings import Surroundings
from tidecast_simulator.testbed.node.variables import Unconfigured
from tidecast_simulator.testbed.node.volumes import NotMounted

HOST_ADDRESS = "192.0.2.1"
ENDED = ("Succeeded", "Failed")

_log = logging.getLogger(__name__)
_TICK_SECONDS, _MOUNT_SECONDS = 0.1, 0.5
_LAST_GRACE_SECONDS = 2.0


class RunningPod:
    """
    A pod on the node.

    Attributes:
        namespace: Where it is.
        name: Its own.
        uid: Its own.
        address: What its status says; nobody listens there.
        containers: All, init containers first.

    Args:
        pod: As the API server has it.
        address: For its status.
        surroundings: The node.
    """

    def __init__(self, pod: Body, address: str, surroundings: Surroundings) -> None:
        metadata, spec = pod["metadata"], pod["spec"]
        self.namespace, self.name, self.uid = metadata["namespace"], metadata["name"], metadata["uid"]
        self.address = address
        addresses = {"hostIP": HOST_ADDRESS, "podIP": address, "podIPs": [{"ip": address}]}
        self._fixed: Body = {"startTime": timestamp(time.time()), **addresses}
        self._body, self._spec, self._around = pod, spec, surroundings
        here = pod | {"status": self._fixed, "spec": spec | {"nodeName": surroundings.node}}
        self._launching = Launching(here, surroundings)
        self._wake, self._over = threading.Event(), threading.Event()
        self._is_gone = self._is_abandoned = self._is_mounted = self._is_ending = self._has_expired = False
        self._is_bound = bool(spec.get("nodeName"))
        self._since, self._next_mount = time.monotonic(), 0.0
        self._conditions = Conditions()
        self._told: Body = {}
        self._warned: set[tuple[str, str]] = set()
        policy = spec.get("restartPolicy", "Always")
        self._initial = [
            self._container(one, "OnFailure" if policy == "Always" else policy)
            for one in spec.get("initContainers") or ()
        ]
        self._main = [self._container(one, policy) for one in spec["containers"]]
        self.containers = [*self._initial, *self._main]
        self._refusal = refusal(spec, surroundings.programs.keys())
        self._thread = threading.Thread(target=self._run, name=f"pod {self.name}", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def see(self, pod: Body, *, is_gone: bool) -> None:
        """The pod has changed, or is not there any more."""
        self._body = pod
        self._is_gone = self._is_gone or is_gone
        self._wake.set()

    def abandon(self) -> None:
        """Ends its processes within some seconds, and says nothing about it."""
        self._is_abandoned = True
        self._wake.set()

    def join(self) -> None:
        """Waits until its processes have ended after `abandon`."""
        self._thread.join()

    def port(self, port: int) -> int:
        """The port of 127.0.0.1 for a port of the pod."""
        return self._launching.ports.get(port, port)

    @property
    def folder(self) -> Path:
        """Its volumes are in `volumes` by name, and what its containers said in `logs`."""
        return self._launching.folder

    def _container(self, spec: Body, policy: str) -> Container:
        grace_seconds = float(self._spec.get("terminationGracePeriodSeconds", 30))
        manner = Manner(policy, grace_seconds, self._around.backoff_seconds)
        logs = self._launching.folder / "logs" / spec["name"]
        return Container(
            patient(spec, self._around.patience), manner=manner, logs=logs, changed=self._wake.set, warn=self._warn
        )

    def _run(self) -> None:
        last_refusal = ""
        while not self._over.is_set():
            self._wake.clear()
            try:
                self._step()
            except requests.HTTPError as error:
                if str(error) != last_refusal:
                    last_refusal = str(error)
                    _log.warning("pod %s/%s: %s; again", self.namespace, self.name, error)
            except OSError as error:  # the API server is away: what is due stays due
                _log.debug("pod %s: %s; again", self.name, error)
            self._wake.wait(_TICK_SECONDS)

    def _step(self) -> None:
        if self._is_gone or self._is_abandoned:
            self._end(0 if self._is_gone else _LAST_GRACE_SECONDS)
        elif "deletionTimestamp" in self._body["metadata"]:
            self._end(float(self._body["metadata"].get("deletionGracePeriodSeconds") or 0))
        elif self._is_bound or self._bind():
            self._live()

    def _bind(self) -> bool:
        if reason := why_not_here(self._spec, self._around.labels, self._around.resources):
            unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": reason}
            self._tell(self._conditions.timed({"phase": "Pending", "conditions": [unscheduled]}))
            return False
        self._around.api.bind(self.namespace, self.name, self._around.node)
        self._is_bound = True
        return True

    def _live(self) -> None:
        if self._refusal is not None:
            self._warn("Failed", self._refusal.message)
            for container in self.containers:
                container.state = State(self._refusal.reason, self._refusal.message)
        elif phase(self._initial, self._main) not in ENDED and self._mount():
            if self._is_too_old():
                self._has_expired = True
                for container in self.containers:
                    container.end(0)
            self._go_on()
        self._tell_status()

    def _mount(self) -> bool:
        """Whether all volumes are there; from time to time brings them up to date."""
        if time.monotonic() < self._next_mount:
            return self._is_mounted
        pause = self._around.refresh_seconds if self._is_mounted else _MOUNT_SECONDS
        self._next_mount = time.monotonic() + pause
        try:
            self._launching.mount()
        except (NotMounted, Unconfigured) as missing:
            self._warn("FailedMount", str(missing))
            if not self._is_mounted:
                for container in self.containers:
                    container.state = State("ContainerCreating", str(missing))
            return self._is_mounted  # what was mounted once stays as it was
        self._is_mounted = True
        return True

    def _go_on(self) -> None:
        for container in self._initial:
            self._go_on_with(container)
            if not container.is_done or container.state.exit_code != 0:
                return
        for container in self._main:
            self._go_on_with(container)

    def _go_on_with(self, container: Container) -> None:
        try:
            container.go_on(lambda: self._launching.launch(container.spec), self._launching.asked(container.spec))
        except Unconfigured as missing:
            self._warn("Failed", str(missing))
            container.wait_for("CreateContainerConfigError", str(missing))

    def _is_too_old(self) -> bool:
        seconds = self._spec.get("activeDeadlineSeconds")
        return seconds is not None and time.monotonic() > self._since + seconds

    def _end(self, grace_seconds: float) -> None:
        if not self._is_ending or not grace_seconds:
            self._is_ending = True
            for container in self.containers:
                container.end(grace_seconds)
        ended = [container.notice_end() for container in self.containers]  # each of them, so no generator
        if not all(ended):
            if not (self._is_gone or self._is_abandoned):
                self._tell_status()
            return
        if not (self._is_gone or self._is_abandoned):
            self._tell_status()
            self._around.api.delete(pod_path(self.namespace, self.name), self.uid, at_once=True)
        shutil.rmtree(self.folder / "volumes", ignore_errors=True)
        self._over.set()

    def _tell_status(self) -> None:
        status = status_of(self._initial, self._main, is_ending=self._is_ending)
        if self._has_expired:
            status |= {"reason": "DeadlineExceeded", "message": "Pod was active longer than its activeDeadlineSeconds"}
        is_over = (self._is_ending or self._has_expired) and not any(one.state.is_running for one in self.containers)
        if is_over and status["phase"] not in ENDED:
            status["phase"] = "Failed"  # ended before it had begun
        self._tell(self._conditions.timed(status) | self._fixed)

    def _tell(self, status: Body) -> None:
        if status != self._told:
            body = {"metadata": {"uid": self.uid}, "status": status}
            self._around.api.patch(f"{pod_path(self.namespace, self.name)}/status", body)
            self._told = status

    def _warn(self, reason: str, message: str) -> None:
        if (reason, message) not in self._warned:
            self._warned.add((reason, message))
            self._around.api.warn(self._body, reason, message)
