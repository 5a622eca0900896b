import numpy as np
import pytest

from builders.snapshots import CHECKOUT, FRONTEND, forecast, snapshot
from tidecast_contract import wire
from tidecast_contract.errors import ContractMismatch
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.services import ServiceId


def changed(message, *, tensors=None, parameters=None):
    return wire.Message({**message.tensors, **(tensors or {})}, {**message.parameters, **(parameters or {})})


def without(message, name):
    return wire.Message(
        {key: value for key, value in message.tensors.items() if key != name},
        {key: value for key, value in message.parameters.items() if key != name},
    )


def test_a_snapshot_comes_back_bit_for_bit():
    values = np.random.default_rng(0).normal(size=(3, 2, 7)).astype(np.float32)
    values[0, 0, 0], values[1, 1, 1], values[2, 0, 2] = np.nan, np.inf, -0.0
    sent = snapshot(values=values)
    came = wire.decode_snapshot(wire.encode_snapshot(sent))
    assert came.values.tobytes() == sent.values.tobytes()
    assert (came.services, came.end_time, came.step_seconds) == (sent.services, sent.end_time, sent.step_seconds)
    assert np.array_equal(came.calls, sent.calls)
    assert came.rates.tobytes() == sent.rates.tobytes()


def test_a_forecast_comes_back_bit_for_bit():
    sent = forecast(kinds=(ModelKind.GCN_GRU, ModelKind.NONE))
    sent.values[1] = np.nan
    came = wire.decode_forecast(wire.encode_forecast(sent))
    assert came.values.tobytes() == sent.values.tobytes()
    assert (came.services, came.kinds, came.model) == (sent.services, sent.kinds, sent.model)
    assert (came.issued_time, came.step_seconds, came.quantiles) == (sent.issued_time, 60, sent.quantiles)


def test_what_a_model_does_not_know_of_itself_stays_unknown():
    sent = forecast(model=ModelInfo(ModelKind.LAST_VALUE, reason="the history is short"))
    assert wire.decode_forecast(wire.encode_forecast(sent)).model == sent.model


def test_names_beyond_ascii_survive():
    services = (ServiceId("", "External", "größe.example"), FRONTEND)
    assert wire.decode_snapshot(wire.encode_snapshot(snapshot(services=services))).services == services


def test_a_question_says_how_far_ahead():
    assert wire.horizon_of(wire.encode_snapshot(snapshot(), horizon_steps=30)) == 30


@pytest.mark.parametrize("steps", [0, -1])
def test_a_horizon_that_is_not_ahead_is_refused(steps):
    with pytest.raises(ContractMismatch, match=f"'horizon_steps' is {steps}; it must be positive"):
        wire.horizon_of(wire.encode_snapshot(snapshot(), horizon_steps=steps))


def test_history_has_no_horizon():
    with pytest.raises(ContractMismatch, match="'horizon_steps' is missing; agreed is an integer"):
        wire.horizon_of(wire.encode_snapshot(snapshot()))


@pytest.mark.parametrize(
    ("encoded", "decode"),
    [
        pytest.param(wire.encode_snapshot(snapshot()), wire.decode_snapshot, id="snapshot"),
        pytest.param(wire.encode_forecast(forecast()), wire.decode_forecast, id="forecast"),
    ],
)
def test_another_contract_version_is_refused_before_anything_else(encoded, decode):
    other = wire.Message({}, {**encoded.parameters, "contract_version": 3, "features": "other"})
    with pytest.raises(wire.VersionMismatch, match=f"speaks contract version 3, this side {wire.CONTRACT_VERSION}"):
        decode(other)


@pytest.mark.parametrize(("version", "theirs"), [(None, "no contract version"), ("1", "'1'"), (True, "True")])
def test_a_version_that_is_no_number_is_refused(version, theirs):
    with pytest.raises(wire.VersionMismatch, match=theirs):
        wire.check_version(version)


def test_other_features_are_refused_naming_both():
    message = changed(wire.encode_snapshot(snapshot()), parameters={"features": "CPU,Memory"})
    with pytest.raises(ContractMismatch, match="'features' is 'CPU,Memory'; agreed is 'RequestsPerSecond,LatencyP50"):
        wire.decode_snapshot(message)


def test_other_quantiles_are_refused_naming_both():
    message = changed(wire.encode_forecast(forecast()), parameters={"quantiles": "0.05,0.5,0.95"})
    with pytest.raises(ContractMismatch, match=r"'quantiles' is '0.05,0.5,0.95'; agreed is '0.1,0.5,0.9'"):
        wire.decode_forecast(message)


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        pytest.param(np.zeros((3, 2, 7)), r"'values' is float64 of shape \[3, 2, 7\]; agreed is float32", id="dtype"),
        pytest.param(np.zeros((3, 2, 6), np.float32), r"shape \[3, 2, 6\]; agreed .* shape \[-1, -1, 7\]", id="shape"),
        pytest.param(np.zeros((2, 7), np.float32), r"shape \[2, 7\]; agreed .* shape \[-1, -1, 7\]", id="rank"),
        pytest.param(np.zeros((3, 5, 7), np.float32), r"do not fit 2 services", id="services"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_naming_both(tensor, text):
    with pytest.raises(ContractMismatch, match=text):
        wire.decode_snapshot(changed(wire.encode_snapshot(snapshot()), tensors={"values": tensor}))


@pytest.mark.parametrize("name", ["services", "values", "calls", "rates", "end_time", "step_seconds", "features"])
def test_every_part_of_a_snapshot_is_needed(name):
    with pytest.raises(ContractMismatch, match=f"'{name}' is missing"):
        wire.decode_snapshot(without(wire.encode_snapshot(snapshot()), name))


@pytest.mark.parametrize(
    "name", ["services", "values", "kinds", "issued_time", "step_seconds", "quantiles", "model_kind", "model_version"]
)
def test_every_part_of_a_forecast_is_needed(name):
    with pytest.raises(ContractMismatch, match=f"'{name}' is missing"):
        wire.decode_forecast(without(wire.encode_forecast(forecast()), name))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"\xff", "can't decode", id="no text"),
        pytest.param(b"frontend", "namespace/kind/name", id="no service"),
        pytest.param(str(CHECKOUT).encode(), "stands twice", id="twice"),
    ],
)
def test_a_service_that_is_none_is_refused(text, why):
    message = wire.encode_snapshot(snapshot())
    message.tensors["services"][0] = text
    with pytest.raises(ContractMismatch, match=why):
        wire.decode_snapshot(message)


def test_an_unknown_kind_of_model_is_refused():
    with pytest.raises(ContractMismatch, match="'model_kind' is not valid: 'Oracle'"):
        wire.decode_forecast(changed(wire.encode_forecast(forecast()), parameters={"model_kind": "Oracle"}))
