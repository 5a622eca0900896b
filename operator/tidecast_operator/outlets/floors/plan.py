"""
Which floors are to be raised, and which given back. Pure.

A floor is never below the original one nor above `maxReplicas`; what nobody asks for is given back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tidecast_contract.services import ServiceId
from tidecast_operator.autoscalers import Autoscaler
from tidecast_operator.hints.board import Board, Entry, Withheld
from tidecast_operator.outlets.floors.claim import BY, Claim, Garbled, claim_on, is_labelled, is_marked
from tidecast_operator.scaling import Mode

Key = tuple[str, str]
"""Namespace and name."""

_WORKLOAD_GROUPS = ("apps", "extensions")
_KEDA = "keda.sh"


@dataclass(frozen=True, slots=True)
class Raise:
    """
    A floor to write.

    Attributes:
        autoscaler: On which one.
        claim: The floor, and what is written beside it.
    """

    autoscaler: Autoscaler
    claim: Claim


@dataclass(frozen=True, slots=True)
class Restore:
    """
    A floor to give back.

    Attributes:
        autoscaler: On which one.
        claim: What to write before it is released; None if the floor that stands there stays.
        reason: Why, in words.
    """

    autoscaler: Autoscaler
    claim: Claim | None
    reason: str


@dataclass(frozen=True, slots=True)
class FloorProblem:
    """
    Why a ServicePerformanceForecast cannot raise the floor that it names.

    Attributes:
        key: Namespace and name of the ServicePerformanceForecast; an empty name if it is not known.
        reason: One word, as of a condition.
        message: In words, with what to do.
    """

    key: Key
    reason: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether no other try can mend it: the original floor is lost, and marks that could tell of it are removed."""
        return self.reason == "AnnotationsGarbled"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What there is to do.

    Attributes:
        steps: Floors to give back, then floors to raise.
        standing: Floors that are raised as they should be, by namespace and name of the autoscaler.
        problems: Of the entries that name an autoscaler.
    """

    steps: tuple[Raise | Restore, ...] = ()
    standing: Mapping[Key, Claim] = field(default_factory=dict)
    problems: tuple[FloorProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wish:
    floor: int
    by: str


def named(board: Board) -> frozenset[Key]:
    """All autoscalers that entries name, by namespace and name."""
    return frozenset(_naming(board))


def plan(
    board: Board,
    autoscalers: Iterable[Autoscaler],
    now: float,
    *,
    unread: Mapping[Key, str] | None = None,
    falls_from: float = 0.0,
) -> Plan:
    """
    What there is to do, as far as *autoscalers* go.

    Nothing before a cycle has completed: until then nobody knows which floors are still wanted.

    Args:
        board: What is asked for.
        autoscalers: As they were read.
        now: Unix seconds.
        unread: Those that could not be read, and why.
        falls_from: Unix seconds; before that no hint that asks for less lowers a floor that stands.
    """
    if not board.is_known:
        return Plan()
    found = {autoscaler.key: autoscaler for autoscaler in autoscalers}
    wishes: dict[Key, _Wish | str] = {}
    problems: list[FloorProblem] = []
    for key, entries in _naming(board).items():
        if unread and key in unread:
            problems += [FloorProblem(one.key, "AutoscalerNotFound", unread[key]) for one in entries]
            continue
        wishes[key] = _wish(entries, key, found.get(key), now, problems)
    restores, raises, standing = [], [], {}
    for key, autoscaler in found.items():
        wish = wishes.get(key, "no ServicePerformanceForecast asks for it")
        try:
            step = _step(autoscaler, wish, may_fall=now >= falls_from)
        except Garbled as error:
            step = Restore(autoscaler, None, f"{error}; the floor of {autoscaler.min_replicas} is left as it is")
            problems.append(_garbled(autoscaler, wish, step.reason))
        if isinstance(step, Restore):
            restores.append(step)
        elif isinstance(step, Raise):
            raises.append(step)
        elif step is not None:
            standing[key] = step
    return Plan((*restores, *raises), standing, tuple(problems))


def _step(autoscaler: Autoscaler, wish: _Wish | str, *, may_fall: bool) -> Raise | Restore | Claim | None:
    claim = claim_on(autoscaler)
    # Another value than ours is what somebody wants since: it is the new original.
    is_ours = claim is not None and autoscaler.min_replicas == claim.floor
    original = claim.original if claim is not None and is_ours else autoscaler.min_replicas
    if isinstance(wish, _Wish):
        least = claim.floor if claim is not None and is_ours and not may_fall else 0
        wanted = Claim(original, min(max(wish.floor, least), autoscaler.max_replicas), wish.by)
        if wanted.floor > original:
            stands = is_ours and claim == wanted and autoscaler.is_held and is_labelled(autoscaler)
            return wanted if stands else Raise(autoscaler, wanted)
        wish = f"the floor of {wish.floor} that its hint asks for is not above it"
    if not is_marked(autoscaler):
        return None
    back = None if autoscaler.min_replicas == original else Claim(original, original, claim.by if claim else "")
    return Restore(autoscaler, back, wish)


def _naming(board: Board) -> Mapping[Key, Sequence[Entry]]:
    naming: defaultdict[Key, list[Entry]] = defaultdict(list)
    for _, entry in sorted(board.entries.items()):
        if entry.scaling is not None and entry.scaling.autoscaler:
            naming[entry.namespace, entry.scaling.autoscaler].append(entry)
    return naming


def _wish(
    entries: Sequence[Entry], key: Key, autoscaler: Autoscaler | None, now: float, problems: list[FloorProblem]
) -> _Wish | str:
    """What those who name an autoscaler wish of it, or why nothing; adds to *problems* what is wrong with them."""
    wrong = [problem for entry in entries if (problem := _problem(entry, key, autoscaler)) is not None]
    problems += wrong
    unfit = {problem.key for problem in wrong}
    fitting = [entry for entry in entries if entry.key not in unfit]
    active = [entry for entry in fitting if entry.scaling is not None and entry.scaling.mode is Mode.ACTIVE]
    if len(active) > 1:
        twice = [_named_twice(entry, key, active) for entry in active]
        problems += twice
        return twice[0].message
    if not active:
        return "the mode is not Active" if fitting else wrong[0].message
    try:
        return _Wish(active[0].offered(now).floor, active[0].name)
    except Withheld as error:
        return str(error)


def _problem(entry: Entry, key: Key, autoscaler: Autoscaler | None) -> FloorProblem | None:
    if autoscaler is None:
        message = (
            f"there is no HorizontalPodAutoscaler {key[1]} in namespace {key[0]}; create it, or correct "
            "spec.scaling.horizontalPodAutoscalerName"
        )
        return FloorProblem(entry.key, "AutoscalerNotFound", message)
    if not _scales(autoscaler, entry.target):
        message = (
            f"HorizontalPodAutoscaler {key[1]} scales {autoscaler.target_kind}/{autoscaler.target_name}, not "
            f"{entry.target.kind}/{entry.target.name}; name the one that scales it"
        )
        return FloorProblem(entry.key, "AutoscalerScalesAnother", message)
    keda = next((name for group, name in autoscaler.controllers if group == _KEDA), None)
    if keda is not None:
        message = (
            f"HorizontalPodAutoscaler {key[1]} belongs to KEDA's {keda}, which would undo a raised floor; "
            "give the hint to KEDA instead"
        )
        return FloorProblem(entry.key, "AutoscalerOfKeda", message)
    if autoscaler.min_replicas == 0:
        message = (
            f"HorizontalPodAutoscaler {key[1]} may scale to zero, where a raised floor would switch it off; set its "
            "minReplicas to 1 or more"
        )
        return FloorProblem(entry.key, "AutoscalerScalesToZero", message)
    return None


def _named_twice(entry: Entry, key: Key, entries: Iterable[Entry]) -> FloorProblem:
    others = ", ".join(other.name for other in entries if other is not entry)
    message = f"HorizontalPodAutoscaler {key[1]} is named by {others} too; let only one of them be Active"
    return FloorProblem(entry.key, "AutoscalerNamedTwice", message)


def _garbled(autoscaler: Autoscaler, wish: _Wish | str, reason: str) -> FloorProblem:
    by = wish.by if isinstance(wish, _Wish) else autoscaler.annotations.get(BY, "")
    message = f"{autoscaler}: {reason}; set minReplicas to what it should be"
    return FloorProblem((autoscaler.namespace, by), "AnnotationsGarbled", message)


def _scales(autoscaler: Autoscaler, target: ServiceId) -> bool:
    scaled = (autoscaler.target_kind, autoscaler.target_name)
    return scaled == (target.kind, target.name) and autoscaler.target_group in _WORKLOAD_GROUPS
