"""
What the predictor says about itself, as messages of the Training service, and back.
"""

from collections.abc import Callable
from typing import TypeVar

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.rpc import tidecast_pb2 as pb
from tidecast_contract.status import HistoryStatus, PredictorStatus, TrainingState, TrainingStatus
from tidecast_contract.wire import CONTRACT_VERSION, check_version

Value = TypeVar("Value")


def to_status(status: PredictorStatus) -> pb.PredictorStatus:
    """A status as a message; what is None is left out."""
    model, training = status.model, status.training
    return pb.PredictorStatus(
        contract_version=CONTRACT_VERSION,
        model=pb.ModelInfo(
            kind=str(model.kind),
            version=model.version,
            trained_time=model.trained_time,
            reason=model.reason,
            error=model.error,
            naive_error=model.naive_error,
        ),
        history=to_history_status(status.history),
        training=pb.TrainingStatus(
            state=str(training.state),
            progress=training.progress,
            message=training.message,
            finished_time=training.finished_time,
        ),
    )


def from_status(message: pb.PredictorStatus) -> PredictorStatus:
    """The inverse of `to_status`; raises ContractMismatch on another version or a word that is not agreed."""
    check_version(message.contract_version)
    model, training = message.model, message.training
    return PredictorStatus(
        model=ModelInfo(
            kind=_word(ModelKind, model.kind, name="model.kind"),
            version=model.version,
            trained_time=model.trained_time if model.HasField("trained_time") else None,
            reason=model.reason,
            error=model.error if model.HasField("error") else None,
            naive_error=model.naive_error if model.HasField("naive_error") else None,
        ),
        history=from_history_status(message.history),
        training=TrainingStatus(
            state=_word(TrainingState, training.state, name="training.state"),
            progress=training.progress,
            message=training.message,
            finished_time=training.finished_time if training.HasField("finished_time") else None,
        ),
    )


def to_history_status(history: HistoryStatus) -> pb.HistoryStatus:
    """What is held, as a message."""
    return pb.HistoryStatus(
        contract_version=CONTRACT_VERSION,
        step_seconds=history.step_seconds,
        start_time=history.start_time,
        end_time=history.end_time,
        services=history.services,
    )


def from_history_status(message: pb.HistoryStatus) -> HistoryStatus:
    """The inverse of `to_history_status`; raises ContractMismatch on another version."""
    check_version(message.contract_version)
    return HistoryStatus(
        step_seconds=message.step_seconds,
        start_time=message.start_time,
        end_time=message.end_time,
        services=message.services,
    )


def _word(words: Callable[[str], Value], text: str, *, name: str) -> Value:
    try:
        return words(text)
    except ValueError as error:
        raise ContractMismatch(f"{name} is {text!r}, which this side does not know: {error}") from error
