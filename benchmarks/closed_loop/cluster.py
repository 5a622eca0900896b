"""
The real control plane of the closed loop, its controllers as quick as the model's world is accelerated.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scene import HIGHEST_REPLICAS, LEAST_REPLICAS, NAMESPACE, TARGET_UTILISATION, Pace, mesh
from stage import utilisation_request

from tidecast_simulator.kubernetes_objects import objects_of
from tidecast_simulator.mesh import Role, Service
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.process import Process

_AUTOSCALER = "HorizontalPodAutoscaler"


class HastenedControlPlane(ControlPlane):
    """A control plane whose controller manager is started with more flags."""

    more_flags: Sequence[str] = ()

    def _start_controllers(self) -> None:
        super()._start_controllers()
        assert self._controllers is not None  # noqa: S101 - for the type checker
        command = [str(part) for part in self._controllers._popen.args]  # type: ignore[union-attr]  # noqa: SLF001
        self._controllers.stop(timeout_seconds=5)
        program = command[command.index("--") + 1 :] if "--" in command else command
        # The last of two flags of the same name counts.
        self._controllers = Process.start(
            [*program, *self.more_flags], log=self.directory / "kube-controller-manager.log"
        )
        self._controllers.wait_until(self._controllers_work)


def start(directory: Path, pace: Pace, factor: float) -> ControlPlane:
    """A control plane on which *pace* passes *factor* times as fast."""
    names = {
        "sync-period": pace.sync,
        "downscale-stabilization": pace.stabilisation,
        "cpu-initialization-period": pace.initialisation,
        "initial-readiness-delay": pace.readiness,
    }
    HastenedControlPlane.more_flags = [
        f"--horizontal-pod-autoscaler-{name}={round(1000 * seconds / factor)}ms" for name, seconds in names.items()
    ]
    return HastenedControlPlane.start(directory, controllers=True)


def objects() -> list[dict[str, Any]]:
    """All of the mesh, with an autoscaler for each service but the gateway."""
    gateways = {service.name for service in mesh().services if service.role is Role.GATEWAY}
    found = []
    for body in objects_of(mesh()):
        name = body["metadata"]["name"]
        if body["kind"] == "EndpointSlice" or (body["kind"] == _AUTOSCALER and name in gateways):
            continue
        if body["kind"] == "Deployment":
            container = body["spec"]["template"]["spec"]["containers"][0]
            container["resources"] = {"requests": {"cpu": utilisation_request(mesh(), name)}}
            if name not in gateways:
                del body["spec"]["replicas"]  # the autoscaler's business
        if body["kind"] == _AUTOSCALER:
            body["spec"] |= {"minReplicas": LEAST_REPLICAS, "maxReplicas": HIGHEST_REPLICAS}
            target = body["spec"]["metrics"][0]["resource"]["target"]
            target["averageUtilization"] = round(100 * TARGET_UTILISATION)
        found.append(body)
    return found


def autoscaler(service: Service, metrics: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The service's autoscaler: by CPU, and by more metrics, of which it follows the one that asks for most."""
    body = next(one for one in objects() if (one["kind"], one["metadata"]["name"]) == (_AUTOSCALER, service.name))
    body["spec"]["metrics"] = [*metrics, *body["spec"]["metrics"]]
    return body


def apply(plane: ControlPlane, bodies: Sequence[dict[str, Any]]) -> None:
    """Makes or changes objects; autoscalers in the newest version that the API server has."""
    served = autoscaling_version(plane) if any(one["kind"] == _AUTOSCALER for one in bodies) else ""
    items = [one | {"apiVersion": served} if one["kind"] == _AUTOSCALER else one for one in bodies]
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def autoscaling_version(plane: ControlPlane) -> str:
    """The newest version of autoscalers with metrics of all kinds that the API server has."""
    served = plane.kubectl("api-versions").split()
    return next(version for version in ("autoscaling/v2", "autoscaling/v2beta2") if version in served)


def per_replica(service: Service, share: float) -> str:
    """What one replica carries, as forecasts and autoscalers are told it: both need the same."""
    return f"{service.capacity_rps * share:g}"


def forecast(service: Service, *, share: float, lead_seconds: float, quantile: float, floor: bool) -> dict[str, Any]:
    """The resource that asks for hints for a service."""
    scaling: dict[str, Any] = {
        "mode": "Active",
        "perReplica": per_replica(service, share),
        "quantile": f"{quantile:g}",
        "leadTimeSeconds": round(lead_seconds),
        "minReplicas": LEAST_REPLICAS,
        "maxReplicas": HIGHEST_REPLICAS,
    }
    if floor:
        scaling["horizontalPodAutoscalerName"] = service.name
    target = {"apiVersion": "apps/v1", "kind": service.kind, "name": service.name}
    return {
        "apiVersion": "tidecast.dev/v1alpha1",
        "kind": "ServicePerformanceForecast",
        "metadata": {"name": service.name, "namespace": NAMESPACE},
        "spec": {"targetRef": target, "scaling": scaling},
    }
