"""
A hint as a part of a status, as conditions, and as what hangs on the board. Pure.
"""

from collections.abc import Callable
from typing import Any

from tidecast_contract.features import CPU
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Entry
from tidecast_operator.hints.keeper import Hinted
from tidecast_operator.outlets.floors.plan import FloorProblem
from tidecast_operator.published import Condition, to_time
from tidecast_operator.publishing.quantities import milli, quantity
from tidecast_operator.resources import ForecastResource
from tidecast_operator.scaling import Mode, Scaling

OFFERED = "HintOffered"
FOLLOWED = "FloorFollowed"


NOTHING_OFFERED = Condition(
    FOLLOWED, "False", "NothingOffered", "The original floor stands; see the condition HintOffered."
)
NOT_LOOKED_YET = Condition(
    FOLLOWED, "Unknown", "NotLookedYet", "Autoscalers are looked at in the next cycle; if not, the log says why."
)


def of_hint(hinted: Hinted, trusted: Condition, floor: Condition) -> tuple[Condition, ...]:
    """
    Whether autoscalers may be told, and whether the floor follows if one is named; not settled yet.

    Args:
        hinted: What came out.
        trusted: The condition `Trusted` as it is to be.
        floor: What is known of the floor, if something is offered.
    """
    offered = _offered(hinted, trusted)
    if hinted.scaling is None or not hinted.scaling.autoscaler or hinted.scaling.mode is not Mode.ACTIVE:
        return (offered,)
    return offered, floor if offered.status == "True" or floor.status == "False" else NOTHING_OFFERED


def floor_followed(problem: FloorProblem | None) -> Condition:
    """Whether the floor followed the last time; *problem* says why not."""
    if problem is not None:
        return Condition(FOLLOWED, "False", problem.reason, problem.message)
    return Condition(FOLLOWED, "True", "Following", "The floor of the HorizontalPodAutoscaler follows the hint.")


def _offered(hinted: Hinted, trusted: Condition) -> Condition:
    if hinted.hint is None or hinted.scaling is None:
        return Condition(OFFERED, "False", hinted.reason, hinted.message)
    if trusted.status != "True":
        return Condition(
            OFFERED, "False", "NotTrusted", "Its forecasts are not trusted; the condition Trusted says why."
        )
    if hinted.scaling.mode is not Mode.ACTIVE:
        return Condition(
            OFFERED, "False", "Preview", "The hint is shown only; set spec.scaling.mode to Active to publish it."
        )
    return Condition(OFFERED, "True", "Offered", "Autoscalers that ask are told the hint.")


def hint_block(hinted: Hinted | None) -> dict[str, Any]:
    """The hint as a part of a status; {} without one."""
    if hinted is None or hinted.hint is None or hinted.scaling is None:
        return {}
    hint, write = hinted.hint, _writer(hinted.scaling)
    told = {
        "replicas": hint.replicas,
        "floorReplicas": hint.floor if hint.floor > hint.replicas else None,
        "currentReplicas": hint.current_replicas,
        "effectiveTime": to_time(hint.effective_time),
        "load": write(hint.load),
        "perReplica": write(hint.capacity.per_replica),
        "evidence": hint.capacity.evidence or None,
        "reason": hint.reason,
        "limitedBy": hint.limited_by.value or None,
    }
    return {"hint": {name: value for name, value in told.items() if value is not None}}


def entry(resource: ForecastResource, target: ServiceId, hinted: Hinted, offered: Condition) -> Entry:
    """What hangs on the board of a resource that speaks for *target*."""
    return Entry(
        namespace=resource.namespace,
        name=resource.name,
        uid=resource.uid,
        target=target,
        scaling=hinted.scaling,
        hint=hinted.hint,
        withheld="" if offered.status == "True" else f"{offered.reason}: {offered.message}",
        issued_time=hinted.issued_time,
        expire_time=hinted.expire_time,
    )


def _writer(scaling: Scaling) -> Callable[[float], str | None]:
    return milli if scaling.signal is CPU else quantity
