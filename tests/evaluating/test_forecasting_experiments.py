"""
The experiments: that each compares what it says, and what the command `evaluate` cannot do itself.
"""

import json
from dataclasses import replace

import catalogue
import numpy as np
import pytest
from catalogue import RECORDINGS, Recording, Release
from experiments import EXPERIMENTS, Evaluation, Experiment
from harness import Holed, Lessons, Spending, evaluate, with_holes
from meshes import Plan
from recordings import write
from run import run
from summing import Point, callers_of, kinds, rows_of, table

from builders.evaluating import Fake, registry
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.evaluation.datasets import read
from tidecast_predictor.evaluation.methods import METHODS

PLAN = Plan(3, size=6, depth=3, entries=2, entry_rps=40.0)
SPENDING = Spending(seeds=2, origins=40)


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """A folder with four tiny recordings: two meshes, one with services that come late, one with a release."""
    tiny = {
        recording.name: recording
        for recording in (
            Recording("a", "", PLAN, steps=300),
            Recording("b", "", replace(PLAN, seed=4), steps=300),
            Recording("late", "", PLAN, steps=300, late_share=0.34),
            Recording("released", "", PLAN, steps=300, release=Release()),
        )
    }
    monkeypatch.setattr(catalogue, "RECORDINGS", tiny)
    for recording in tiny.values():
        write(recording, tmp_path / "recordings")
    return tmp_path / "recordings"


def of_point(recordings, point, lessons=None, **methods):
    return evaluate(
        replace(point, window=6, horizon=4),
        tuple(name.replace("_", "-") for name in methods),
        (1, 4),
        SPENDING,
        recordings=recordings,
        kept=recordings / "kept",
        tell=lambda _what, _done: None,
        lessons=lessons,
        methods=registry(**methods),
    )


def test_every_experiment_names_recordings_and_methods_that_there_are():
    for experiment in EXPERIMENTS.values():
        assert set(experiment.methods) <= set(METHODS)
        for point in experiment.evaluations:
            assert {*point.recordings, *point.learnt_from} <= set(RECORDINGS)
            assert len(experiment.of_point(point)) > 0
            assert max(experiment.of_point(point)) <= point.horizon


def test_every_experiment_of_the_paper_and_of_the_issue_is_there():
    points = {name: [point.label for point in experiment.evaluations] for name, experiment in EXPERIMENTS.items()}
    assert points["windows"] == ["12", "24", "60", "120"]
    assert points["horizons"] == ["1", "3", "6", "12", "30"]
    assert points["load-levels"] == ["low", "middle", "high"]
    assert points["structure-size"] == ["10", "30", "100", "300", "1000"]
    assert points["missing"] == ["0", "10", "20", "30", "45", "60"]
    assert {"structure-depth", "structure-fan-out", "structure-sparse", "structure-queue"} < set(points)
    assert {"meshes", "structure-hidden", "unseen-services", "unseen-graphs", "drift"} < set(points)


def test_points_that_are_compared_have_the_same_meshes():
    for experiment in EXPERIMENTS.values():
        if experiment.base:
            plans = {tuple(RECORDINGS[name].plan for name in point.recordings) for point in experiment.evaluations}
            assert len(plans) == 1


def test_a_method_is_shown_a_part_and_scored_on_all_that_came_true(recordings):
    whole, holed = (Fake("fake"), Fake("fake"))
    (plain,) = of_point(recordings, Evaluation("0", ("a",)), fake=whole)
    (missing,) = of_point(recordings, Evaluation("40", ("a",), holes=0.4), fake=holed)
    natural = np.isnan(plain.dataset.series.values[:, 2:, 4]).mean()
    shown = np.isnan(holed.tasks[0].series.values[:, 2:, 4]).mean()
    assert shown == pytest.approx(0.4 + 0.6 * natural, abs=0.1)
    assert missing.dataset.digest == plain.dataset.digest
    # CPU is always measured, so that even a method of last values has an answer at almost every moment.
    assert missing.ground.truths.count[:, 4].sum() > 0.97 * plain.ground.truths.count[:, 4].sum()
    ratio = missing.scores["fake"][0].test.mae[:, 4, 0] / plain.scores["fake"][0].test.mae[:, 4, 0]
    assert np.nanmedian(ratio) > 1.02


