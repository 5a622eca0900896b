"""
The command `evaluate`: from files to results, as often as it takes, with nobody able to cheat.
"""

import json
import sys

import numpy as np
import pytest
import torch

from builders.evaluating import FEATURES, SERVICES, Fake, content, registry, write
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.cli import _parser
from tidecast_predictor.evaluation import command


@pytest.fixture
def drawn():
    """Asked for by tests that look at pictures; drawing takes longer than all the rest."""


@pytest.fixture(autouse=True)
def hardly_any_pictures(request, monkeypatch):
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("tidecast_predictor.evaluation.report.draw", lambda _recording, _folder: [])


def evaluate(folder, *arguments, data=None, **methods):
    """The exit status of the command with a registry of fakes."""
    paths = data or [write(folder)]
    base = ["evaluate", "--window", "6", "--horizon", "4", "--out", str(folder / "out"), "--data", *map(str, paths)]
    return command.evaluate(_parser().parse_args([*base, *arguments]), registry(**methods))


def results(folder):
    return json.loads((folder / "out" / "results.json").read_text())


@pytest.mark.usefixtures("drawn")
def test_results_tables_and_pictures_are_left_behind(tmp_path, capsys):
    assert evaluate(tmp_path, fake=Fake("fake", 0.5, spread=4)) == 0

    written = {"results.json", "table.md", "skill-mesh.png", "error-mesh.png", "coverage-mesh.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == written | {"runs"}
    assert all(name in capsys.readouterr().out for name in ["results.json"])
    table = (tmp_path / "out" / "table.md").read_text()
    assert "## mesh" in table
    assert "p95_ms:log1p" in table
    (dataset,) = results(tmp_path)["datasets"]
    assert dataset["truths_counted"] <= dataset["truths_known"]
    assert dataset["about"] == {"real": "simulated"}
    assert {cell["steps"] for cell in dataset["scores"]} == {"1", "2", "4", "1..2", "1..4"}


def test_a_method_that_is_seeded_is_run_with_every_seed_and_a_simple_one_once(tmp_path):
    fake = Fake("fake", jitter=1.0)
    evaluate(tmp_path, "--seeds", "3", fake=fake)

    assert fake.seeds == [0, 1, 2]
    (dataset,) = results(tmp_path)["datasets"]
    assert {name: found["seeds"] for name, found in dataset["methods"].items()} == {
        "last-value": 1,
        "above": 1,
        "fake": 3,
    }
    median, low, high = dataset["scores"][0]["methods"]["fake"]["relative_mae"]
    assert low == pytest.approx(1)
    assert low < median < high


def test_in_learning_there_is_nothing_beyond_the_known_part(tmp_path):
    fake = Fake("fake")
    evaluate(tmp_path, "--seeds", "1", fake=fake)
    (task,) = fake.tasks

    assert len(task.series.values) == task.known_steps < len(content()["data"])


def test_what_is_finished_is_not_run_again(tmp_path):
    evaluate(tmp_path, fake=Fake("fake"))
    before, again = results(tmp_path), Fake("fake")
    evaluate(tmp_path, fake=again)

    assert not again.seeds
    assert results(tmp_path) == before


def test_after_an_interruption_only_the_rest_is_run(tmp_path, capsys):
    first = {"one": Fake("one"), "two": Fake("two", fails=KeyboardInterrupt())}
    assert evaluate(tmp_path, "--seeds", "2", **first) == 130
    assert "the same command goes on" in capsys.readouterr().err
    rest = {"one": Fake("one"), "two": Fake("two")}
    assert evaluate(tmp_path, "--seeds", "2", **rest) == 0

    assert rest["one"].seeds == []
    assert rest["two"].seeds == [0, 1]


@pytest.mark.parametrize("other", [["--window", "7"], ["--split", "0.8"], ["--origins", "20"], ["--updates", "3"]])
def test_runs_with_other_settings_are_not_used(tmp_path, other):
    evaluate(tmp_path, fake=Fake("fake"))
    again = Fake("fake")
    evaluate(tmp_path, *other, fake=again)

    assert again.seeds == [0, 1, 2]


def test_runs_on_other_data_are_not_used(tmp_path):
    evaluate(tmp_path, fake=Fake("fake"))
    again = Fake("fake")
    evaluate(tmp_path, data=[write(tmp_path, **content(seed=1))], fake=again)

    assert again.seeds == [0, 1, 2]


def test_a_damaged_run_is_made_again(tmp_path):
    evaluate(tmp_path, "--seeds", "1", fake=Fake("fake"))
    for path in (tmp_path / "out" / "runs").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    again = Fake("fake")
    assert evaluate(tmp_path, "--seeds", "1", fake=again) == 0

    assert again.seeds == [0]


def test_a_method_that_looks_ahead_is_found_out(tmp_path):
    assert evaluate(tmp_path, "--seeds", "1", cheat=Fake("cheat", peeks=True)) == 1

    (dataset,) = results(tmp_path)["datasets"]
    assert "cheat forecasts otherwise when what comes after step" in dataset["failures"]["cheat"]
    assert "cheat" not in dataset["methods"]


def test_methods_learn_and_answer_without_tf32_which_makes_digits_depend_on_the_batch(tmp_path):
    seen = []

    class Watching(Fake):
        def fit(self, tasks, *, seed, progress):
            seen.append(torch.backends.cudnn.allow_tf32)
            return super().fit(tasks, seed=seed, progress=progress)

        def forecast(self, series, origins, *, window, horizon):
            seen.append(torch.backends.cudnn.allow_tf32)
            return super().forecast(series, origins, window=window, horizon=horizon)

    assert evaluate(tmp_path, "--seeds", "1", watching=Watching("watching")) == 0
    assert len(seen) > 1
    assert set(seen) == {False}
    assert torch.backends.cudnn.allow_tf32  # others go on as before


def test_what_a_method_leaves_out_counts_as_the_last_value(tmp_path):
    evaluate(tmp_path, "--seeds", "1", shy=Fake("shy", 2.0, silent=1.0))
    (dataset,) = results(tmp_path)["datasets"]

    assert dataset["methods"]["shy"]["filled"] == [dataset["truths_counted"]]
    assert all(cell["methods"]["shy"]["relative_mae"][0] == pytest.approx(1) for cell in dataset["scores"])


def test_moments_that_a_simple_method_cannot_answer_count_for_nobody(tmp_path):
    data = content()["data"]
    data[:396, 0] = np.nan
    evaluate(tmp_path, "--seeds", "1", data=[write(tmp_path, **content(data=data))], fake=Fake("fake"))
    (dataset,) = results(tmp_path)["datasets"]

    assert 0 < dataset["truths_counted"] < dataset["truths_known"]
    assert {cell["series"] for cell in dataset["scores"]} == {SERVICES - 1}
    assert {cell["series_left_out"] for cell in dataset["scores"]} <= {0, 1}


def test_a_method_that_fails_or_cannot_leaves_the_others_their_results(tmp_path):
    methods = {
        "bad": Fake("bad", fails=ZeroDivisionError("no")),
        "other": Fake("other", fails=CannotForecast("by nature")),
    }
    assert evaluate(tmp_path, "--seeds", "1", **methods, fake=Fake("fake")) == 1
    found = results(tmp_path)
    (dataset,) = found["datasets"]

    assert dataset["failures"] == {"bad": "failed: ZeroDivisionError: no", "other": "cannot: by nature"}
    assert found["mean_rank"]["mae"]["bad"] > found["mean_rank"]["mae"]["fake"]


def test_only_the_methods_asked_for_and_the_simple_ones_are_run(tmp_path):
    evaluate(tmp_path, "--methods", "one", "--seeds", "1", one=Fake("one"), two=Fake("two"))

    assert set(results(tmp_path)["mean_rank"]["mae"]) == {"last-value", "above", "one"}


@pytest.mark.usefixtures("drawn")
def test_several_recordings_are_told_apart(tmp_path):
    data = [write(tmp_path, name, **content(seed=seed)) for seed, name in enumerate(("a", "b"))]
    evaluate(tmp_path, "--seeds", "1", data=data, fake=Fake("fake"))

    assert [dataset["name"] for dataset in results(tmp_path)["datasets"]] == ["a", "b"]
    assert (tmp_path / "out" / "skill-b.png").exists()


def test_coverage_is_told_by_feature(tmp_path):
    evaluate(tmp_path, "--seeds", "1", wide=Fake("wide", spread=1e6), narrow=Fake("narrow", spread=0.0))
    (dataset,) = results(tmp_path)["datasets"]

    for cell in dataset["scores"]:
        assert cell["methods"]["wide"]["coverage"][0] == 1
        assert cell["methods"]["narrow"]["coverage"][0] < 0.1
        assert cell["methods"]["last-value"]["coverage"][0] is None
    assert {cell["target"] for cell in dataset["scores"]} == {*FEATURES, "p95_ms:log1p"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--methods", "oracle"], "there is no method 'oracle'; there are last-value, above"),
        (["--offsets", "1,9"], "--offsets: 9 lies beyond the horizon of 4 steps"),
        (["--horizon", "300"], "take a smaller --horizon"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capsys, arguments, told):
    assert evaluate(tmp_path, *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_recording_that_is_too_short_is_named_before_anything_is_run(tmp_path, capsys):
    fake = Fake("fake")
    data = [write(tmp_path), write(tmp_path, "short", **content(20))]
    assert evaluate(tmp_path, data=data, fake=fake) == 2

    assert "short: the validation part has no origin" in capsys.readouterr().err
    assert not fake.seeds
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("steps", "arguments", "told"),
    [
        (121, [], "mesh: the test part has 19 origins, and no step ahead has a score with fewer than 20; take"),
        (400, ["--split", "0.94"], "mesh: the test part has 17 origins"),
        (400, ["--origins", "19"], "--origins: mesh would be tested at 19 origins"),
        (400, ["--window", "236"], "--window: 236 steps are more than the 235 of the training part of mesh"),
    ],
)
def test_what_can_have_no_score_is_refused_before_anything_is_run(tmp_path, capsys, steps, arguments, told):
    fake = Fake("fake")
    assert evaluate(tmp_path, *arguments, data=[write(tmp_path, **content(steps))], fake=fake) == 2

    assert told in capsys.readouterr().err
    assert not fake.seeds
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("steps", "arguments"), [(122, []), (400, ["--origins", "20"]), (400, ["--window", "235"])])
def test_the_least_that_can_have_a_score_is_run(tmp_path, steps, arguments):
    data = content(steps)["data"]
    held = content(steps, data=np.where(np.isnan(data), np.float32(20), data))
    assert evaluate(tmp_path, *arguments, data=[write(tmp_path, **held)], fake=Fake("fake")) == 0

    assert results(tmp_path)["mean_rank"]["mae"]["fake"] is not None


def test_a_folder_for_results_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert evaluate(tmp_path) == 2

    assert "--out: " in capsys.readouterr().err


@pytest.mark.parametrize("where", ["runs.np.savez_compressed", "report._replace"])
def test_what_cannot_be_written_is_said_in_one_line_and_is_no_fault_of_a_method(tmp_path, capsys, monkeypatch, where):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device", "results.json")

    monkeypatch.setattr(f"tidecast_predictor.evaluation.{where}", full)

    assert evaluate(tmp_path, fake=Fake("fake")) == 2
    told = capsys.readouterr().err
    assert "--out: results.json cannot be written (No space left on device)" in told
    assert not list((tmp_path / "out").rglob("*.part"))


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("--seeds", "three", "a whole number, not 'three'"),
        ("--offsets", "1,a", "a whole number, not 'a'"),
        ("--split", "most", "between 0 and 1, not 'most'"),
    ],
)
def test_a_flag_that_is_no_number_says_what_it_should_be(tmp_path, capsys, flag, value, told):
    with pytest.raises(SystemExit):
        evaluate(tmp_path, flag, value)
    assert told in capsys.readouterr().err


