"""
Series and samples to one block directory that Prometheus loads.
"""

import json
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidecast_simulator.blocks.checksum import crc32c_of_rows
from tidecast_simulator.blocks.chunks import SAMPLES_PER_CHUNK, Chunks, encode
from tidecast_simulator.blocks.index import ChunkRef, Entry, Labels, index_bytes, uvarint

_SEGMENT_HEADER = struct.pack(">IBxxx", 0x85BD40DD, 1)
_XOR = b"\x01"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """
    The samples of S series at T times.

    Attributes:
        labels: Of each series, sorted by name and with `__name__`; unique; S of them.
        times: Unix milliseconds, rising, int64 of shape (T,).
        values: Float64 of shape (S, T); NaN where a series has no sample.
    """

    labels: Sequence[Labels]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


def write_block(directory: Path, samples: Samples) -> Path | None:
    """Writes a block below a directory; answers its place, or None when there is no sample at all."""
    order = sorted(range(len(samples.labels)), key=lambda row: samples.labels[row])
    values = samples.values[order]
    rows, columns = np.nonzero(~np.isnan(values))
    if not len(rows):
        return None
    plan = _Plan.of(rows)
    times = np.zeros((plan.chunks, SAMPLES_PER_CHUNK), dtype=np.int64)
    grid = np.zeros((plan.chunks, SAMPLES_PER_CHUNK))
    times[plan.chunk, plan.slot] = samples.times[columns]
    grid[plan.chunk, plan.slot] = values[rows, columns]
    chunks = encode(times, grid, plan.counts)
    segment, offsets = _segment(chunks)
    ends = times[np.arange(plan.chunks), plan.counts - 1]
    refs = [ChunkRef(*one) for one in zip(times[:, 0].tolist(), ends.tolist(), offsets, strict=True)]
    entries = [
        Entry(samples.labels[order[row]], tuple(refs[first:last]))
        for row, first, last in zip(plan.rows, plan.first, plan.last, strict=True)
    ]
    name = _ulid()
    meta = _meta(name, (int(times[:, 0].min()), int(ends.max())), (len(rows), len(entries), plan.chunks))
    return _write(directory / name, segment, index_bytes(entries), meta)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Which chunk and slot each sample goes to, and which chunks each series has."""

    chunks: int
    chunk: NDArray[np.int64]
    slot: NDArray[np.int64]
    counts: NDArray[np.int64]
    rows: list[int]
    first: list[int]
    last: list[int]

    @classmethod
    def of(cls, rows: NDArray[np.int64]) -> "_Plan":
        """The plan for samples that stand series by series."""
        present, starts, lengths = np.unique(rows, return_index=True, return_counts=True)
        position = np.arange(len(rows)) - np.repeat(starts, lengths)
        each = -(-lengths // SAMPLES_PER_CHUNK)
        last = np.cumsum(each)
        chunk = np.repeat(last - each, lengths) + position // SAMPLES_PER_CHUNK
        counts = np.bincount(chunk).astype(np.int64)
        slot = position % SAMPLES_PER_CHUNK
        return cls(int(last[-1]), chunk, slot, counts, present.tolist(), (last - each).tolist(), last.tolist())


def _segment(chunks: Chunks) -> tuple[bytes, list[int]]:
    """The chunks' file, and the reference of each chunk in it."""
    coded = np.concatenate([np.full((len(chunks.data), 1), _XOR[0], dtype=np.uint8), chunks.data], axis=1)
    sums = crc32c_of_rows(coded, chunks.lengths + 1).tolist()
    parts, offsets, position = [_SEGMENT_HEADER], [], len(_SEGMENT_HEADER)
    for row, length, checksum in zip(coded, chunks.lengths.tolist(), sums, strict=True):
        part = uvarint(length) + row[: length + 1].tobytes() + struct.pack(">I", checksum)
        offsets.append(position)
        parts.append(part)
        position += len(part)
    return b"".join(parts), offsets


def _meta(name: str, times: tuple[int, int], counts: tuple[int, int, int]) -> dict[str, object]:
    samples, series, chunks = counts
    return {
        "ulid": name,
        "minTime": times[0],
        "maxTime": times[1] + 1,
        "stats": {"numSamples": samples, "numSeries": series, "numChunks": chunks},
        "compaction": {"level": 1, "sources": [name]},
        "version": 1,
    }


def _write(directory: Path, segment: bytes, index: bytes, meta: dict[str, object]) -> Path:
    # The name ends in .tmp until all is there: Prometheus deletes such directories, and loads no half block.
    partial = directory.with_name(directory.name + ".tmp-for-creation")
    (partial / "chunks").mkdir(parents=True)
    (partial / "chunks" / "000001").write_bytes(segment)
    (partial / "index").write_bytes(index)
    (partial / "meta.json").write_text(json.dumps(meta, indent=1))
    partial.rename(directory)
    return directory


def _ulid() -> str:
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))
