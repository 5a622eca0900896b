from tidecast_contract.rpc import open_inference_pb2 as _open_inference_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HistoryChunk(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: _open_inference_pb2.ModelInferRequest
    def __init__(self, snapshot: _Optional[_Union[_open_inference_pb2.ModelInferRequest, _Mapping]] = ...) -> None: ...

class HistoryStatus(_message.Message):
    __slots__ = ("contract_version", "step_seconds", "start_time", "end_time", "services")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    STEP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    step_seconds: int
    start_time: int
    end_time: int
    services: int
    def __init__(self, contract_version: _Optional[int] = ..., step_seconds: _Optional[int] = ..., start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., services: _Optional[int] = ...) -> None: ...

class TrainRequest(_message.Message):
    __slots__ = ("contract_version", "window_steps", "horizon_steps", "minimum_history_seconds")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_STEPS_FIELD_NUMBER: _ClassVar[int]
    HORIZON_STEPS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_HISTORY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    window_steps: int
    horizon_steps: int
    minimum_history_seconds: int
    def __init__(self, contract_version: _Optional[int] = ..., window_steps: _Optional[int] = ..., horizon_steps: _Optional[int] = ..., minimum_history_seconds: _Optional[int] = ...) -> None: ...

class TrainReply(_message.Message):
    __slots__ = ("contract_version", "started")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    started: bool
    def __init__(self, contract_version: _Optional[int] = ..., started: _Optional[bool] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("contract_version",)
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    def __init__(self, contract_version: _Optional[int] = ...) -> None: ...

class PredictorStatus(_message.Message):
    __slots__ = ("contract_version", "model", "history", "training")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    model: ModelInfo
    history: HistoryStatus
    training: TrainingStatus
    def __init__(self, contract_version: _Optional[int] = ..., model: _Optional[_Union[ModelInfo, _Mapping]] = ..., history: _Optional[_Union[HistoryStatus, _Mapping]] = ..., training: _Optional[_Union[TrainingStatus, _Mapping]] = ...) -> None: ...

class ModelInfo(_message.Message):
    __slots__ = ("kind", "version", "trained_time", "reason", "error", "naive_error")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRAINED_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NAIVE_ERROR_FIELD_NUMBER: _ClassVar[int]
    kind: str
    version: str
    trained_time: int
    reason: str
    error: float
    naive_error: float
    def __init__(self, kind: _Optional[str] = ..., version: _Optional[str] = ..., trained_time: _Optional[int] = ..., reason: _Optional[str] = ..., error: _Optional[float] = ..., naive_error: _Optional[float] = ...) -> None: ...

class TrainingStatus(_message.Message):
    __slots__ = ("state", "progress", "message", "finished_time")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_TIME_FIELD_NUMBER: _ClassVar[int]
    state: str
    progress: float
    message: str
    finished_time: int
    def __init__(self, state: _Optional[str] = ..., progress: _Optional[float] = ..., message: _Optional[str] = ..., finished_time: _Optional[int] = ...) -> None: ...
