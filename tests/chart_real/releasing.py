"""
A release of the chart on a real API server, by Helm itself.

Each action has a connection of its own: one that is kept remembers the kinds that the server had before.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import helm_python
from helm_python import _native

from chart.rendering import CHART, NAMESPACE, RELEASE
from tidecast_simulator.testbed.control_plane import ControlPlane

SECONDS = 300
"""How long an action may take, on a busy host too: as Helm has it by default, and longer than the Job before an uninstall."""

_NONE = _native.HANDLE(0)


class Release:
    """
    The release `tidecast` in the namespace `tidecast-system`.

    Every action raises a `HelmError` with what Helm said if it fails.

    Args:
        plane: Where it is.
        waits: Whether it waits for pods and runs hooks; without a node it cannot.
        applies: Whether objects are applied by the server; an old one cannot apply all kinds.
    """

    def __init__(self, plane: ControlPlane, *, waits: bool = True, applies: bool = True) -> None:
        self._plane = plane
        self._waiting: dict[str, Any] = {"timeout_seconds": SECONDS}
        self._waiting |= {"wait": "watcher"} if waits else {"disable_hooks": True}
        # What comes after an installation writes as that did.
        self._installing = {} if applies else {"server_side_apply": False}

    def install(self, values: Mapping[str, Any], *, chart: Path = CHART) -> Mapping[str, Any]:
        """Installs it, as `helm install --wait` does."""
        return self._write("helm_install", chart, values, self._waiting | self._installing)

    def upgrade(self, values: Mapping[str, Any], *, chart: Path = CHART) -> Mapping[str, Any]:
        """Upgrades it to a chart and values."""
        return self._write("helm_upgrade", chart, values, self._waiting)

    def rollback(self) -> None:
        """Goes back to the revision before."""
        with self._connection() as helm:
            _native.call_status("helm_rollback", helm._raw(), RELEASE, json.dumps(self._waiting))

    def test(self) -> str:
        """Runs the pods of `helm test`; what they said."""
        with self._connection() as helm:
            return str(helm.test(RELEASE, timeout=SECONDS))

    def uninstall(self) -> None:
        """Takes it away, as `helm uninstall --wait` does."""
        with self._connection() as helm:
            _native.call_string("helm_uninstall", helm._raw(), RELEASE, json.dumps(self._waiting))

    def discard(self) -> None:
        """Takes it away without its hook, if it is there; nothing can be expected of pods any more."""
        with self._connection() as helm:
            options = json.dumps({"disable_hooks": True, "ignore_not_found": True, "timeout_seconds": SECONDS})
            _native.call_string("helm_uninstall", helm._raw(), RELEASE, options)

    @property
    def history(self) -> list[str]:
        """The state of each revision, the oldest first; empty for none."""
        with self._connection() as helm:
            try:
                return [str(one["status"]) for one in helm.history(RELEASE)]
            except helm_python.HelmNotFoundError:
                return []

    def _write(
        self, action: str, chart: Path, values: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        # The library takes all options of Helm, its methods for Python have no arguments for some.
        with self._connection() as helm:
            given = (_NONE, _NONE, str(chart), RELEASE, json.dumps(values), json.dumps(options))
            answer: Mapping[str, Any] = json.loads(_native.call_string(action, helm._raw(), *given))
        return answer

    def _connection(self) -> Any:
        return closing(helm_python.Config(kubeconfig_path=self._plane.kubeconfig, namespace=NAMESPACE))