def test_what_is_taken_away_does_not_depend_on_how_much_of_the_series_is_shown(recordings):
    series = read(recordings / "a.npz").series
    short = replace(series, values=series.values[:100], times=series.times[:100], segments=series.segments[:100])
    np.testing.assert_array_equal(with_holes(short, 0.3).values, with_holes(series, 0.3).values[:100])


def test_without_holes_a_method_is_shown_the_series_itself(recordings):
    series = read(recordings / "a.npz").series
    assert with_holes(series, 0.0) is series
    assert Holed(Fake("fake"), 0.3).name == "fake"


def test_a_method_learns_elsewhere_from_all_recordings_but_the_one_it_forecasts(recordings):
    fake, meshes = Fake("fake"), ("a", "b", "late")
    outcomes = of_point(recordings, Evaluation("elsewhere", meshes, learnt_from=meshes), fake=fake)
    names = [read(recordings / f"{name}.npz") for name in ("a", "b", "late")]
    learnt = [task.series.values[:100, 2:, 0].tobytes() for task in fake.tasks]
    own = [dataset.series.values[:100, 2:, 0].tobytes() for dataset in names]
    # Two seeds on each of three recordings, and the others in their order.
    expected = [[1, 2], [1, 2], [0, 2], [0, 2], [0, 1], [0, 1]]
    assert learnt == [own[place] for places in expected for place in places]
    assert [outcome.dataset.name for outcome in outcomes] == ["a", "b", "late"]
    assert all(task.series.times[-1] < names[0].series.times[-1] - 50 * 60 for task in fake.tasks)


def test_a_method_that_cannot_learn_elsewhere_is_told_of_and_the_others_go_on(recordings):
    point = Evaluation("elsewhere", ("a", "b"), learnt_from=("a", "b"))
    outcomes = of_point(
        recordings, point, bound=Fake("bound", fails=CannotForecast("holds weights")), free=Fake("free")
    )
    for outcome in outcomes:
        assert outcome.failures == {"bound": "cannot: holds weights"}
        assert "free" in outcome.scores


def test_points_that_differ_after_the_known_part_only_are_learnt_from_once(recordings):
    fake, lessons = Fake("fake"), Lessons()
    plain, released = (
        of_point(recordings, Evaluation(name, (name,)), lessons, fake=fake) for name in ("a", "released")
    )
    assert fake.seeds == [0, 1]
    assert plain[0].dataset.digest != released[0].dataset.digest


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Evaluation("other", ("b",)), id="another mesh"),
        pytest.param(Evaluation("other", ("late",)), id="services that come late"),
        pytest.param(Evaluation("other", ("a",), holes=0.3), id="less is shown"),
        pytest.param(Evaluation("other", ("a", "b", "late"), learnt_from=("a", "b", "late")), id="other meshes"),
    ],
)
def test_points_that_differ_in_what_is_learnt_from_are_learnt_from_each(recordings, other):
    fake, lessons = Fake("fake"), Lessons()
    of_point(recordings, Evaluation("plain", ("a",)), lessons, fake=fake)
    of_point(recordings, other, lessons, fake=fake)
    assert fake.seeds == [0, 1] * (1 + len(other.recordings))


def test_points_share_finished_runs_unless_what_is_shown_differs(recordings):
    counts = []
    for holes in (0.0, 0.0, 0.3, 0.3):
        fake = Fake("fake")
        of_point(recordings, Evaluation("x", ("a",), holes=holes), fake=fake)
        counts.append(len(fake.seeds))
    assert counts == [2, 0, 2, 0]


def rows(recordings, points, base=""):
    experiment = Experiment("test", "Why?", "axis", tuple(points), methods=("fake",), base=base)
    done = [Point(point, of_point(recordings, point, fake=Fake("fake", 1.0, spread=5.0))) for point in points]
    return experiment, rows_of(experiment, done), done


def test_new_services_are_compared_with_themselves_where_they_had_a_history(recordings):
    _, found, done = rows(recordings, [Evaluation("seen", ("a",)), Evaluation("unseen", ("late",))], base="seen")
    new = [row for row in found if row["kind"] == "new"]
    assert {row["point"] for row in new} == {"seen", "unseen"}
    late = done[1].outcomes[0].dataset.about["late"]["positions"]
    np.testing.assert_array_equal(kinds(done, 0)["new"], late)
    assert all(row["rmse_against_base"] == [1, 1, 1] for row in new if row["point"] == "seen")


