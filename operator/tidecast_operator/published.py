"""
What the status of a resource says at present: its conditions, what it tells of past forecasts, and whether a new one
would differ. Pure.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tidecast_contract.forecast import ModelKind

_SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}


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
class PublishedSkill:
    """
    How past forecasts did, as a status tells it: enough to go on from after a restart.

    Attributes:
        metric: The name of the feature.
        offset_seconds: How far ahead.
        samples: Moments that were compared.
        error: In the metric's unit, like the next two.
        naive_error: Of the better naive method.
        bias: Mean of the median minus what came true.
        coverage: Share of what came true within the band; None if it is not told.
        drifts: Whether forecasts were going wrong then.
        kind: Which method had made them; `NONE` if it is not told.
    """

    metric: str
    offset_seconds: int
    samples: float
    error: float
    naive_error: float
    bias: float
    coverage: float | None
    drifts: bool = False
    kind: ModelKind = ModelKind.NONE

    @classmethod
    def parse(
        cls, skill: Mapping[str, Any], *, drifts: bool = False, kind: ModelKind = ModelKind.NONE
    ) -> "PublishedSkill | None":
        """From a status; None where it is incomplete or no number is one."""
        try:
            coverage = skill.get("coverage")
            return cls(
                metric=str(skill["metric"]),
                offset_seconds=int(skill["offsetSeconds"]),
                samples=float(skill["samples"]),
                error=number(skill["error"]),
                naive_error=number(skill["naiveError"]),
                bias=number(skill["bias"]),
                coverage=None if coverage is None else number(coverage),
                drifts=drifts,
                kind=kind,
            )
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class PublishedHint:
    """
    A hint, as a status tells it: enough to go on from after a restart.

    Attributes:
        replicas: That were asked for.
        floor: That was asked for; the replicas where it is not told.
        current_replicas: Ready ones when it was made; None if that was not known.
        load: That autoscalers were told.
        per_replica: What one replica carries.
        evidence: What that was learned from; empty where it was given.
        effective_time: When the load is expected, unix seconds.
        reason: In words.
        limited_by: What it was limited by; empty if nothing did.
    """

    replicas: int
    floor: int
    current_replicas: int | None
    load: float
    per_replica: float
    evidence: str
    effective_time: int
    reason: str
    limited_by: str

    @classmethod
    def parse(cls, hint: Mapping[str, Any]) -> "PublishedHint | None":
        """From a status; None where it is incomplete or no number is one."""
        try:
            replicas, current = int(hint["replicas"]), hint.get("currentReplicas")
            load, per_replica = number(hint["load"]), number(hint["perReplica"])
            effective_time, floor = from_time(hint["effectiveTime"]), int(hint.get("floorReplicas", replicas))
        except (KeyError, TypeError, ValueError):
            return None
        if replicas < 1 or not per_replica > 0 or effective_time is None:
            return None
        return cls(
            replicas=replicas,
            floor=floor,
            current_replicas=None if current is None else int(current),
            load=load,
            per_replica=per_replica,
            evidence=str(hint.get("evidence", "")),
            effective_time=effective_time,
            reason=str(hint.get("reason", "")),
            limited_by=str(hint.get("limitedBy", "")),
        )


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
        skill: How past forecasts did; None where it does not say.
        hint: The hint; None while there is none.
    """

    digest: bytes
    issued_time: int | None = None
    expire_time: int | None = None
    model_kind: str = ""
    conditions: tuple[Condition, ...] = ()
    skill: PublishedSkill | None = None
    hint: PublishedHint | None = None

    def condition(self, kind: str) -> Condition | None:
        """The condition of one type; None while it was never set."""
        return next((condition for condition in self.conditions if condition.type == kind), None)

    @classmethod
    def parse(cls, status: Mapping[str, Any]) -> "Published":
        """From the status of a resource; {} for one that has none."""
        conditions = tuple(_condition(condition) for condition in status.get("conditions") or [])
        kind = str((status.get("model") or {}).get("kind", ""))
        drifts = any((one.type, one.reason) == ("Trusted", "Drift") for one in conditions)
        return cls(
            digest=digest(status),
            issued_time=from_time(status.get("issuedTime")),
            expire_time=from_time(status.get("expireTime")),
            model_kind=kind,
            conditions=conditions,
            skill=PublishedSkill.parse(status.get("skill") or {}, drifts=drifts, kind=_known_kind(kind)),
            hint=PublishedHint.parse(status.get("hint") or {}),
        )


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
    the words of a condition, nor of the figures behind `Trusted` and behind a hint, which move a little at every step.
    """
    worth = {name: value for name, value in status.items() if name not in ("issuedTime", "expireTime", "skill")}
    if "hint" in worth:
        worth["hint"] = {name: worth["hint"].get(name) for name in ("replicas", "floorReplicas", "limitedBy")}
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


def number(text: str) -> float:
    """
    A quantity as a number.

    Raises:
        ValueError: If it is none.
    """
    for suffix, factor in _SUFFIXES.items():
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * factor
    return float(text)


def _condition(condition: Mapping[str, Any]) -> Condition:
    return Condition(
        type=condition.get("type", ""),
        status=condition.get("status", "Unknown"),
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
        observed_generation=condition.get("observedGeneration", 0),
        transition_time=from_time(condition.get("lastTransitionTime")) or 0,
    )


def _known_kind(text: str) -> ModelKind:
    try:
        return ModelKind(text)
    except ValueError:  # there is none yet, or an operator of another version wrote it
        return ModelKind.NONE


def _without_start_if_constant(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if all(len(set(quantile.get("values") or [])) <= 1 for quantile in row.get("quantiles") or []):
        return {name: value for name, value in row.items() if name != "startTime"}
    return row
