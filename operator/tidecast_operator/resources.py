"""
Tidecast's custom resources as the operator sees them: what is written in an object, and what one looks like.

Pure: knows neither the API server nor telemetry.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tidecast_contract.services import ServiceId

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
class Condition:
    """
    One `metav1.Condition`.

    Attributes:
        type: What it speaks of.
        status: `True`, `False` or `Unknown`.
        reason: Why, in one CamelCase word.
        message: Why, and what to do about it.
        observed_generation: Of the spec that it speaks of.
        transition_time: When the status last changed, unix seconds.
    """

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int = 0
    transition_time: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a status."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message[:1024],
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": to_time(self.transition_time),
        }


@dataclass(frozen=True, slots=True)
class Published:
    """
    What the status of a resource says at present, in the few bytes it takes to tell whether a new one differs.

    Attributes:
        digest: Of everything in the status that is worth a write.
        issued_time: Of the forecast, unix seconds; None while there is none.
        expire_time: Of the forecast, unix seconds; None while there is none.
        model_kind: What made the forecast; empty while there is none.
        conditions: In the order of the status.
    """

    digest: bytes
    issued_time: int | None = None
    expire_time: int | None = None
    model_kind: str = ""
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of one type; None while it was never set."""
        return next((condition for condition in self.conditions if condition.type == kind), None)

    @classmethod
    def parse(cls, status: Mapping[str, Any]) -> "Published":
        """From the status of a resource; {} for one that has none."""
        return cls(
            digest=digest(status),
            issued_time=from_time(status.get("issuedTime")),
            expire_time=from_time(status.get("expireTime")),
            model_kind=str((status.get("model") or {}).get("kind", "")),
            conditions=tuple(_condition(condition) for condition in status.get("conditions") or []),
        )


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
        is_managed: Whether the operator made it; it deletes no other.
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
        named = reference.get("kind") and reference.get("name") and "/" not in reference["name"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 0),
            creation_time=from_time(metadata.get("creationTimestamp")) or 0,
            target=ServiceId(metadata["namespace"], reference["kind"], reference["name"]) if named else None,
            suspend=bool(spec.get("suspend", False)),
            is_managed=(metadata.get("labels") or {}).get(MANAGED_BY) == MANAGER,
            published=Published.parse(body.get("status") or {}),
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


def settled(
    conditions: Sequence[Condition], previous: Published, *, generation: int, now: int
) -> tuple[Condition, ...]:
    """
    The conditions with their generation and the time of their last transition: *now* only where the status changed.
    """
    result = []
    for condition in conditions:
        old = previous.condition(condition.type)
        since = old.transition_time if old is not None and old.status == condition.status else now
        result.append(replace(condition, observed_generation=generation, transition_time=since))
    return tuple(result)


def digest(status: Mapping[str, Any]) -> bytes:
    """
    Of what in a status is worth a write: not of the times of a forecast that says the same at every step, nor of
    the words of a condition.
    """
    worth = {name: value for name, value in status.items() if name not in ("issuedTime", "expireTime")}
    if "peak" in worth:
        worth["peak"] = {name: value for name, value in worth["peak"].items() if name != "time"}
    worth["forecasts"] = [_without_start_if_constant(row) for row in status.get("forecasts") or []]
    worth["conditions"] = [
        {name: value for name, value in condition.items() if name not in ("message", "lastTransitionTime")}
        for condition in status.get("conditions") or []
    ]
    canonical = json.dumps(worth, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).digest()


def to_time(seconds: float) -> str:
    """Unix seconds as Kubernetes writes a time."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_time(text: str | None) -> int | None:
    """The inverse of `to_time`; None for None and for what is no time."""
    try:
        return int(datetime.fromisoformat(text).timestamp()) if text else None
    except ValueError:
        return None


def _condition(condition: Mapping[str, Any]) -> Condition:
    return Condition(
        type=condition.get("type", ""),
        status=condition.get("status", "Unknown"),
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
        observed_generation=condition.get("observedGeneration", 0),
        transition_time=from_time(condition.get("lastTransitionTime")) or 0,
    )


def _without_start_if_constant(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if all(len(set(quantile.get("values") or [])) <= 1 for quantile in row.get("quantiles") or []):
        return {name: value for name, value in row.items() if name != "startTime"}
    return row
