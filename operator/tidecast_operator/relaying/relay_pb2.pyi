from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("relay_version",)
    RELAY_VERSION_FIELD_NUMBER: _ClassVar[int]
    relay_version: int
    def __init__(self, relay_version: _Optional[int] = ...) -> None: ...

class BoardMessage(_message.Message):
    __slots__ = ("relay_version", "board", "sent_time")
    RELAY_VERSION_FIELD_NUMBER: _ClassVar[int]
    BOARD_FIELD_NUMBER: _ClassVar[int]
    SENT_TIME_FIELD_NUMBER: _ClassVar[int]
    relay_version: int
    board: bytes
    sent_time: float
    def __init__(self, relay_version: _Optional[int] = ..., board: _Optional[bytes] = ..., sent_time: _Optional[float] = ...) -> None: ...

class Board(_message.Message):
    __slots__ = ("time", "is_known", "entries")
    TIME_FIELD_NUMBER: _ClassVar[int]
    IS_KNOWN_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    time: int
    is_known: bool
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, time: _Optional[int] = ..., is_known: _Optional[bool] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("namespace", "name", "uid", "target", "scaling", "hint", "withheld", "issued_time", "expire_time")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SCALING_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    ISSUED_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    uid: str
    target: Service
    scaling: Scaling
    hint: Hint
    withheld: str
    issued_time: int
    expire_time: int
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., uid: _Optional[str] = ..., target: _Optional[_Union[Service, _Mapping]] = ..., scaling: _Optional[_Union[Scaling, _Mapping]] = ..., hint: _Optional[_Union[Hint, _Mapping]] = ..., withheld: _Optional[str] = ..., issued_time: _Optional[int] = ..., expire_time: _Optional[int] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("namespace", "kind", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    kind: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Scaling(_message.Message):
    __slots__ = ("mode", "signal", "per_replica", "quantile", "lead_time_seconds", "min_replicas", "max_replicas", "autoscaler")
    MODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    PER_REPLICA_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    LEAD_TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MIN_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MAX_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    AUTOSCALER_FIELD_NUMBER: _ClassVar[int]
    mode: str
    signal: str
    per_replica: float
    quantile: float
    lead_time_seconds: int
    min_replicas: int
    max_replicas: int
    autoscaler: str
    def __init__(self, mode: _Optional[str] = ..., signal: _Optional[str] = ..., per_replica: _Optional[float] = ..., quantile: _Optional[float] = ..., lead_time_seconds: _Optional[int] = ..., min_replicas: _Optional[int] = ..., max_replicas: _Optional[int] = ..., autoscaler: _Optional[str] = ...) -> None: ...

class Hint(_message.Message):
    __slots__ = ("replicas", "current_replicas", "load", "capacity", "effective_time", "reason", "limited_by", "floor")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LIMITED_BY_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    current_replicas: int
    load: float
    capacity: Capacity
    effective_time: int
    reason: str
    limited_by: str
    floor: int
    def __init__(self, replicas: _Optional[int] = ..., current_replicas: _Optional[int] = ..., load: _Optional[float] = ..., capacity: _Optional[_Union[Capacity, _Mapping]] = ..., effective_time: _Optional[int] = ..., reason: _Optional[str] = ..., limited_by: _Optional[str] = ..., floor: _Optional[int] = ...) -> None: ...

class Capacity(_message.Message):
    __slots__ = ("per_replica", "samples", "is_limit", "evidence")
    PER_REPLICA_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    IS_LIMIT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    per_replica: float
    samples: int
    is_limit: bool
    evidence: str
    def __init__(self, per_replica: _Optional[float] = ..., samples: _Optional[int] = ..., is_limit: _Optional[bool] = ..., evidence: _Optional[str] = ...) -> None: ...
