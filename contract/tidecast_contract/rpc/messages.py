"""
A `wire.Message` as a request or a response of the Open Inference Protocol, and back.

Requests and responses are written with raw contents; the typed lists, which other clients may send, are read too.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.rpc import open_inference_pb2 as pb
from tidecast_contract.rpc import tensors
from tidecast_contract.wire import MODEL_NAME, Message, Parameter

_Tensor = pb.ModelInferRequest.InferInputTensor | pb.ModelInferResponse.InferOutputTensor


def to_request(message: Message) -> pb.ModelInferRequest:
    """A question to the model that is served at present, for all its outputs."""
    request = pb.ModelInferRequest(model_name=MODEL_NAME)
    _fill(request.parameters, message.parameters)
    for name, array in message.tensors.items():
        request.inputs.add(name=name, datatype=tensors.datatype_of(array.dtype), shape=array.shape)
        request.raw_input_contents.append(tensors.to_raw(array))
    return request


def from_request(request: pb.ModelInferRequest) -> Message:
    """The inverse of `to_request`; raises ContractMismatch, naming the input, when its bytes do not fit its shape."""
    return Message(
        _arrays(request.inputs, request.raw_input_contents),
        _parameters(request.parameters),
    )


def to_response(message: Message, request: pb.ModelInferRequest, *, model_version: str) -> pb.ModelInferResponse:
    """
    The answer to *request*, with the outputs that it names, or all when it names none.

    Raises:
        ContractMismatch: If it names an output that is not there.
    """
    response = pb.ModelInferResponse(model_name=MODEL_NAME, model_version=model_version, id=request.id)
    _fill(response.parameters, message.parameters)
    for name in [output.name for output in request.outputs] or message.tensors:
        if name not in message.tensors:
            raise ContractMismatch(f"output {name!r} is asked for; there are {', '.join(message.tensors)}")
        array = message.tensors[name]
        response.outputs.add(name=name, datatype=tensors.datatype_of(array.dtype), shape=array.shape)
        response.raw_output_contents.append(tensors.to_raw(array))
    return response


def from_response(response: pb.ModelInferResponse) -> Message:
    """The inverse of `to_response`; raises ContractMismatch as `from_request` does."""
    return Message(
        _arrays(response.outputs, response.raw_output_contents),
        _parameters(response.parameters),
    )


def _arrays(described: Iterable[_Tensor], raw: Sequence[bytes]) -> dict[str, NDArray[np.generic]]:
    described = list(described)
    if raw and len(raw) != len(described):
        raise ContractMismatch(f"there are {len(raw)} raw contents for {len(described)} tensors")
    arrays: dict[str, NDArray[np.generic]] = {}
    for i, tensor in enumerate(described):
        if tensor.name in arrays:
            raise ContractMismatch(f"tensor {tensor.name!r} stands twice")
        arrays[tensor.name] = _array(tensor, raw[i] if raw else None)
    return arrays


def _array(tensor: _Tensor, raw: bytes | None) -> NDArray[np.generic]:
    name, datatype, shape = tensor.name, tensor.datatype, tuple(tensor.shape)
    if raw is None:
        return tensors.from_contents(tensor.contents, name=name, datatype=datatype, shape=shape)
    return tensors.from_raw(raw, name=name, datatype=datatype, shape=shape)


def _fill(field: MutableMapping[str, pb.InferParameter], parameters: Mapping[str, Parameter]) -> None:
    for name, value in parameters.items():
        match value:
            case bool():
                field[name].bool_param = value
            case int():
                field[name].int64_param = value
            case float():
                field[name].double_param = value
            case str():
                field[name].string_param = value
            case _:
                raise TypeError(f"parameter {name!r} is a {type(value).__name__}; there is no such parameter")


def _parameters(field: Mapping[str, pb.InferParameter]) -> dict[str, Parameter]:
    chosen = ((name, parameter, parameter.WhichOneof("parameter_choice")) for name, parameter in field.items())
    return {name: getattr(parameter, choice) for name, parameter, choice in chosen if choice}
