"""
Samples to XOR chunks (Gorilla's encoding as Prometheus writes it), many chunks at once.

https://github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md
All chunks take their i-th sample in the same step, so the work is done in whole arrays; `C` chunks of up to `K` samples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES_PER_CHUNK = 120
# Each put may take 64 bits; the longest sample is 4 + 64 bits of time and 13 + 64 of value.
_WORDS = 2 + (SAMPLES_PER_CHUNK * 145) // 64 + 4
_GROUP = 4096
_NO_WINDOW = 255

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """
    Encoded chunks.

    Attributes:
        data: The bytes of each, without length, encoding and checksum; uint8 of shape (C, W), zero behind the end.
        lengths: How many bytes are its own, of shape (C,).
    """

    data: NDArray[np.uint8]
    lengths: Integers


def encode(times: Integers, values: NDArray[np.float64], counts: Integers) -> Chunks:
    """
    Encodes chunks of samples.

    Args:
        times: Milliseconds since 1970, rising in each row, of shape (C, K).
        values: Of shape (C, K).
        counts: How many of each row's samples are there, at least 1, of shape (C,).
    """
    groups = [
        _encode_group(times[first : first + _GROUP], values[first : first + _GROUP], counts[first : first + _GROUP])
        for first in range(0, len(counts), _GROUP)
    ]
    width = max(group.data.shape[1] for group in groups)
    data = np.concatenate([np.pad(group.data, ((0, 0), (0, width - group.data.shape[1]))) for group in groups])
    return Chunks(data, np.concatenate([group.lengths for group in groups]))


def _encode_group(times: Integers, values: NDArray[np.float64], counts: Integers) -> Chunks:
    bits = _Bits(len(counts))
    writer = _ValueWriter(bits)
    columns = np.ascontiguousarray(values.T).view(np.uint64)
    bits.put(counts.astype(np.uint64), np.full(len(counts), 16))
    bits.put(*_varint(times[:, 0]))
    bits.put(columns[0], np.full(len(counts), 64))
    steps = np.diff(times, axis=1)
    for position in range(1, int(counts.max(initial=1))):
        here = counts > position
        if position == 1:
            code, length = _uvarint(steps[:, 0])
            bits.put(code, np.where(here, length, 0))
            quiet = np.zeros(len(counts), dtype=bool)
        else:
            change = steps[:, position - 1] - steps[:, position - 2]
            quiet = change == 0
            bits.put(np.full(len(counts), 0b1111, dtype=np.uint64), np.where(here & ~quiet, 4, 0))
            bits.put(change.astype(np.uint64), np.where(here & ~quiet, 64, 0))
        writer.put(columns[position - 1] ^ columns[position], here, quiet)
    return bits.chunks()


class _Bits:
    """A growing row of bits for each chunk, most significant first."""

    def __init__(self, count: int) -> None:
        self._words = np.zeros((count, _WORDS), dtype=np.uint64)
        self._flat = self._words.reshape(-1)
        self._starts = np.arange(count, dtype=np.int64) * _WORDS
        self._position = np.zeros(count, dtype=np.int64)

    def put(self, codes: Words, lengths: Integers) -> None:
        """Appends the lowest `lengths` bits (0 to 64) of each code to each row."""
        if not lengths.any():
            return
        shift = np.minimum(64 - lengths, 63).astype(np.uint64)
        aligned = np.where(lengths > 0, codes << shift, np.uint64(0))
        word = self._starts + (self._position >> 6)
        offset = (self._position & 63).astype(np.uint64)
        self._flat[word] |= aligned >> offset
        self._flat[word + 1] |= (aligned << (np.uint64(63) - offset)) << np.uint64(1)
        self._position += lengths

    def chunks(self) -> Chunks:
        """The rows as bytes."""
        lengths = (self._position + 7) >> 3
        width = int(lengths.max())
        words = self._words[:, : (width + 7) // 8].astype(">u8")
        return Chunks(words.view(np.uint8)[:, :width], lengths)


class _ValueWriter:
    """Appends values as their XOR with the one before, within a window of significant bits that it remembers."""

    def __init__(self, bits: _Bits) -> None:
        self._bits = bits
        count = len(bits._starts)  # noqa: SLF001 - the two classes are one encoder
        self._leading = np.full(count, _NO_WINDOW, dtype=np.int64)
        self._trailing = np.zeros(count, dtype=np.int64)

    def put(self, delta: Words, here: NDArray[np.bool_], quiet: NDArray[np.bool_]) -> None:
        """
        Appends one value to each chunk.

        Args:
            delta: XOR of the value's bits with those of the one before.
            here: Which chunks have such a value.
            quiet: Where the time's code is a single 0 bit, which stands before the value's.
        """
        changed = here & (delta != 0)
        leading, trailing = _zeros_around(delta)
        kept = changed & (self._leading != _NO_WINDOW) & (leading >= self._leading) & (trailing >= self._trailing)
        new = changed & ~kept
        self._leading = np.where(new, leading, self._leading)
        self._trailing = np.where(new, trailing, self._trailing)
        significant = 64 - self._leading - self._trailing
        window = (0b11 << 11) | (self._leading << 6) | (significant & 63)
        header = np.where(new, window, np.where(kept, 0b10, 0)).astype(np.uint64)
        length = np.where(new, 13, np.where(kept, 2, 1)) + quiet
        self._bits.put(header, np.where(here, length, 0))
        payload = delta >> self._trailing.astype(np.uint64)
        self._bits.put(payload, np.where(changed, significant, 0))


def _zeros_around(words: Words) -> tuple[Integers, Integers]:
    """Zero bits before the first (at most 31, which is all that the format can say) and after the last one bit."""
    filled = words.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        filled |= filled >> np.uint64(shift)
    leading = 64 - np.bitwise_count(filled).astype(np.int64)
    lowest = words & (~words + np.uint64(1))
    trailing = np.bitwise_count(lowest - np.uint64(1)).astype(np.int64)
    return np.minimum(leading, 31), np.where(words == 0, 0, trailing)


def _varint(numbers: Integers) -> tuple[Words, Integers]:
    """Go's signed varint of each number, as codes and their lengths in bits."""
    return _uvarint((numbers << 1) ^ (numbers >> 63))


def _uvarint(numbers: Integers) -> tuple[Words, Integers]:
    """Go's unsigned varint of each number below 2**56, as codes and their lengths in bits."""
    codes = np.zeros(len(numbers), dtype=np.uint64)
    lengths = np.zeros(len(numbers), dtype=np.int64)
    rest = numbers.astype(np.uint64)
    going = np.ones(len(numbers), dtype=bool)
    while going.any():
        more = rest >= 0x80
        byte = (rest & np.uint64(0x7F)) | np.where(more, np.uint64(0x80), np.uint64(0))
        codes = np.where(going, codes << np.uint64(8) | byte, codes)
        lengths += np.where(going, 8, 0)
        rest >>= np.uint64(7)
        going &= more
    return codes, lengths
