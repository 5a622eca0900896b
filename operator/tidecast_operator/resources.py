"""
Tidecast's custom resources as the operator sees them: what is written in an object, and what one looks like.

Pure: knows neither the API server nor telemetry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidecast_contract.services import ServiceId
from tidecast_operator.published import Published, from_time

GROUP = "tidecast.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FORECASTS = "serviceperformanceforecasts"
FORECASTERS = "forecasters"
FORECAST_KIND = "ServicePerformanceForecast"
FORECASTER_KIND = "Forecaster"
DEFAULT_FORECASTER = "default"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "tidecast"


@dataclass(frozen=True, slots=True)
class ForecastResource:
    """
    One ServicePerformanceForecast.

    Attributes:
        namespace: Where it lives.
        name: Unique in its namespace.
        uid: Of this very object.
        generation: Of its spec.
        creation_time: Unix seconds.
        target: The workload it is for; None when the spec names none.
        suspend: Whether forecasts for it are to stop.
        is_managed: Whether the operator made it and nobody has asked for more in it since; it deletes no other.
        scaling: `spec.scaling` as it is written, not checked; None if there is none.
        published: What its status says.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    creation_time: int
    target: ServiceId | None
    suspend: bool
    is_managed: bool
    published: Published
    scaling: Mapping[str, Any] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "ForecastResource":
        """From the object."""
        metadata, spec = body["metadata"], body.get("spec") or {}
        reference = spec.get("targetRef") or {}
        # A slash is in no name of Kubernetes; the schema lets it pass.
        is_made_here = (metadata.get("labels") or {}).get(MANAGED_BY) == MANAGER
        named = reference.get("kind") and reference.get("name") and "/" not in reference["name"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 0),
            creation_time=from_time(metadata.get("creationTimestamp")) or 0,
            target=ServiceId(metadata["namespace"], reference["kind"], reference["name"]) if named else None,
            suspend=bool(spec.get("suspend", False)),
            # What somebody wrote into one would be lost with it.
            is_managed=is_made_here and not spec.get("suspend") and spec.get("scaling") is None,
            published=Published.parse(body.get("status") or {}),
            scaling=spec.get("scaling"),
        )


@dataclass(frozen=True, slots=True)
class ForecasterResource:
    """
    One Forecaster.

    Attributes:
        name: Unique in the cluster.
        uid: Of this very object.
        generation: Of its spec.
        spec: As it is written, not checked.
        published: What its status says.
    """

    name: str
    uid: str
    generation: int
    spec: Mapping[str, Any]
    published: Published

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "ForecasterResource":
        """From the object."""
        metadata = body["metadata"]
        return cls(
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 0),
            spec=body.get("spec") or {},
            published=Published.parse(body.get("status") or {}),
        )


def managed_forecast(name: str, target: ServiceId, owner: Mapping[str, str]) -> dict[str, Any]:
    """
    The object that the operator makes for a workload, which owns it: garbage collection deletes both together.

    Args:
        name: For the object.
        target: The workload.
        owner: The workload's `apiVersion` and `uid`.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": FORECAST_KIND,
        "metadata": {
            "namespace": target.namespace,
            "name": name,
            "labels": {MANAGED_BY: MANAGER},
            "ownerReferences": [
                {"apiVersion": owner["apiVersion"], "kind": target.kind, "name": target.name, "uid": owner["uid"]}
            ],
        },
        "spec": {"targetRef": {"apiVersion": owner["apiVersion"], "kind": target.kind, "name": target.name}},
    }
