"""
numpy arrays as tensors of the Open Inference Protocol, and back: raw little-endian bytes, or its typed lists.

Knows datatypes and bytes, but not what a tensor means.
"""

import math
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.rpc.open_inference_pb2 import InferTensorContents

BYTES = "BYTES"
_NUMBERS = {
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_DATATYPES = {dtype.newbyteorder("="): name for name, dtype in _NUMBERS.items()}
_LISTS = {"INT64": "int64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", BYTES: "bytes_contents"}
"""The typed lists that are read: of the datatypes in the contract, and the one that is easily sent in their stead."""
_LENGTH = struct.Struct("<I")


def datatype_of(dtype: np.dtype[np.generic]) -> str:
    """The protocol's name of a dtype; object is BYTES."""
    return BYTES if dtype.hasobject else _DATATYPES[dtype.newbyteorder("=")]


def to_raw(array: NDArray[np.generic]) -> bytes:
    """The elements in row-major order, little-endian; before each text its length as a uint32."""
    if not array.dtype.hasobject:
        return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    return b"".join(part for text in array.ravel().tolist() for part in (_LENGTH.pack(len(text)), text))


def from_raw(raw: bytes, *, name: str, datatype: str, shape: Sequence[int]) -> NDArray[np.generic]:
    """
    The inverse of `to_raw`, as a writable array of its own.

    Raises:
        ContractMismatch: If datatype, shape and number of bytes disagree; names the tensor *name*.
    """
    count = _count(name, shape)
    if datatype == BYTES:
        return _texts(_split(name, raw), count=count, name=name).reshape(shape)
    dtype = _dtype(name, datatype)
    if len(raw) != count * dtype.itemsize:
        raise ContractMismatch(
            f"tensor {name!r} has {len(raw)} bytes; {datatype} of shape {list(shape)} has {count * dtype.itemsize}"
        )
    return np.frombuffer(raw, dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def from_contents(
    contents: InferTensorContents, *, name: str, datatype: str, shape: Sequence[int]
) -> NDArray[np.generic]:
    """The elements of a typed list as an array; raises ContractMismatch as `from_raw` does."""
    count = _count(name, shape)
    if datatype not in _LISTS:
        raise ContractMismatch(f"tensor {name!r} has datatype {datatype!r}; as a list there are {', '.join(_LISTS)}")
    elements = getattr(contents, _LISTS[datatype])
    if datatype == BYTES:
        return _texts(list(elements), count=count, name=name).reshape(shape)
    if len(elements) != count:
        raise ContractMismatch(f"tensor {name!r} has {len(elements)} elements; shape {list(shape)} has {count}")
    return np.array(elements, dtype=_dtype(name, datatype).newbyteorder("=")).reshape(shape)


def _dtype(name: str, datatype: str) -> np.dtype[np.generic]:
    if datatype not in _NUMBERS:
        raise ContractMismatch(f"tensor {name!r} has datatype {datatype!r}; there are {', '.join((*_NUMBERS, BYTES))}")
    return _NUMBERS[datatype]


def _count(name: str, shape: Sequence[int]) -> int:
    if any(size < 0 for size in shape):
        raise ContractMismatch(f"tensor {name!r} has shape {list(shape)}; no size may be negative")
    return math.prod(shape)


def _split(name: str, raw: bytes) -> list[bytes]:
    texts, at = [], 0
    while at < len(raw):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(raw, at)[0] if start <= len(raw) else start
        if end > len(raw):
            raise ContractMismatch(f"tensor {name!r} breaks off at byte {len(raw)}; its last text ends at byte {end}")
        texts.append(raw[start:end])
        at = end
    return texts


def _texts(texts: list[bytes], *, count: int, name: str) -> NDArray[np.generic]:
    if len(texts) != count:
        raise ContractMismatch(f"tensor {name!r} has {len(texts)} texts; its shape has {count}")
    array = np.empty(count, dtype=object)
    array[:] = texts
    return array
