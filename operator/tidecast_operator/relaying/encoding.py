"""
A board as bytes, and back: all that is needed to answer autoscalers, the withheld entries and their reasons included.

Ten thousand entries take a tenth of a second or two: call both in a thread.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from google.protobuf.message import DecodeError

from tidecast_contract.features import FEATURES, Feature
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.hint import Hint, Limit
from tidecast_operator.relaying import relay_pb2 as pb
from tidecast_operator.scaling import Mode, Scaling

Value = TypeVar("Value")

RELAY_VERSION = 1
"""Of relay.proto and of its words; to be raised when a replica of the version before could not read a board."""

_FEATURES: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}


class Unreadable(Exception):
    """
    What arrived is no board that this version can read; the text says what it stumbled over.
    """


def encode(board: Board) -> bytes:
    """A board as bytes; what is None is left out."""
    message = pb.Board(time=board.time, is_known=board.is_known)
    for entry in board.entries.values():
        # One by one: taking in thousands at once would hold up every other thread.
        message.entries.append(_to_entry(entry))
    return message.SerializeToString()


def decode(data: bytes) -> Board:
    """
    The inverse of `encode`.

    Raises:
        Unreadable: If *data* is no board, or has a word that this version does not know.
    """
    try:
        message = pb.Board.FromString(data)
    except DecodeError as error:
        raise Unreadable(f"{len(data)} bytes that are no board: {error}") from error
    entries = [_from_entry(entry) for entry in message.entries]
    return Board(time=message.time, entries={entry.key: entry for entry in entries}, is_known=message.is_known)


def check_version(version: int) -> None:
    """
    Whether boards of that version can be read here.

    Raises:
        Unreadable: If not; names both versions.
    """
    if version != RELAY_VERSION:
        raise Unreadable(f"relay version {version} is not {RELAY_VERSION}; run the same release in all replicas")


def _to_entry(entry: Entry) -> pb.Entry:
    return pb.Entry(
        namespace=entry.namespace,
        name=entry.name,
        uid=entry.uid,
        target=pb.Service(namespace=entry.target.namespace, kind=entry.target.kind, name=entry.target.name),
        scaling=None if entry.scaling is None else _to_scaling(entry.scaling),
        hint=None if entry.hint is None else _to_hint(entry.hint),
        withheld=entry.withheld,
        issued_time=entry.issued_time,
        expire_time=entry.expire_time,
    )


def _from_entry(message: pb.Entry) -> Entry:
    target = message.target
    try:
        service = ServiceId(target.namespace, target.kind, target.name)
    except ValueError as error:
        raise Unreadable(f"the target of {message.namespace}/{message.name}: {error}") from error
    return Entry(
        namespace=message.namespace,
        name=message.name,
        uid=message.uid,
        target=service,
        scaling=_from_scaling(message.scaling) if message.HasField("scaling") else None,
        hint=_from_hint(message.hint) if message.HasField("hint") else None,
        withheld=message.withheld,
        issued_time=message.issued_time,
        expire_time=message.expire_time,
    )


def _to_scaling(scaling: Scaling) -> pb.Scaling:
    return pb.Scaling(
        mode=str(scaling.mode),
        signal=scaling.signal.name,
        per_replica=scaling.per_replica,
        quantile=scaling.quantile,
        lead_time_seconds=scaling.lead_time_seconds,
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        autoscaler=scaling.autoscaler,
    )


def _from_scaling(message: pb.Scaling) -> Scaling:
    return Scaling(
        mode=_word(Mode, message.mode, name="scaling.mode"),
        signal=_word(_FEATURES.__getitem__, message.signal, name="scaling.signal"),
        per_replica=message.per_replica if message.HasField("per_replica") else None,
        quantile=message.quantile,
        lead_time_seconds=message.lead_time_seconds,
        min_replicas=message.min_replicas,
        max_replicas=message.max_replicas if message.HasField("max_replicas") else None,
        autoscaler=message.autoscaler,
    )


def _to_hint(hint: Hint) -> pb.Hint:
    capacity = hint.capacity
    return pb.Hint(
        replicas=hint.replicas,
        current_replicas=hint.current_replicas,
        load=hint.load,
        capacity=pb.Capacity(
            per_replica=capacity.per_replica,
            samples=capacity.samples,
            is_limit=capacity.is_limit,
            evidence=capacity.evidence,
        ),
        effective_time=hint.effective_time,
        reason=hint.reason,
        limited_by=str(hint.limited_by),
        floor=hint.floor,
    )


def _from_hint(message: pb.Hint) -> Hint:
    capacity = message.capacity
    return Hint(
        replicas=message.replicas,
        floor=message.floor if message.HasField("floor") else message.replicas,
        current_replicas=message.current_replicas if message.HasField("current_replicas") else None,
        load=message.load,
        capacity=Capacity(
            per_replica=capacity.per_replica,
            samples=capacity.samples,
            is_limit=capacity.is_limit,
            evidence=capacity.evidence,
        ),
        effective_time=message.effective_time,
        reason=message.reason,
        # For people alone: one that only another version knows is no reason to refuse a board.
        limited_by=Limit(message.limited_by) if message.limited_by in tuple(Limit) else Limit.NONE,
    )


def _word(words: Callable[[str], Value], text: str, *, name: str) -> Value:
    try:
        return words(text)
    except (KeyError, ValueError) as error:
        raise Unreadable(f"{name} is {text!r}, which this version does not know") from error
