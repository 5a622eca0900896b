"""
What HorizontalPodAutoscalers of a cluster say, as far as a replay follows it. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tidecast_contract.features import CPU, Feature
from tidecast_contract.services import ServiceId
from tidecast_operator import autoscalers
from tidecast_operator.discovery.workloads import WORKLOAD_KINDS
from tidecast_operator.outlets.floors.claim import Garbled, claim_on
from tidecast_operator.published import number
from tidecast_operator.replaying.autoscaler import SYNC_SECONDS, Behaviour, Policy

KIND = "HorizontalPodAutoscaler"
_V1 = "autoscaling/v1"
_IN_ANNOTATIONS = {
    "metrics": "autoscaling.alpha.kubernetes.io/metrics",
    "behavior": "autoscaling.alpha.kubernetes.io/behavior",
}
"""Where `autoscaling/v1` keeps what it has no fields for."""


@dataclass(frozen=True, slots=True)
class OwnAutoscaler:
    """
    The HorizontalPodAutoscaler of a workload.

    Attributes:
        name: Its namespace and name.
        lowest: Its minReplicas, as its owner wrote it.
        highest: Its maxReplicas.
        utilisation: The CPU that a pod is to use, as a share of what it requests; None if that is not its target.
        cpu: The same in cores; None if that is not its target.
        requested: The CPU that a pod of its workload requests, in cores; None where that is not known.
        behaviour: How it rises and falls.
        ignored: What it says besides and a replay does not follow.
    """

    name: str
    lowest: int
    highest: int
    utilisation: float | None = None
    cpu: float | None = None
    requested: float | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    ignored: tuple[str, ...] = ()

    def is_exact(self, signal: Feature) -> bool:
        """Whether its target is told in the unit of a signal, and not as a share of what a replica carries."""
        return signal is CPU and (self.cpu is not None or self.requested is not None)

    def load_of_a_pod(self, signal: Feature, per_replica: float) -> float | None:
        """What it aims at in the unit of a signal; None where that is not known."""
        share, cpu = self.utilisation, self.cpu
        if self.requested is not None:
            share = cpu / self.requested if cpu is not None else share
            cpu = share * self.requested if share is not None else None
        if signal is CPU and cpu is not None:
            return cpu
        # More than a replica carries cannot be meant.
        return None if share is None or share > 1 else share * per_replica


def read_autoscalers(items: Sequence[Mapping[str, Any]]) -> Mapping[ServiceId, OwnAutoscaler]:
    """
    Those of workloads among objects of the API, in `autoscaling/v2`, `v2beta2` or `v1`.

    Raises:
        KeyError, TypeError, ValueError: If one is not what an API server writes.
    """
    requested = {_service(item): _requested(item) for item in items if item.get("kind") in WORKLOAD_KINDS}
    found: dict[ServiceId, OwnAutoscaler] = {}
    for item in items:
        if item.get("kind") != KIND:
            continue
        service, own = _own(item)
        own = replace(own, requested=requested.get(service))
        # Kubernetes warns of two for one workload; which one wins there is a matter of chance.
        first = found.setdefault(service, own)
        if first is not own:
            found[service] = replace(first, ignored=(*first.ignored, f"{own.name}, which scales the same workload"))
    return found


def _own(body: Mapping[str, Any]) -> tuple[ServiceId, OwnAutoscaler]:
    # An object of a chart that was never at an API server has neither.
    parsed = autoscalers.parse({**body, "metadata": {"uid": "", "resourceVersion": "", **body["metadata"]}})
    spec, ignored = body["spec"], list[str]()
    lowest = _floor(parsed, ignored)
    if body.get("apiVersion") == _V1:
        percent = spec.get("targetCPUUtilizationPercentage")
        utilisation, cpu = None if percent is None else percent / 100, None
        ignored += [f"its {what}" for what, name in _IN_ANNOTATIONS.items() if name in parsed.annotations]
    else:
        utilisation, cpu = _target(spec.get("metrics") or (), ignored)
    own = OwnAutoscaler(
        name=f"{parsed.namespace}/{parsed.name}",
        lowest=lowest,
        highest=parsed.max_replicas,
        utilisation=utilisation,
        cpu=cpu,
        behaviour=_behaviour(spec.get("behavior") or {}, ignored),
        ignored=tuple(ignored),
    )
    return ServiceId(parsed.namespace, parsed.target_kind, parsed.target_name), own


def _floor(parsed: autoscalers.Autoscaler, ignored: list[str]) -> int:
    floor = parsed.min_replicas
    try:
        claim = claim_on(parsed)
    except Garbled as error:
        ignored.append(f"the floor that its owner wrote: {error}")
        claim = None
    if claim is not None and claim.floor == floor:
        floor = claim.original
    if floor < 1:
        ignored.append("its minReplicas 0")
    return max(1, floor)


def _target(metrics: Sequence[Mapping[str, Any]], ignored: list[str]) -> tuple[float | None, float | None]:
    """The first target of CPU; every other one is told in *ignored*."""
    utilisation, cpu = None, None
    for metric in metrics:
        source = metric.get("resource") or {}
        target = source.get("target") or {}
        is_first = metric["type"] == "Resource" and source.get("name") == "cpu" and utilisation is None and cpu is None
        if is_first and target.get("averageUtilization") is not None:
            utilisation = target["averageUtilization"] / 100
        elif is_first and target.get("averageValue") is not None:
            cpu = number(str(target["averageValue"]))
        else:
            ignored.append(f"its metric {' '.join(_words(metric))}")
    return utilisation, cpu


def _words(metric: Mapping[str, Any]) -> Iterator[str]:
    kind = str(metric["type"])
    yield kind
    source = metric.get(kind[:1].lower() + kind[1:]) or {}
    name = source.get("name") or (source.get("metric") or {}).get("name")
    if name:
        yield str(name)


def _behaviour(spec: Mapping[str, Any], ignored: list[str]) -> Behaviour:
    usual = Behaviour()
    rise, fall = spec.get("scaleUp") or {}, spec.get("scaleDown") or {}
    ignored += [
        f"behavior.{name}.tolerance" for name in ("scaleUp", "scaleDown") if "tolerance" in (spec.get(name) or {})
    ]
    return Behaviour(
        rise_window_seconds=_window(rise, usual.rise_window_seconds),
        fall_window_seconds=_window(fall, usual.fall_window_seconds),
        rise=_policies(rise, usual.rise),
        fall=_policies(fall, usual.fall),
        rises_least=rise.get("selectPolicy") == "Min",
        falls_least=fall.get("selectPolicy") == "Min",
    )


def _window(rules: Mapping[str, Any], usual: int) -> int:
    seconds = rules.get("stabilizationWindowSeconds")
    return usual if seconds is None else int(seconds)


def _policies(rules: Mapping[str, Any], usual: tuple[Policy, ...]) -> tuple[Policy, ...]:
    if rules.get("selectPolicy") == "Disabled":
        return ()
    written = rules.get("policies")
    return usual if not written else tuple(_policy(policy) for policy in written)


def _policy(policy: Mapping[str, Any]) -> Policy:
    value, seconds = int(policy["value"]), int(policy.get("periodSeconds", SYNC_SECONDS))
    return Policy(**{"pods" if policy["type"] == "Pods" else "percent": value}, period_seconds=seconds)


def _service(workload: Mapping[str, Any]) -> ServiceId:
    metadata = workload["metadata"]
    return ServiceId(metadata["namespace"], workload["kind"], metadata["name"])


def _requested(workload: Mapping[str, Any]) -> float | None:
    """The CPU that all containers of a pod request together; None if one of them requests none."""
    template = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    total = 0.0
    for container in template.get("containers") or ():
        cpu = ((container.get("resources") or {}).get("requests") or {}).get("cpu")
        if cpu is None:
            return None
        total += number(str(cpu))
    return total or None
