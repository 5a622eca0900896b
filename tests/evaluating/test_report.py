"""
What is written about recordings of others: names as they come, and recordings that nothing can be said of.
"""

import json

import numpy as np
import pytest

from builders.evaluating import Fake, content, registry, write
from tidecast_predictor.baselines import Answer
from tidecast_predictor.baselines.history_mean import HistoryMean
from tidecast_predictor.cli import _parser
from tidecast_predictor.evaluation import command
from tidecast_predictor.evaluation.digits import number


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """The figures that were drawn, in place of files."""
    drawn = []

    def keep(figure, path, **_):
        figure.draw_without_rendering()
        drawn.append((path.name, figure))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", keep)
    return drawn


class Bandless(Fake):
    """Has no band around what it says of the first feature."""

    def forecast(self, series, origins, *, window, horizon):
        """The last known value, with a band for the others."""
        said = super().forecast(series, origins, window=window, horizon=horizon)
        said.quantiles[:, :, 0] = np.nan
        return said


class Level(Fake):
    """Says 20, whatever was."""

    def forecast(self, series, origins, *, window, horizon):
        """The same for all."""
        del window
        return Answer(np.full((len(origins), *series.values.shape[1:], horizon), 20, np.float32))


def written(folder, others=(), **changes):
    """The tables and the numbers of a recording with such changes, and of some methods more."""
    path, out = write(folder, **content(**changes)), folder / "out"
    flags = ["evaluate", "--window", "6", "--horizon", "4", "--seeds", "1", "--data", str(path), "--out", str(out)]
    methods = registry(fake=Fake("fake", 0.5, spread=4), **{method.name: method for method in others})
    assert command.evaluate(_parser().parse_args(flags), methods) == 0
    tables = (out / "table.md").read_text(encoding="utf-8")
    return tables, json.loads((out / "results.json").read_text(), parse_constant=pytest.fail)


def test_a_bar_in_a_name_begins_no_cell(tmp_path):
    tables, _ = written(tmp_path, features=np.array(["in|out", "two\nlines"]))

    assert "| fake | in\\|out |" in tables
    assert "| fake | two lines |" in tables


@pytest.mark.parametrize("name", ["$x_{$", "負荷", "a/b c"])
def test_any_name_can_be_drawn(tmp_path, figures, name):
    written(tmp_path, features=np.array([name, "p95_ms"]))

    assert [name.partition("-")[0] for name, _ in figures] == ["skill", "error", "coverage"]


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(tmp_path, figures):
    written(tmp_path, features=np.array(["_rps", "p95_ms"]))
    (legend,) = figures[-1][1].legends

    assert [text.get_text().strip() for text in legend.get_texts()] == ["_rps", "p95_ms"]


def test_a_recording_without_any_score_is_told_of_and_has_no_numbers(tmp_path, caplog):
    tables, results = written(tmp_path, data=np.full((400, 3, 2), 7.0))

    assert "no series has a score" in caplog.text
    assert "No series has a score" in tables
    assert " nan " not in tables
    assert results["mean_rank"]["mae"]["fake"] is None


def test_a_recording_with_scores_over_several_steps_alone_is_told_of(tmp_path, caplog):
    data = content()["data"]
    data[340:] = np.nan  # fewer than 20 truths at each step ahead, more over all of them
    tables, results = written(tmp_path, data=data)

    assert {cell["steps"] for cell in results["datasets"][0]["scores"]} == {"1..2", "1..4"}
    assert "no series has a score" in caplog.text
    assert "No series has a score" in tables


def of_method(results, name, feature):
    cells = (cell for cell in results["datasets"][0]["scores"] if cell["target"] == feature)
    return [cell["methods"][name] for cell in cells]


