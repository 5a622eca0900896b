"""
What is written about recordings of others: names as they come, and recordings that nothing can be said of.
"""

import json

import numpy as np
import pytest

from builders.evaluating import Fake, content, registry, write
from tidecast_predictor.baselines import Answer
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
