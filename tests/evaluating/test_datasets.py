"""
Reading recordings: what is read is what was written, and a wrong file is told what to do.
"""

from zipfile import ZipFile

import numpy as np
import pytest

from builders.evaluating import content, write
from tidecast_predictor.evaluation.datasets import DatasetUnusable, read, read_all


def test_a_recording_is_read_as_it_was_written(tmp_path):
    held = content()
    dataset = read(write(tmp_path, "shop"))

    assert dataset.name == "shop"
    assert dataset.about == {"real": "simulated"}
    assert np.array_equal(dataset.series.values, held["data"], equal_nan=True)
    assert dataset.series.calls.tolist() == [[0, 1], [1, 2]]
    assert dataset.series.step_seconds == 60
    assert dataset.series.features == ("rps", "p95_ms")


def test_weights_segments_and_meta_may_be_left_out(tmp_path):
    series = read(write(tmp_path, **content(edge_weight=None, segment=None, meta=None))).series

    assert series.weights.tolist() == [1, 1]
    assert not series.segments.any()


def test_segments_are_numbered_in_their_order(tmp_path):
    series = read(write(tmp_path, **content(segment=np.repeat([7, 3, 7, 9], 100)))).series

    assert np.array_equal(series.segments, np.repeat([0, 1, 2, 3], 100))


def test_where_time_leaps_the_remedy_is_told(tmp_path, caplog):
    read(write(tmp_path, **content(time=60 * (np.arange(400) + 7 * (np.arange(400) >= 200)))))

    assert "put in rows of NaN" in caplog.text


def test_where_time_leaps_a_segment_begins(tmp_path):
    time = 60 * np.arange(400)
    time[250:] += 3600
    series = read(write(tmp_path, **content(time=time))).series

    assert np.flatnonzero(np.diff(series.segments)).tolist() == [249]
    assert series.step_seconds == 60