def test_a_forecast_without_a_band_has_no_coverage_and_no_quantile_loss_and_keeps_its_errors(tmp_path):
    _, results = written(tmp_path, [Bandless("bandless", 0.5, spread=4)])
    without, whole = (of_method(results, name, "rps") for name in ("bandless", "fake"))
    method = results["datasets"][0]["methods"]["bandless"]

    for score in ("coverage", "wql", "relative_crps"):
        assert all(cell[score][0] is None for cell in without)
        assert all(cell[score][0] is not None for cell in whole)
    for score in ("mae", "rmse", "relative_mae"):
        assert [cell[score] for cell in without] == [cell[score] for cell in whole]
    assert of_method(results, "bandless", "p95_ms") == of_method(results, "fake", "p95_ms")
    assert of_method(results, "bandless", "p95_ms:log1p") == of_method(results, "fake", "p95_ms:log1p")
    assert method["filled"] == [0]


def test_a_quantile_loss_over_fewer_features_is_not_shown_beside_that_over_all(tmp_path):
    tables, results = written(tmp_path, [Bandless("bandless", 0.5, spread=4)])
    means = {name: found["mean_over_features_and_offsets"] for name, found in results["datasets"][0]["methods"].items()}

    assert means["bandless"]["relative_crps"] == [None, None, None]
    assert means["bandless"]["relative_mae"] == means["fake"]["relative_mae"]
    assert means["fake"]["relative_crps"][0] is not None
    assert "| bandless | rps | – | – | – |" in tables
    assert "| bandless | p95_ms | – |" not in tables


def test_a_method_whose_every_forecast_lacks_a_band_is_in_no_table_of_coverage(tmp_path):
    data = content()["data"]
    data[230:330] = np.nan  # all that a method could take its band from
    tables, results = written(tmp_path, [HistoryMean()], data=data)

    assert "| history-mean | rps |" not in tables
    assert "| fake | rps |" in tables
    assert all(cell["coverage"][0] is None for cell in of_method(results, "history-mean", "rps"))
    assert all(cell["relative_crps"][0] is None for cell in of_method(results, "history-mean", "rps"))
    assert all(cell["mae"][0] is not None for cell in of_method(results, "history-mean", "rps"))


def test_numbers_without_end_in_a_files_own_words_are_no_harm_to_json(tmp_path):
    _, results = written(tmp_path, meta=np.array('{"missing": NaN, "most": Infinity}'))

    assert results["datasets"][0]["about"] == {"missing": None, "most": None}


@pytest.mark.parametrize(
    ("value", "percent", "said"),
    [
        (0.1234, False, "0.123"),
        (123.4, False, "123.4"),
        (0.0, False, "0.000"),
        (1.234e-6, False, "1.23e-06"),
        (0.01234, False, "0.0123"),
        (-491573.75, True, "-4.9e+07 %"),
        (12345.6, False, "12,346"),
        (-2.7e36, False, "-2.7e+36"),
        (0.1234, True, "12.3 %"),
        (-2.7e36, True, "-2.7e+38 %"),
    ],
)
def test_no_number_has_more_digits_than_can_be_read(value, percent, said):
    assert number(value, percent=percent) == said


def test_a_method_that_errs_beyond_all_measure_leaves_the_others_the_room(tmp_path, figures):
    near = [Fake(name, offset) for name, offset in (("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.4))]
    written(tmp_path, [*near, Fake("wild", 1e9)])
    figure = next(figure for name, figure in figures if name.startswith("error"))

    for panel in figure.axes:
        bottom, top = panel.get_ylim()
        assert 0 < bottom < top < 2


def test_the_best_lines_are_inside_of_the_picture(tmp_path, figures):
    noise = 20 + np.random.default_rng(0).normal(size=(400, 3, 2))
    written(tmp_path, [Level("level")], data=noise)
    figure = next(figure for name, figure in figures if name.startswith("error"))

    for panel in figure.axes:
        lowest = min(float(np.min(line.get_ydata())) for line in panel.lines if len(line.get_ydata()))
        assert panel.get_ylim()[0] < lowest < 0.8
