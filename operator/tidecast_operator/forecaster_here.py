"""
A Forecaster that is in no API server: its spec comes from a file, its conditions are told by log and by gauges.

For an operator that may not touch what has no namespace.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tidecast_operator.api_answers import Outcome
from tidecast_operator.forecaster_file import Manifest
from tidecast_operator.publishing.writer import Writes
from tidecast_operator.resources import DEFAULT_FORECASTER, FORECASTER_KIND

_log = logging.getLogger(__name__)
_UID = "file"


class Observes(Protocol):
    """What is needed of the picture; on the event loop."""

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Takes in one watch event."""


class ForecasterHere:
    """
    Shows a picture the Forecaster of a file, and keeps its status.

    Args:
        picture: Who has to know it.
        on_loop: Calls something on the event loop, from any thread.
    """

    def __init__(self, picture: Observes, *, on_loop: Callable[[Callable[[], None]], object]) -> None:
        self._picture = picture
        self._on_loop = on_loop
        self._spec: Mapping[str, Any] = {}
        self._status: Mapping[str, Any] = {}
        self._generation = 0

    async def take(self, manifest: Manifest) -> None:
        """From now on the Forecaster says what *manifest* says; on the event loop."""
        # Whoever lists the namespaces has chosen them.
        self._spec = dict(manifest.spec) | {"namespaceSelector": {}}
        self._generation += 1
        self._show()

    def stand_in(self) -> None:
        """
        As long as the file cannot be followed, there is a Forecaster without a spec: one that is not valid takes back
        nothing of what was told before a restart, as none at all would. On the event loop.
        """
        if not self._generation:
            self._show()

    def told(self, status: Mapping[str, Any]) -> None:
        """Keeps the conditions of a status, and logs those that turned; in any thread."""
        before = {one["type"]: one for one in self._status.get("conditions", ())}
        for condition in status.get("conditions", ()):
            old = before.get(condition["type"], {})
            if (old.get("status"), old.get("reason")) != (condition["status"], condition["reason"]):
                level = logging.INFO if condition["status"] == "True" else logging.WARNING
                text = "Forecaster: %s is %s, %s: %s"
                _log.log(level, text, *(condition[key] for key in ("type", "status", "reason", "message")))
        self._status = {key: status[key] for key in ("observedGeneration", "conditions") if key in status}
        self._on_loop(self._show)

    def _show(self) -> None:
        metadata = {"name": DEFAULT_FORECASTER, "uid": _UID, "generation": self._generation}
        self._picture.observe(
            "MODIFIED", {"kind": FORECASTER_KIND, "metadata": metadata, "spec": self._spec, "status": self._status}
        )


class StatusHere:
    """
    Writes to the API server as before, but for what concerns the Forecaster: that stays in this process.

    Args:
        cluster: For all other writes.
        here: The Forecaster.
    """

    def __init__(self, cluster: Writes, here: ForecasterHere) -> None:
        self.create_forecast = cluster.create_forecast
        self.delete_forecast = cluster.delete_forecast
        self.patch_forecast_status = cluster.patch_forecast_status
        self._create_event = cluster.create_event
        self._here = here

    def patch_forecaster_status(self, name: str, status: Mapping[str, Any]) -> Outcome:
        """Keeps it."""
        if name == DEFAULT_FORECASTER:
            self._here.told(status)
        return Outcome.DONE

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> Outcome:
        """Creates an Event; one about the Forecaster has no namespace to live in, and the log has told it."""
        if body["involvedObject"]["kind"] == FORECASTER_KIND:
            return Outcome.DONE
        return self._create_event(namespace, body)