def test_a_released_service_and_its_callers_are_looked_at_before_and_after(recordings):
    _, found, done = rows(recordings, [Evaluation("none", ("a",)), Evaluation("slower", ("released",))], base="none")
    dataset = done[1].outcomes[0].dataset
    released = dataset.series.services.index(dataset.about["release"]["service"])
    assert kinds(done, 0)["released"].tolist() == [released]
    assert {row["point"] for row in found if row["kind"] == "its callers"} == {"none", "slower"}


def test_callers_are_found_through_others_and_in_circles():
    calls = np.array([[0, 1, 3, 2], [1, 2, 2, 1]])
    assert callers_of(2, calls) == {0, 1, 3}
    assert callers_of(0, calls) == set()


def test_errors_are_relative_within_each_series_and_say_the_spread_of_seeds(recordings):
    _, found, done = rows(recordings, [Evaluation("one", ("a",))])
    (row,) = (
        row for row in found if (row["kind"], row["target"], row["step"], row["method"]) == ("all", "cpu", 4, "fake")
    )
    outcome = done[0].outcomes[0]
    own, last = (outcome.scores[name][0].test.rmse[:, 4, 1] for name in ("fake", "last-value"))
    expected = np.nanmedian(own / last)
    assert row["relative_rmse"] == pytest.approx([expected] * 3, rel=1e-4)
    assert row["series"] == np.isfinite(last).sum()
    assert 0 < row["coverage"][0] < 1
    assert "rmse_against_base" not in row


def test_tables_show_every_method_and_say_that_recordings_are_simulated(recordings):
    experiment, found, _ = rows(recordings, [Evaluation("seen", ("a",)), Evaluation("unseen", ("late",))], base="seen")
    text = table(experiment, found, {"seeds": 2})
    assert "SIMULATED" in text
    assert "| target | step | axis | last-value | above | fake |" in text
    assert "RMSE over the same method's at 'seen'" in text


def test_an_experiment_leaves_its_results_behind(recordings, monkeypatch, tmp_path):
    point = Evaluation("one", ("a",), window=6, horizon=4)
    experiment = Experiment("test", "Why?", "axis", (point, replace(point, label="two")), ("fake",), measured=(1, 4))
    fakes = registry(fake=Fake("fake"))
    monkeypatch.setattr("run.evaluate", lambda *a, **k: evaluate(*a, **k, methods=fakes))
    paths = run(experiment, SPENDING, recordings=recordings, kept=tmp_path / "kept", out=tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in paths] == [
        "test/results.json",
        "test/table.md",
        "test/picture.png",
    ]
    results = json.loads(paths[0].read_text())
    assert results["simulated"]
    assert {row["point"] for row in results["rows"]} == {"one", "two"}


def test_an_experiment_with_ablations_says_what_each_part_is_worth(recordings, monkeypatch, tmp_path):
    point = Evaluation("one", ("a",), window=6, horizon=4)
    names = ("gcn-gru", "gcn-gru-no-graph")
    fakes = registry(**{name: Fake(name, 1.0, spread=5.0) for name in names})
    monkeypatch.setattr("run.evaluate", lambda *a, **k: evaluate(*a, **k, methods=fakes))
    paths = run(
        Experiment("test", "Why?", "axis", (point,), names, measured=(1, 4)),
        SPENDING,
        recordings=recordings,
        kept=tmp_path / "kept",
        out=tmp_path / "out",
    )
    assert paths[-1] == tmp_path / "out/test/ablations.md"
    assert "| target, steps ahead | no graph |" in paths[-1].read_text()


def test_a_quick_experiment_has_the_same_points_on_fewer_recordings():
    for experiment in EXPERIMENTS.values():
        quick = experiment.quick()
        assert [point.label for point in quick.evaluations] == [point.label for point in experiment.evaluations]
        assert all(len(point.recordings) == 1 for point in quick.evaluations)


def test_an_experiment_on_fewer_recordings_still_learns_from_all_the_others():
    itself, others = EXPERIMENTS["unseen-graphs"].among(1).evaluations
    assert (itself.recordings, itself.learnt_from) == (("mesh-1",), ())
    assert (others.recordings, len(others.learnt_from)) == (("mesh-1",), 5)
