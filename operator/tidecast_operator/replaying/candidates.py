"""
Which workloads are replayed, with which scaling, and what a replica of each carries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import index_of
from tidecast_contract.services import ServiceId
from tidecast_operator.errors import Misconfigured, NotEnoughData
from tidecast_operator.hints.capacities import Capacities, CapacityKeeper
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.ownership import asking
from tidecast_operator.replaying.autoscaler import Behaviour
from tidecast_operator.replaying.autoscaler_reading import OwnAutoscaler
from tidecast_operator.replaying.recording import Recording
from tidecast_operator.resources import ForecastResource
from tidecast_operator.scaling import Scaling, parse

_FLAGS = {
    "signal": "--signal",
    "perReplica": "--per-replica",
    "quantile": "--quantile",
    "leadTimeSeconds": "--lead-time-seconds",
    "minReplicas": "--min-replicas",
    "maxReplicas": "--max-replicas",
}
_LEARNING_STEPS = 1440
_ANY_MAXIMUM = 100_000  # the most that a spec may name


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What the user wants replayed.

    Attributes:
        namespace: Of the workloads; empty for all.
        name: Of one workload, or of a ServicePerformanceForecast; empty for all.
        scaling: Fields of `spec.scaling` that were given; they count before those of a resource.
        resources: ServicePerformanceForecasts of the cluster.
        autoscalers: HorizontalPodAutoscalers of the cluster.
        target: What autoscalers aim at, as a share of what a replica carries, no matter what they say; None for that.
    """

    namespace: str = ""
    name: str = ""
    scaling: Mapping[str, Any] = field(default_factory=dict)
    resources: tuple[ForecastResource, ...] = ()
    autoscalers: Mapping[ServiceId, OwnAutoscaler] = field(default_factory=dict)
    target: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """
    One workload that is replayed.

    Attributes:
        service: The workload.
        row: Where it stands in the recording.
        scaling: How its hints are derived.
        capacity: What a replica carries.
        resource: What the operator's own code takes for its ServicePerformanceForecast.
        autoscaler: Its own HorizontalPodAutoscaler; None if it has none, or it is not known.
        aims_at: The load of a pod that this one aims at; None where that is not known.
    """

    service: ServiceId
    row: int
    scaling: Scaling
    capacity: Capacity
    resource: ForecastResource
    autoscaler: OwnAutoscaler | None = None
    aims_at: float | None = None

    @property
    def signal(self) -> int:
        """Where its load stands among the features."""
        return index_of(self.scaling.signal)

    @property
    def bounds(self) -> tuple[int, int]:
        """The minReplicas and maxReplicas of its autoscaler."""
        if self.autoscaler is not None:
            return self.autoscaler.lowest, self.autoscaler.highest
        return self.scaling.min_replicas, self.scaling.max_replicas or _ANY_MAXIMUM

    @property
    def behaviour(self) -> Behaviour:
        """How its autoscaler rises and falls."""
        return Behaviour() if self.autoscaler is None else self.autoscaler.behaviour


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """
    All that are replayed.

    Attributes:
        each: They, in the order of the recording.
        left_out: Why others that were asked for are not, by name.
    """

    each: tuple[Candidate, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """
    What is replayed.

    Attributes:
        recording: What was measured.
        candidates: The N workloads.
        loads: What each had to carry at each of T steps, float32 of shape (T, N); NaN where it was not measured.
    """

    recording: Recording
    candidates: tuple[Candidate, ...]
    loads: NDArray[np.float32]

    @classmethod
    def of(cls, recording: Recording, candidates: Sequence[Candidate]) -> "Subject":
        """Those of a recording."""
        loads = np.empty((recording.steps, len(candidates)), np.float32)
        for column, candidate in enumerate(candidates):
            loads[:, column] = recording.values[:, candidate.row, candidate.signal]
        return cls(recording, tuple(candidates), loads)

    @property
    def services(self) -> tuple[ServiceId, ...]:
        """Of the candidates."""
        return tuple(candidate.service for candidate in self.candidates)


def choose(recording: Recording, asked: Asked) -> Candidates:
    """
    The workloads of a recording that were asked for.

    Raises:
        Misconfigured: If a value that was given cannot be followed, or nothing of that name is there.
        NotEnoughData: If none of them can be replayed.
    """
    _checked({**asked.scaling})
    own = {one.target: one for one in asking(asked.resources) if one.target is not None}
    named = {one.target for one in asked.resources if one.name == asked.name}
    wanted = [
        (row, service)
        for row, service in enumerate(recording.services)
        if not service.is_external
        and asked.namespace in ("", service.namespace)
        and (asked.name in ("", service.name) or service in named)
    ]
    if not wanted:
        _refuse_name(recording, asked)
    scalings = {
        service: {**(own[service].scaling or {} if service in own else {}), **asked.scaling, "mode": "Active"}
        for _, service in wanted
    }
    learned = _learned(recording, (scalings[service] for _, service in wanted))
    found, left_out = [], {}
    for row, service in wanted:
        try:
            own_autoscaler = _autoscaler(asked, service)
            candidate = _candidate(row, service, scalings[service], learned)
        except Misconfigured as error:
            left_out[str(service)] = str(error)
            continue
        if candidate is None:
            left_out[str(service)] = "what a replica carries could not be learned from it; give --per-replica"
        elif not np.isfinite(recording.values[:, row, candidate.signal]).any():
            left_out[str(service)] = f"its {candidate.scaling.signal.name} was never measured"
        else:
            found.append(_scaled_by(candidate, own_autoscaler, asked))
    if not found:
        reasons = "; ".join(sorted(set(left_out.values())))
        raise NotEnoughData(f"none of {len(left_out)} workloads can be replayed: {reasons}")
    return Candidates(tuple(found), left_out)


def _autoscaler(asked: Asked, service: ServiceId) -> OwnAutoscaler | None:
    """That of a workload, within the bounds that were given."""
    own = asked.autoscalers.get(service)
    if own is None:
        return None
    own = replace(
        own,
        lowest=asked.scaling.get("minReplicas", own.lowest),
        highest=asked.scaling.get("maxReplicas", own.highest),
    )
    if own.lowest > own.highest:
        problem = f"{own.lowest} exceeds maxReplicas {own.highest} of HorizontalPodAutoscaler {own.name}"
        raise Misconfigured("minReplicas", problem, "give both --min-replicas and --max-replicas")
    return own


def _scaled_by(candidate: Candidate, own: OwnAutoscaler | None, asked: Asked) -> Candidate:
    if own is None:
        return candidate
    aims_at = own.load_of_a_pod(candidate.scaling.signal, candidate.capacity.per_replica)
    return replace(candidate, autoscaler=own, aims_at=aims_at if asked.target is None else None)


def _checked(given: dict[str, Any]) -> Scaling:
    try:
        return parse(given)
    except Misconfigured as error:
        field_name = error.field.rpartition(".")[2]
        raise Misconfigured(_FLAGS.get(field_name, error.field), error.problem, error.remedy) from error


def _refuse_name(recording: Recording, asked: Asked) -> None:
    inside = [service for service in recording.services if not service.is_external]
    namespaces = sorted({service.namespace for service in inside})
    if asked.namespace and asked.namespace not in namespaces:
        raise Misconfigured(
            "--namespace", f"nothing of {asked.namespace!r} was measured", f"write one of {_some(namespaces)}"
        )
    names = sorted({service.name for service in inside if asked.namespace in ("", service.namespace)})
    raise Misconfigured("--name", f"nothing of {asked.name!r} was measured", f"write one of {_some(names)}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" or {len(names) - 10} others" if len(names) > 10 else "")


def _learned(recording: Recording, scalings: Iterable[Mapping[str, Any]]) -> Capacities | None:
    """What the operator would have learned by the end; None where everything is given."""
    if all(scaling.get("perReplica") is not None for scaling in scalings):
        return None
    keeper, known = CapacityKeeper(), None
    for begin in range(0, recording.steps, _LEARNING_STEPS):
        known = keeper.after(recording.snapshot(begin, min(begin + _LEARNING_STEPS, recording.steps)))
    return known


def _candidate(row: int, service: ServiceId, spec: Mapping[str, Any], learned: Capacities | None) -> Candidate | None:
    scaling = parse(spec)
    capacity: Capacity | None
    if scaling.per_replica is not None:
        capacity = Capacity(scaling.per_replica)
    else:
        capacity = None if learned is None else learned.of(service, scaling.signal)
    if capacity is None:
        return None
    given = {**spec, "perReplica": f"{capacity.per_replica:.9f}"}
    resource = ForecastResource.parse(
        {
            "metadata": {"namespace": service.namespace, "name": service.name, "uid": str(service)},
            "spec": {"targetRef": {"kind": service.kind, "name": service.name}, "scaling": given},
        }
    )
    # By kind as well: two workloads of different kinds may have one name.
    resource = replace(resource, name=f"{service.kind}.{service.name}")
    return Candidate(service, row, replace(scaling, per_replica=capacity.per_replica), capacity, resource)