def test_other_content_has_another_digest(tmp_path):
    one, same, other = (write(tmp_path, name, **content(seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))

    assert read(one).digest == read(same).digest != read(other).digest


@pytest.mark.parametrize(
    ("changes", "key", "remedy"),
    [
        ({"nodes": None}, "nodes", "add it"),
        ({"data": np.zeros((400, 3))}, "data", "of shape"),
        ({"nodes": np.array(["a", "a", "b"])}, "nodes", "3 different"),
        ({"features": np.array(["rps"])}, "features", "2 different"),
        ({"time": np.arange(5)}, "time", "400 steps"),
        ({"time": np.zeros(400)}, "time", "sort"),
        ({"segment": np.zeros(3)}, "segment", "400 steps"),
        ({"edges": np.array([[0, 3]])}, "edges", "from 0 to 2"),
        ({"edges": np.zeros((2, 3), int)}, "edges", "(calls, 2)"),
        ({"edge_weight": np.array([1.0, -1.0])}, "edge_weight", "positive"),
        ({"edge_weight": np.array([1.0, np.inf])}, "edge_weight", "positive"),
        ({"edge_weight": np.array(["often", "never"])}, "edge_weight", "positive"),
        ({"edges": np.array([[-1, 0]])}, "edges", "from 0 to 2"),
        ({"segment": np.full(400, np.nan)}, "segment", "400 steps"),
        ({"time": 1_700_000_000_000 + 60_000 * np.arange(400)}, "time", "not milliseconds"),
        ({"time": np.arange(400) / 2}, "time", "whole seconds"),
        ({"time": (1_700_000_000 + 300 * np.arange(400)).astype(np.float32)}, "time", "as int64"),
        ({"edge_weight": np.array([1.0, -1.0])}, "edge_weight", "-1.0 for call 1"),
        ({"nodes": np.array(["a", "b", "c"], object)}, "nodes", "as text"),
        ({"data": np.zeros((400, 3, 2), object)}, "data", "as numbers"),
    ],
)
def test_what_does_not_fit_is_named_with_a_remedy(tmp_path, changes, key, remedy):
    path = write(tmp_path, **content(**changes))
    with pytest.raises(DatasetUnusable) as refused:
        read(path)

    assert str(path) in str(refused.value)
    assert f"'{key}'" in str(refused.value)
    assert remedy in str(refused.value)


def test_a_call_beyond_the_services_is_the_one_that_is_named(tmp_path):
    with pytest.raises(DatasetUnusable, match="service -1"):
        read(write(tmp_path, **content(edges=np.array([[0, 1], [-1, 0]]))))


def test_infinite_numbers_and_those_beyond_float32_count_as_missing(tmp_path, caplog):
    data = np.ones((400, 3, 2))
    data[5, 0, 0], data[6, 1, 1] = -np.inf, 1e300
    values = read(write(tmp_path, **content(data=data))).series.values

    assert np.argwhere(np.isnan(values)).tolist() == [[5, 0, 0], [6, 1, 1]]
    assert "'data' holds 2 infinite numbers" in caplog.text


@pytest.mark.parametrize(
    ("weights", "taken"),
    [([0.0, 4.0], [4.0, 4.0]), ([4.0, np.nan], [4.0, 4.0]), ([0, 0], [1, 1]), ([1e-60, 4.0], [4.0, 4.0])],
)
def test_a_call_without_a_weight_has_the_smallest_of_the_others(tmp_path, caplog, weights, taken):
    series = read(write(tmp_path, **content(edge_weight=np.array(weights)))).series

    assert series.weights.tolist() == taken
    assert "'edge_weight'" in caplog.text


def test_a_recording_without_calls_may_hold_empty_weights(tmp_path):
    nothing = content(edges=np.zeros((0, 2), np.int32), edge_weight=np.zeros(0, np.float32))

    assert read(write(tmp_path, **nothing)).series.weights.shape == (0,)


def test_names_in_bytes_are_read_as_text(tmp_path):
    series = read(write(tmp_path, **content(features=np.array([b"rps", b"p95_ms"])))).series

    assert series.features == ("rps", "p95_ms")


@pytest.mark.parametrize(
    ("meta", "about"),
    [
        (np.array(b'{"real": "yes"}'), {"real": "yes"}),
        (np.array(['{"real": "yes"}']), {"real": "yes"}),
        (np.array("[1]"), {"meta": [1]}),
        (np.array("from the lab"), {"meta": "from the lab"}),
    ],
)
def test_what_a_file_says_of_itself_does_no_harm_in_any_form(tmp_path, meta, about):
    assert read(write(tmp_path, **content(meta=meta))).about == about


def test_keys_that_are_not_known_are_not_looked_at(tmp_path):
    path = write(tmp_path, **content(), labels=np.array([{"no": "text"}], object))

    assert read(path).series.services == ("gateway", "cart", "stock")


def test_a_file_that_is_not_there_is_told_apart_from_one_of_another_form(tmp_path):
    with pytest.raises(DatasetUnusable, match="No such file or directory"):
        read(tmp_path / "gone.npz")


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "data.npy", np.zeros(3))
    with pytest.raises(DatasetUnusable, match="single array"):
        read(tmp_path / "data.npy")


@pytest.mark.parametrize("compressed", [True, False])
def test_the_array_that_is_damaged_is_named(tmp_path, compressed):
    path = tmp_path / "mesh.npz"
    (np.savez_compressed if compressed else np.savez)(path, **content())
    with ZipFile(path) as archive:
        member = archive.getinfo("data.npy")
    held = bytearray(path.read_bytes())
    begin = member.header_offset + 30 + len(member.filename) + int.from_bytes(held[28:30], "little")
    # The first block of what is compressed, and the last bytes of what is not: one cannot be unpacked, one sums up wrong.
    damaged = begin if compressed else begin + member.compress_size - 8
    held[damaged : damaged + 8] = b"\xff" * 8
    path.write_bytes(held)
    with pytest.raises(DatasetUnusable, match="'data' cannot be read"):
        read(path)


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "mesh.npz").write_text("rps\n1\n")
    with pytest.raises(DatasetUnusable, match=r"numpy\.savez"):
        read(tmp_path / "mesh.npz")


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "more").mkdir()
    with pytest.raises(DatasetUnusable, match="rename"):
        read_all([write(tmp_path), write(tmp_path / "more")])
