"""
The doors by which an autoscaler hears of hints: the floor that the operator writes, and its two metrics APIs.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from cluster import apply, autoscaler, per_replica

from tidecast_operator.outlets.metrics_api.certificates import ca_bundle_patch
from tidecast_simulator.mesh import Service
from tidecast_simulator.testbed.control_plane import CommandFailed, ControlPlane
from tidecast_simulator.testbed.process import NotReady, free_port

_EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"
_SERVICE, _OPERATORS_NAMESPACE = "tidecast-metrics-api", "tidecast-system"
_PAUSE_SECONDS, _PATIENCE_SECONDS = 0.25, 120.0
_Answer = TypeVar("_Answer")


class FloorDoor:
    """The operator raises `minReplicas`; autoscalers stay as they are."""

    operator_flags: Sequence[str] = ("--hpa-floors",)

    @contextmanager
    def registered(self, plane: ControlPlane) -> Iterator[None]:  # noqa: ARG002 - of all doors
        """Nothing has to be told to the API server."""
        yield

    def open(self, plane: ControlPlane, services: Sequence[Service], *, share: float) -> None:
        """Nothing has to be told to autoscalers: the forecast names its own."""


@dataclass(frozen=True, slots=True)
class MetricDoor:
    """
    Autoscalers ask a metrics API that the operator serves, beside CPU.

    Attributes:
        api: `external` or `custom`.
        folder: For the operator's certificate.
        port: Where the operator serves.
    """

    api: str
    folder: Path
    port: int

    @property
    def operator_flags(self) -> Sequence[str]:
        """With which the operator serves it."""
        return (
            f"--metrics-api-address=127.0.0.1:{self.port}",
            f"--metrics-api-tls-folder={self.folder}",
            f"--metrics-api-own-certificate={_SERVICE}.{_OPERATORS_NAMESPACE}",
        )

    @contextmanager
    def registered(self, plane: ControlPlane) -> Iterator[None]:
        """
        The API server passes on what autoscalers ask, to an operator that is running.

        Raises:
            NotReady: If it does not within two minutes.
        """
        authority = _until("the operator makes its certificate", (self.folder / "ca.crt").read_bytes)
        bodies = self._registration(authority)
        plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))
        spec = next(one["spec"] for one in bodies if one["kind"] == "APIService")
        try:
            path = f"/apis/{spec['group']}/{spec['version']}"
            _until(f"the API server passes on {path}", lambda: plane.kubectl("get", "--raw", path))
            yield
        finally:
            # First of all: an API without its server is in the way of everybody.
            plane.kubectl("delete", "apiservice", f"{spec['version']}.{spec['group']}", "--ignore-not-found")

    def open(self, plane: ControlPlane, services: Sequence[Service], *, share: float) -> None:
        """The autoscalers of these services follow their forecasts from now on."""
        apply(plane, [autoscaler(service, [self.metric(service, share=share)]) for service in services])

    def metric(self, service: Service, *, share: float) -> dict[str, Any]:
        """What the autoscaler of a service is to follow beside CPU: as in the example that users apply."""
        example = yaml.safe_load((_EXAMPLES / f"hpa-{self.api}-metric.yaml").read_text())
        metric: dict[str, Any] = example["spec"]["metrics"][0]
        source = metric[metric["type"].lower()]
        source["target"]["averageValue"] = per_replica(service, share)
        if self.api == "external":
            source["metric"]["selector"]["matchLabels"]["forecast"] = service.name
        else:
            source["describedObject"]["name"] = service.name
        return metric

    def _registration(self, authority: bytes) -> list[dict[str, Any]]:
        """As in the example that users apply, with a Service that leads to this machine."""
        found = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _OPERATORS_NAMESPACE}}]
        for body in yaml.safe_load_all((_EXAMPLES / f"apiservice-{self.api}-metrics.yaml").read_text()):
            if body["kind"] == "Service":
                body["spec"] = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": self.port}]}
            if body["kind"] == "APIService":
                body["spec"]["service"]["port"] = self.port
                body["spec"] |= ca_bundle_patch(authority)["spec"]
            found.append(body)
        return found


Door = FloorDoor | MetricDoor


def door_of(scaler: str, directory: Path) -> Door:
    """The door of a scaler with hints; its files are in *directory*."""
    return FloorDoor() if scaler == "floor" else MetricDoor(scaler, directory / "metrics-api", free_port())


def heard(autoscaler: Mapping[str, Any]) -> str:
    """What an autoscaler's status says of the hint: the metric's value for each replica; empty if it says nothing."""
    for metric in autoscaler.get("status", {}).get("currentMetrics") or ():
        if metric["type"] in ("External", "Object"):
            value: str = metric[metric["type"].lower()]["current"].get("averageValue", "")
            return value
    return ""


def _until(what: str, do: Callable[[], _Answer]) -> _Answer:
    """What it answers as soon as it can."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return do()
        except (CommandFailed, OSError) as error:
            if time.monotonic() > deadline:
                raise NotReady(f"waited in vain until {what}; see its log: {error}") from error
            time.sleep(_PAUSE_SECONDS)
