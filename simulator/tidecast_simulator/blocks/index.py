"""
A block's index: which series there are, where their chunks lie, and which series carry a label.

https://github.com/prometheus/prometheus/blob/main/tsdb/docs/format/index.md
"""

import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tidecast_simulator.blocks.checksum import crc32c

Labels = tuple[tuple[str, str], ...]
_MAGIC = 0xBAAAD700
_VERSION = 2


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """Where a chunk lies, and the times of its first and last sample in milliseconds."""

    first_time: int
    last_time: int
    ref: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One series with its chunks by time; labels sorted by name, `__name__` among them."""

    labels: Labels
    chunks: tuple[ChunkRef, ...]


def index_bytes(entries: Sequence[Entry]) -> bytes:
    """The index file of a block with these series, sorted by labels."""
    out = bytearray(struct.pack(">IB", _MAGIC, _VERSION))
    symbols = sorted({text.encode() for entry in entries for pair in entry.labels for text in pair})
    symbols_at = len(out)
    _section(out, struct.pack(">I", len(symbols)) + b"".join(uvarint(len(text)) + text for text in symbols))
    numbers = {text.decode(): number for number, text in enumerate(symbols)}
    series_at = len(out)
    references = [_append_series(out, entry, numbers) for entry in entries]
    # Nothing reads label indices any more; an empty table satisfies the table of contents.
    label_indices_at = len(out)
    _section(out, struct.pack(">I", 0))
    postings_at = len(out)
    offsets = _append_postings(out, entries, references)
    postings_table_at = len(out)
    _section(out, struct.pack(">I", len(offsets)) + b"".join(offsets))
    contents = struct.pack(
        ">6Q", symbols_at, series_at, label_indices_at, label_indices_at, postings_at, postings_table_at
    )
    return bytes(out + contents + struct.pack(">I", crc32c(contents)))


def _append_series(out: bytearray, entry: Entry, numbers: dict[str, int]) -> int:
    """Appends a series; answers its reference, its place in units of 16 bytes."""
    out += bytes(-len(out) % 16)
    reference = len(out) // 16
    body = bytearray(uvarint(len(entry.labels)))
    for name, value in entry.labels:
        body += uvarint(numbers[name]) + uvarint(numbers[value])
    body += uvarint(len(entry.chunks))
    last_time, last_ref = 0, 0
    for position, chunk in enumerate(entry.chunks):
        start = chunk.first_time - last_time
        body += uvarint(start) if position else varint(start)
        body += uvarint(chunk.last_time - chunk.first_time)
        body += varint(chunk.ref - last_ref) if position else uvarint(chunk.ref)
        last_time, last_ref = chunk.last_time, chunk.ref
    out += uvarint(len(body)) + body + struct.pack(">I", crc32c(bytes(body)))
    return reference


def _append_postings(out: bytearray, entries: Sequence[Entry], references: Sequence[int]) -> list[bytes]:
    """Appends for each label the references of the series that carry it; answers the entries of the offset table."""
    carriers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for entry, reference in zip(entries, references, strict=True):
        carriers["", ""].append(reference)
        for pair in entry.labels:
            carriers[pair].append(reference)
    offsets = []
    for name, value in sorted(carriers, key=lambda pair: (pair[0].encode(), pair[1].encode())):
        out += bytes(-len(out) % 4)
        listed = carriers[name, value]
        offsets.append(uvarint(2) + _text(name) + _text(value) + uvarint(len(out)))
        _section(out, struct.pack(f">I{len(listed)}I", len(listed), *listed))
    return offsets


def _section(out: bytearray, body: bytes) -> None:
    out += struct.pack(">I", len(body)) + body + struct.pack(">I", crc32c(body))


def _text(text: str) -> bytes:
    data = text.encode()
    return uvarint(len(data)) + data


def uvarint(number: int) -> bytes:
    """Go's unsigned varint."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint(number: int) -> bytes:
    """Go's signed varint."""
    return uvarint(number << 1 if number >= 0 else ~(number << 1))
