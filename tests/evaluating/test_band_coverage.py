"""
How often bands hold, counted by feature, step ahead and load.
"""

import importlib.util
import json
from pathlib import Path

import covering
import numpy as np
import pytest
from covering import BANDS, MOMENTS, Part, Tally, measure, thirds_of, ties_of

from builders.evaluating import write as write_recording
from tidecast_predictor.evaluation.datasets import read
from tidecast_predictor.evaluation.ours import Settings
from tidecast_predictor.evaluation.splits import Splitting, split

MANY = 100
LOW, MIDDLE, HIGH, NONE = range(4)


def _script():
    """By its path, as a package that measures tests has the same name."""
    path = Path(covering.__file__).with_name("band_coverage.py")
    spec = importlib.util.spec_from_file_location("coverage_of_bands", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


coverage = _script()


def tally(covered, *, below=0.0, counted=MANY, shape=(1, 1, 1)) -> Tally:
    """Shares of *counted* truths in each cell of (N, F, H), the same in each third; the others lie above p90."""
    counts = np.broadcast_to(np.asarray(counted, dtype=np.int64), shape)[..., None].repeat(4, axis=-1)
    held, under = (np.rint(np.broadcast_to(share, shape)[..., None] * counts).astype(int) for share in (covered, below))
    return Tally(under, counts - held - under, counts)


def part(of_bands: Tally, ties=None, features=("rps",)) -> Part:
    return Part(
        recording="mesh",
        seed=0,
        features=features,
        seconds=1.0,
        ties=np.zeros(of_bands.counted.shape[:2]) if ties is None else np.asarray(ties),
        tallies={bands: dict.fromkeys(MOMENTS, of_bands) for bands in BANDS},
    )


def everywhere(of: Tally) -> np.ndarray:
    return np.ones(of.counted.shape[:2], bool)


def one_series(*truths: float, thirds=None) -> Tally:
    """A band from 1 to 3 at every origin."""
    truth = np.array(truths, np.float32).reshape(-1, 1, 1, 1)
    band = np.broadcast_to(np.array([1, 2, 3], np.float32), (*truth.shape, 3))
    places = [NONE] * len(truths) if thirds is None else thirds
    return Tally.of(band, truth, np.array(places).reshape(-1, 1, 1))


def test_truths_below_within_and_above_a_band_are_told_apart():
    counts = one_series(0.5, 0.6, 2.0, 3.5)
    assert (counts.below.sum(), counts.covered.sum(), counts.above.sum(), counts.counted.sum()) == (2, 1, 1, 4)


def test_the_ends_of_a_band_belong_to_it():
    assert one_series(1.0, 3.0).covered.sum() == 2


def test_what_was_not_measured_is_not_counted():
    counts = one_series(2.0, np.nan)
    assert counts.counted.sum() == 1
    assert counts.covered.sum() == 1


def test_each_truth_counts_in_the_third_of_its_load():
    counts = one_series(2.0, 0.5, 3.5, 2.0, thirds=[LOW, MIDDLE, HIGH, NONE])
    assert counts.covered[0, 0, 0].tolist() == [1, 0, 0, 1]
    assert counts.below[0, 0, 0].tolist() == [0, 1, 0, 0]
    assert counts.above[0, 0, 0].tolist() == [0, 0, 1, 0]


def test_a_load_is_high_for_the_service_whose_loads_are_lower():
    among = np.stack([np.arange(9), 10 * np.arange(9)], axis=1).astype(np.float32)
    loads = np.array([[1, 1], [4, 40], [8, 8]], np.float32)
    assert thirds_of(loads, among).tolist() == [[LOW, LOW], [MIDDLE, MIDDLE], [HIGH, LOW]]


def test_a_load_that_is_not_known_lies_in_no_third():
    among = np.stack([np.arange(9), np.full(9, np.nan)], axis=1).astype(np.float32)
    assert thirds_of(np.array([[np.nan, 5]], np.float32), among).tolist() == [[NONE, NONE]]


def test_ties_are_the_share_of_the_most_frequent_of_what_was_measured():
    values = np.array([[2, 1], [2, 2], [np.nan, 3], [5, 4]], np.float32)[:, None]
    assert ties_of(values).tolist() == [[pytest.approx(2 / 3), 0.25]]


def test_a_series_that_was_never_measured_has_no_ties():
    assert ties_of(np.full((5, 1, 1), np.nan, np.float32)).tolist() == [[0.0]]


def test_every_feature_weighs_the_same_and_in_it_every_series():
    # Of the second feature one series alone is known.
    of = tally([[[0.5], [0.9]], [[0.7], [0]]], counted=[[[100], [400]], [[300], [0]]], shape=(2, 2, 1))
    assert coverage.share_of(of, everywhere(of))["mean"] == pytest.approx((0.6 + 0.9) / 2)


def test_pooled_every_truth_weighs_the_same():
    of = tally([[[0.5]], [[0.9]]], counted=[[[100]], [[300]]], shape=(2, 1, 1))
    assert coverage.share_of(of, everywhere(of))["pooled"] == pytest.approx(0.8)


def test_a_series_with_few_moments_tells_nothing():
    of = tally([[[0.8]], [[0.0]]], counted=[[[100]], [[4]]], shape=(2, 1, 1))
    assert coverage.share_of(of, everywhere(of)) == {"mean": 0.8, "pooled": 0.8}


def test_where_nothing_is_told_there_is_no_number():
    of = tally(0.8, counted=0)
    assert coverage.share_of(of, everywhere(of)) == {"mean": None, "pooled": None}


def test_each_step_ahead_has_its_own_share():
    told = coverage.shares(part(tally([0.9, 0.8, 0.7], shape=(1, 1, 3))), "online")
    assert [step["mean"] for step in told["continuous"]["steps"]] == [0.9, 0.8, 0.7]
    assert told["continuous"]["features"]["rps"]["ahead"] == {"1": {"mean": 0.9, "pooled": 0.9}}


def test_each_third_of_the_load_has_its_own_share():
    counts = np.full((1, 1, 1, 4), 100)
    missed = np.array([10, 20, 30, 100]).reshape(1, 1, 1, 4)
    told = coverage.shares(part(Tally(np.zeros_like(counts), missed, counts)), "online")
    held = {load: of["mean"] for load, of in told["continuous"]["load"]["origin"].items()}
    assert held == {"low": 0.9, "middle": 0.8, "high": 0.7}


def test_what_is_missed_is_told_by_side():
    told = coverage.shares(part(tally(0.8, below=0.15)), "fixed")["continuous"]["features"]["rps"]
    assert (told["below p10"]["mean"], told["above p90"]["mean"]) == (0.15, 0.05)


def test_a_series_that_stays_at_one_value_is_told_apart():
    of = tally([[[0.8]], [[1.0]]], shape=(2, 1, 1))
    told = coverage.shares(part(of, ties=[[0.05], [0.6]]), "online")
    assert told["continuous"]["all"]["mean"] == 0.8
    assert told["stepped"]["all"]["mean"] == 1.0
    assert told["stepped"]["features"]["rps"]["series"] == 1


def test_the_mean_over_runs_is_over_those_that_have_the_number():
    some = [{"a": 0.7, "b": [0.5], "c": None}, {"a": 0.9, "b": [0.6], "c": 0.4, "d": 1}]
    assert coverage.averaged(some) == {"a": 0.8, "b": [0.55], "c": 0.4, "d": 1}


def test_what_is_kept_comes_back_as_it_was(tmp_path):
    kept = part(tally(0.8, shape=(2, 1, 3)), ties=[[0.1], [0.3]])
    kept.write(tmp_path / "folder" / "one.npz")
    back = Part.read(tmp_path / "folder" / "one.npz")
    assert (back.recording, back.seed, back.features, back.seconds) == ("mesh", 0, ("rps",), 1.0)
    assert np.array_equal(back.ties, kept.ties)
    assert np.array_equal(back.tallies["fixed"]["target"].above, kept.tallies["fixed"]["target"].above)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["one.npz"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A tiny recording, how it was parted, and its bands."""
    dataset = read(write_recording(tmp_path_factory.mktemp("recordings")))
    splitting = Splitting(window=6, horizon=4)
    return split(dataset.series, splitting), measure(dataset, splitting, Settings(updates=3, hidden=4), seed=0)


def test_every_known_truth_is_counted_once_with_and_without_the_online_step(measured):
    parted, of = measured
    known = sum(
        int(np.isfinite(parted.series.values[origin + 1 : origin + 5]).sum()) for origin in parted.test.tolist()
    )
    for bands in BANDS:
        for moment in MOMENTS:
            assert of.tallies[bands][moment].counted.sum() == known


def test_the_online_step_makes_other_bands_than_there_were(measured):
    _, of = measured
    assert not np.array_equal(of.tallies["online"]["origin"].above, of.tallies["fixed"]["origin"].above)


def test_the_load_at_the_target_is_that_of_each_step_and_at_the_origin_that_of_all(measured):
    parted, of = measured
    origins, requests = parted.test, parted.series.values[..., 0]
    counts = {moment: of.tallies["fixed"][moment].counted[:, 0] for moment in MOMENTS}
    at_target = thirds_of(requests[origins + 4], requests[parted.test_begin :])
    at_origin = thirds_of(requests[origins], requests[: parted.task.training_steps])
    for third in (LOW, MIDDLE, HIGH):
        assert counts["target"][:, 3, third].tolist() == (at_target == third).sum(axis=0).tolist()
        known = np.isfinite(requests[origins + 4])
        assert counts["origin"][:, 3, third].tolist() == ((at_origin == third) & known).sum(axis=0).tolist()


@pytest.fixture
def learnt(monkeypatch, tmp_path):
    """Seeds that were learnt with, in order; nothing is learnt in truth."""
    seeds = []

    def measured(_dataset, splitting, _settings, seed):
        seeds.append(seed)
        return part(tally(0.8, shape=(1, 1, splitting.horizon)))

    path = write_recording(tmp_path)
    monkeypatch.setattr(coverage, "record", lambda _recording, _folder: (path, 0.0))
    monkeypatch.setattr(coverage, "measure", measured)
    return seeds


def run(folder, *more):
    coverage.main(["mesh-1", "--kept", str(folder / "kept"), "--out", str(folder / "coverage.json"), *more])
    return json.loads((folder / "coverage.json").read_text())


def test_a_part_that_is_finished_is_not_learnt_again(learnt, tmp_path):
    first, second = run(tmp_path), run(tmp_path, "--seeds", "2")
    assert learnt == [0, 1]
    assert [len(of["runs"]) for of in (first, second)] == [1, 2]


@pytest.mark.parametrize("change", [("--updates", "9"), ("--seconds", "9"), ("--origins", "9"), ("--horizon", "9")])
def test_other_settings_are_learnt_with_anew(learnt, tmp_path, change):
    run(tmp_path)
    run(tmp_path, *change)
    assert learnt == [0, 0]


@pytest.mark.usefixtures("learnt")
def test_the_table_is_in_percent_for_readers(tmp_path, capsys):
    run(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| p10 to p90, percent | online, mean | online, pooled | fixed, mean | fixed, pooled |"
    assert "| high load at the origin | 80.0 | 80.0 | 80.0 | 80.0 |" in lines
    assert "| rps, continuous, 15 ahead | 80.0 | 80.0 | 80.0 | 80.0 |" in lines
