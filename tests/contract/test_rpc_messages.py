import struct

import numpy as np
import pytest

from builders.snapshots import CHECKOUT, FRONTEND, forecast, snapshot
from tidecast_contract import wire
from tidecast_contract.errors import ContractMismatch
from tidecast_contract.rpc import messages
from tidecast_contract.rpc import open_inference_pb2 as pb


def request(**changes):
    return messages.to_request(wire.encode_snapshot(snapshot(**changes), horizon_steps=4))


def over_the_wire(message):
    return type(message).FromString(message.SerializeToString())


def test_a_snapshot_crosses_the_wire_bit_for_bit():
    sent = snapshot(values=np.array([[[np.nan, 1, 2, 3, 4, 5, 6]] * 2] * 3, dtype=np.float32))
    came = wire.decode_snapshot(messages.from_request(over_the_wire(messages.to_request(wire.encode_snapshot(sent)))))
    assert came.values.tobytes() == sent.values.tobytes()
    assert came.services == sent.services
    assert came.calls.tolist() == sent.calls.tolist()


def test_a_forecast_crosses_the_wire_bit_for_bit():
    sent = forecast()
    response = messages.to_response(wire.encode_forecast(sent), request(), model_version="v1")
    came = wire.decode_forecast(messages.from_response(over_the_wire(response)))
    assert came.values.tobytes() == sent.values.tobytes()
    assert came.model == sent.model


def test_a_graph_without_calls_and_one_without_services_cross_the_wire():
    no_calls = {"calls": np.zeros((2, 0), np.int64), "rates": np.zeros(0, np.float32)}
    for changes in (no_calls, no_calls | {"services": ()}):
        came = wire.decode_snapshot(messages.from_request(over_the_wire(request(**changes))))
        assert came.calls.shape == (2, 0)


def test_what_arrives_can_be_written_to():
    assert wire.decode_snapshot(messages.from_request(request())).values.flags.writeable


def test_raw_numbers_are_little_endian_in_row_major_order():
    values = np.arange(42, dtype=np.float32).reshape(3, 2, 7)
    sent = request(values=values)
    at = [tensor.name for tensor in sent.inputs].index("values")
    assert sent.raw_input_contents[at] == struct.pack("<42f", *range(42))


def test_a_column_major_array_is_sent_in_row_major_order():
    values = np.asfortranarray(np.arange(42, dtype=np.float32).reshape(3, 2, 7))
    assert wire.decode_snapshot(messages.from_request(request(values=values))).values.tolist() == values.tolist()


def test_each_text_follows_its_length():
    raw = dict(zip([tensor.name for tensor in request().inputs], request().raw_input_contents, strict=True))
    first, second = str(FRONTEND).encode(), str(CHECKOUT).encode()
    assert raw["services"] == struct.pack("<I", len(first)) + first + struct.pack("<I", len(second)) + second


def test_typed_lists_are_read_like_raw_contents():
    values = np.linspace(0, 1, 42, dtype=np.float32)
    typed = pb.ModelInferRequest(parameters=request().parameters)
    typed.inputs.add(name="services", datatype="BYTES", shape=[2]).contents.bytes_contents.extend(
        [str(FRONTEND).encode(), str(CHECKOUT).encode()]
    )
    typed.inputs.add(name="values", datatype="FP32", shape=[3, 2, 7]).contents.fp32_contents.extend(values)
    typed.inputs.add(name="calls", datatype="INT64", shape=[2, 1]).contents.int64_contents.extend([0, 1])
    typed.inputs.add(name="rates", datatype="FP32", shape=[1]).contents.fp32_contents.extend([2.0])
    came = wire.decode_snapshot(messages.from_request(over_the_wire(typed)))
    assert came.values.ravel().tobytes() == values.tobytes()
    assert came.services == (FRONTEND, CHECKOUT)


def refused(change):
    sent = request()
    change(sent)
    with pytest.raises(ContractMismatch) as refusal:
        messages.from_request(sent)
    return str(refusal.value)


def test_bytes_that_do_not_fit_the_shape_are_refused():
    def shorten(sent):
        sent.raw_input_contents[1] = sent.raw_input_contents[1][:-4]

    assert refused(shorten) == "tensor 'values' has 164 bytes; FP32 of shape [3, 2, 7] has 168"


def test_texts_that_break_off_are_refused():
    def shorten(sent):
        sent.raw_input_contents[0] = sent.raw_input_contents[0][:-1]

    assert "tensor 'services' breaks off at byte" in refused(shorten)


def test_more_texts_than_the_shape_has_are_refused():
    def widen(sent):
        sent.inputs[0].shape[:] = [3]

    assert refused(widen) == "tensor 'services' has 2 texts; its shape has 3"


def test_an_unknown_datatype_is_refused():
    def rename(sent):
        sent.inputs[1].datatype = "BF16"

    assert "tensor 'values' has datatype 'BF16'; there are BOOL, INT8" in refused(rename)


def test_a_negative_size_is_refused():
    def negate(sent):
        sent.inputs[1].shape[:] = [-3, -2, 7]

    assert refused(negate) == "tensor 'values' has shape [-3, -2, 7]; no size may be negative"


def test_a_tensor_that_stands_twice_is_refused():
    def repeat(sent):
        sent.inputs[1].name = "services"

    assert refused(repeat) == "tensor 'services' stands twice"


def test_too_few_raw_contents_are_refused():
    def drop(sent):
        del sent.raw_input_contents[-1]

    assert refused(drop) == "there are 3 raw contents for 4 tensors"


def test_only_the_outputs_that_were_asked_for_come_back():
    asked = request()
    asked.outputs.add(name="values")
    asked.id = "42"
    response = messages.to_response(wire.encode_forecast(forecast()), asked, model_version="v1")
    assert [output.name for output in response.outputs] == ["values"]
    assert (response.id, response.model_name, response.model_version) == ("42", "tidecast", "v1")


def test_an_output_that_does_not_exist_is_refused():
    asked = request()
    asked.outputs.add(name="certainty")
    with pytest.raises(ContractMismatch, match="'certainty' is asked for; there are services, values, kinds"):
        messages.to_response(wire.encode_forecast(forecast()), asked, model_version="v1")


def test_every_kind_of_parameter_crosses_the_wire():
    parameters = {"truth": True, "number": -(2**40), "share": 0.1, "text": "größe"}
    sent = over_the_wire(messages.to_request(wire.Message({}, parameters)))
    came = messages.from_request(sent).parameters
    assert came == parameters
    assert came["truth"] is True


def test_a_parameter_of_another_type_is_no_parameter():
    with pytest.raises(TypeError, match="'number' is a int64"):
        messages.to_request(wire.Message({}, {"number": np.int64(1)}))


def test_the_numbers_of_the_fields_are_those_of_the_published_protocol():
    numbers = {field.name: field.number for field in pb.ModelInferRequest.DESCRIPTOR.fields}
    assert numbers == {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "inputs": 5,
        "outputs": 6,
        "raw_input_contents": 7,
    }
    assert pb.ModelInferResponse.DESCRIPTOR.fields_by_name["raw_output_contents"].number == 6
    assert pb.InferTensorContents.DESCRIPTOR.fields_by_name["bytes_contents"].number == 8
    assert pb.InferParameter.DESCRIPTOR.fields_by_name["double_param"].number == 4
    assert pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name == "inference.GRPCInferenceService"