def test_all_stands_for_every_method_beside_names_too(tmp_path):
    fake = Fake("fake")
    assert evaluate(tmp_path, "--methods", "above,all", fake=fake) == 0
    assert fake.seeds


def test_trainings_that_used_up_their_time_are_told_of(tmp_path, monkeypatch):
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("tidecast_predictor.evaluation.runner.time.monotonic", lambda: float(next(clock)))

    evaluate(tmp_path, "--seconds", "10", fake=Fake("fake"))

    told = (tmp_path / "out" / "table.md").read_text()
    assert "used up their 10 s, and might end elsewhere with more: fake 3 of 3.\n" in told


@pytest.mark.parametrize("where", ["command.read_all", "report.draw"])
def test_an_interruption_outside_of_the_runs_is_said_in_one_line_too(tmp_path, capsys, monkeypatch, where):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"tidecast_predictor.evaluation.{where}", interrupted)

    assert evaluate(tmp_path) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert evaluate(tmp_path, data=[tmp_path / "gone.npz"]) == 2
    assert "gone.npz" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["matplotlib", "tqdm"])
def test_a_missing_package_names_the_extra(tmp_path, capsys, monkeypatch, package):
    for name in [*sys.modules]:
        if name.startswith(
            (f"{package}.", "tidecast_predictor.evaluation.pictures", "tidecast_predictor.evaluation.report")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    assert evaluate(tmp_path, fake=Fake("fake")) == 2
    assert f"{package} is missing: install tidecast with its extra, 'tidecast[evaluation]'" in capsys.readouterr().err
