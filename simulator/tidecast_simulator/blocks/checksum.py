"""
CRC-32C (Castagnoli), of one text or of many at once. The standard library has only the other CRC-32.
"""

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()
_TABLE_ARRAY = np.array(_TABLE, dtype=np.uint32)


def crc32c(data: bytes) -> int:
    """The checksum of some bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def crc32c_of_rows(data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The checksum of the first so many bytes of each row; data of shape (R, W), lengths and result of shape (R,)."""
    values = np.full(len(data), 0xFFFFFFFF, dtype=np.uint32)
    order = np.argsort(-lengths, kind="stable")
    columns = np.ascontiguousarray(data[order].T)
    active = np.searchsorted(-lengths[order], -np.arange(1, data.shape[1] + 1), side="right")
    for column, count in zip(columns, active, strict=True):
        part = values[:count]
        values[:count] = _TABLE_ARRAY[(part ^ column[:count]) & np.uint32(0xFF)] ^ part >> np.uint32(8)
    result = np.empty_like(values)
    result[order] = values ^ np.uint32(0xFFFFFFFF)
    return result
