import json

import numpy as np
import pytest

from builders.blocks import dumped
from tidecast_simulator.blocks.block import Samples, write_block
from tidecast_simulator.blocks.checksum import crc32c, crc32c_of_rows
from tidecast_simulator.blocks.index import uvarint, varint


def test_checksums_are_castagnoli_s():
    assert crc32c(b"123456789") == 0xE3069283


def test_checksums_of_many_rows_are_those_of_each():
    data = np.random.default_rng(0).integers(0, 256, (50, 40)).astype(np.uint8)
    lengths = np.random.default_rng(1).integers(1, 41, 50)
    expected = [crc32c(row[:length].tobytes()) for row, length in zip(data, lengths, strict=True)]
    assert crc32c_of_rows(data, lengths).tolist() == expected


def test_variable_length_numbers_are_go_s():
    assert [uvarint(number) for number in (0, 127, 128, 300)] == [b"\x00", b"\x7f", b"\x80\x01", b"\xac\x02"]
    assert [varint(number) for number in (0, -1, 1, -65)] == [b"\x00", b"\x01", b"\x02", b"\x81\x01"]


def test_no_sample_makes_no_block(tmp_path):
    samples = Samples([(("__name__", "a"),)], np.array([1000]), np.array([[np.nan]]))
    assert write_block(tmp_path, samples) is None
    assert not list(tmp_path.iterdir())


def awkward_values(count: int) -> np.ndarray:
    """Rows that try every branch of the encoding."""
    chance = np.random.default_rng(7)
    rows = [
        np.full(count, 3.0),
        np.arange(count) * 17.0,
        chance.normal(size=count),
        chance.normal(size=count) * 10.0 ** chance.integers(-300, 300, count),
        np.where(np.arange(count) % 2, 0.0, -1e308),
        np.cumsum(chance.poisson(3, count)).astype(float),
        np.where(chance.random(count) < 0.3, np.nan, np.arange(count)),
        np.where(np.arange(count) < count - 1, np.nan, np.inf),
        np.where(np.arange(count) % 130 < 5, 1.5, np.nan),
        chance.integers(0, 2**63, count).view(np.float64),
        # Neighbours among the floats: more zero bits in front than the format can say.
        (np.float64(1).view(np.int64) + chance.integers(0, 9, count)).view(np.float64),
    ]
    return np.array(rows)


@pytest.mark.real("promtool")
def test_prometheus_reads_back_every_sample(tmp_path):
    values = awkward_values(700)
    steps = np.where(np.arange(700) % 50 == 0, 600_000, 15_000)
    times = 1_790_000_000_000 + np.cumsum(steps) + (np.arange(700) % 7 == 0)
    labels = [(("__name__", "x"), ("row", str(row)), ("ü", 'q"uote')) for row in range(len(values))]
    block = write_block(tmp_path, Samples(labels, times, values))
    read = dumped(tmp_path)
    assert len(read) == len(values)
    for key, samples in read.items():
        row = values[int(key.split('row="')[1].split('"')[0])]
        there = ~np.isnan(row)
        assert [time for time, _ in samples] == times[there].tolist()
        assert [value for _, value in samples] == row[there].tolist()
    assert json.loads((block / "meta.json").read_text())["stats"]["numSeries"] == len(values)
