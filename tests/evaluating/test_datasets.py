"""
Reading recordings: what is read is what was written, and a wrong file is told what to do.
"""

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
        ({"data": np.full((400, 3, 2), np.inf)}, "data", "NaN"),
        ({"nodes": np.array(["a", "a", "b"])}, "nodes", "3 different"),
        ({"features": np.array(["rps"])}, "features", "2 different"),
        ({"time": np.arange(5)}, "time", "400 steps"),
        ({"time": np.zeros(400)}, "time", "sort"),
        ({"segment": np.zeros(3)}, "segment", "400 steps"),
        ({"edges": np.array([[0, 3]])}, "edges", "from 0 to 2"),
        ({"edges": np.zeros((2, 3), int)}, "edges", "(calls, 2)"),
        ({"edge_weight": np.array([1.0, -1.0])}, "edge_weight", "positive"),
        ({"meta": np.array("{")}, "meta", "leave it out"),
    ],
)
def test_what_does_not_fit_is_named_with_a_remedy(tmp_path, changes, key, remedy):
    path = write(tmp_path, **content(**changes))
    with pytest.raises(DatasetUnusable) as refused:
        read(path)

    assert str(path) in str(refused.value)
    assert f"'{key}'" in str(refused.value)
    assert remedy in str(refused.value)


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "mesh.npz").write_text("rps\n1\n")
    with pytest.raises(DatasetUnusable, match=r"numpy\.savez"):
        read(tmp_path / "mesh.npz")


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "more").mkdir()
    with pytest.raises(DatasetUnusable, match="rename"):
        read_all([write(tmp_path), write(tmp_path / "more")])
