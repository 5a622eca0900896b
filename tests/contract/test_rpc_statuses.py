import pytest

from builders.statuses import status
from tidecast_contract.errors import ContractMismatch
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.rpc import statuses
from tidecast_contract.rpc import tidecast_pb2 as pb
from tidecast_contract.status import HistoryStatus, TrainingState, TrainingStatus


def over_the_wire(sent):
    return statuses.from_status(pb.PredictorStatus.FromString(statuses.to_status(sent).SerializeToString()))


def test_a_status_crosses_the_wire():
    assert over_the_wire(status()) == status()


def test_what_is_not_known_yet_stays_unknown():
    young = status(
        model=ModelInfo(ModelKind.NONE), history=HistoryStatus(), training=TrainingStatus(TrainingState.IDLE)
    )
    assert over_the_wire(young) == young


def test_zero_and_unknown_differ():
    perfect = status(
        model=ModelInfo(ModelKind.GCN_GRU, trained_time=0, error=0.0, naive_error=0.0),
        training=TrainingStatus(TrainingState.IDLE, finished_time=0),
    )
    assert over_the_wire(perfect) == perfect


@pytest.mark.parametrize("read", [statuses.from_status, statuses.from_history_status])
def test_a_status_of_another_contract_version_is_refused(read):
    other = {statuses.from_status: pb.PredictorStatus, statuses.from_history_status: pb.HistoryStatus}[read]
    with pytest.raises(ContractMismatch, match="speaks contract version 7, this side 2"):
        read(other(contract_version=7))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(lambda message: setattr(message.model, "kind", "Oracle"), "model.kind is 'Oracle'", id="model"),
        pytest.param(
            lambda message: setattr(message.training, "state", "Bored"), "training.state is 'Bored'", id="state"
        ),
    ],
)
def test_a_word_that_is_not_agreed_is_refused(change, text):
    message = statuses.to_status(status())
    change(message)
    with pytest.raises(ContractMismatch, match=text):
        statuses.from_status(message)
