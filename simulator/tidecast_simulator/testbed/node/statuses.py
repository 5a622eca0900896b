"""
The status of a pod, as kubelet writes it, from what its containers do.
"""

import time
from collections.abc import Sequence

from tidecast_simulator.testbed.node.api import Body, timestamp
from tidecast_simulator.testbed.node.container import Container, State


def phase(initial: Sequence[Container], main: Sequence[Container]) -> str:
    """Pending, Running, Succeeded or Failed."""
    if any(one.is_done and one.state.exit_code != 0 for one in initial):
        return "Failed"
    if main and all(one.is_done and one.state.is_terminated for one in main):
        return "Failed" if any(one.state.exit_code != 0 for one in main) else "Succeeded"
    has_begun = all(one.state.started_at is not None or one.restarts or one.last_state for one in main)
    return "Running" if main and has_begun else "Pending"


def status_of(initial: Sequence[Container], main: Sequence[Container], *, is_ending: bool) -> Body:
    """
    Phase, conditions and statuses of containers; times of conditions are added by `Conditions`.

    Args:
        initial: The init containers.
        main: The others.
        is_ending: Whether the pod is to be deleted.
    """
    now = phase(initial, main)
    is_initialized = all(_is_passed(one) for one in initial)
    unready = [one.name for one in main if not one.is_ready]
    is_ready = not unready and not is_ending
    if now == "Succeeded":
        why: tuple[str, str] = ("PodCompleted", "")
    else:
        why = ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    conditions = [
        ("PodScheduled", True, ("", "")),
        ("Initialized", is_initialized, ("ContainersNotInitialized", "")),
        ("ContainersReady", is_ready, why),
        ("Ready", is_ready, why),
    ]
    return {
        "phase": now,
        "conditions": [_condition(*one) for one in conditions],
        "containerStatuses": [_container(one, is_ready=one.is_ready) for one in main],
        **(
            {"initContainerStatuses": [_container(one, is_ready=_is_passed(one)) for one in initial]} if initial else {}
        ),
    }


class Conditions:
    """Remembers since when conditions are what they are."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}

    def timed(self, status: Body) -> Body:
        """The status, each of its conditions with the time of its last transition."""
        timed = []
        for condition in status["conditions"]:
            before = self._known.get(condition["type"])
            if before is None or before[0] != condition["status"]:
                before = condition["status"], timestamp(time.time())
                self._known[condition["type"]] = before
            timed.append(condition | {"lastTransitionTime": before[1]})
        return status | {"conditions": timed}


def _condition(kind: str, is_true: bool, why: tuple[str, str]) -> Body:  # noqa: FBT001
    if is_true:
        # A patch takes a field away with null.
        return {"type": kind, "status": "True", "reason": None, "message": None}
    return {"type": kind, "status": "False", "reason": why[0], "message": why[1]}


def _is_passed(initial: Container) -> bool:
    return initial.is_done and initial.state.exit_code == 0


def _container(container: Container, *, is_ready: bool) -> Body:
    image = container.spec["image"]
    status = {
        "name": container.name,
        "image": image,
        "imageID": image,
        "ready": is_ready,
        "started": container.is_started,
        "restartCount": container.restarts,
        "state": _state(container.state),
    }
    if container.last_state is not None:
        status["lastState"] = _state(container.last_state)
    return status


def _state(state: State) -> Body:
    if state.is_terminated:
        times = {"startedAt": timestamp(state.started_at or 0), "finishedAt": timestamp(state.finished_at or 0)}
        ended: Body = {"exitCode": state.exit_code, "reason": state.reason, **times}
        return {"terminated": ended | ({"message": state.message} if state.message else {})}
    if state.is_running:
        return {"running": {"startedAt": timestamp(state.started_at or 0)}}
    waiting = {"reason": state.reason}
    return {"waiting": waiting | ({"message": state.message} if state.message else {})}
