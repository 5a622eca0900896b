"""
What evaluate found on several recordings, condensed.
"""

import json

import pytest
from condensing import behind, condensed, main, table


def cell(mae, rmse):
    return {
        "relative_mae": [mae] * 3,
        "relative_rmse": [rmse] * 3,
        "mae": [1.0] * 3,
        "coverage": [0.8] * 3,
        "wql": [1.0] * 3,
    }


def found(**errors):
    """A recording with one feature at one step, and a mean over steps that counts for nothing here."""
    methods = {
        name: {
            "fit_seconds": [1.0],
            "mean_over_features_and_offsets": {**cell(mae, rmse), "relative_crps": [0.5] * 3},
        }
        for name, (mae, rmse) in errors.items()
    }
    scores = [
        {"target": target, "steps": steps, "series": 4, "methods": {name: cell(*of) for name, of in errors.items()}}
        for target, steps in (("rps", "1"), ("rps", "1..3"), ("rps:log1p", "1"))
    ]
    facts = {"steps": 100, "step_seconds": 60, "services": 4, "calls": 3, "truths_counted": 9, "failures": {}}
    return {"name": "shop", "features": ["rps"], "methods": methods, "scores": scores, **facts}


def everything():
    recording = found(**{"gcn-gru": (0.8, 0.9), "gcn-gru-no-graph": (0.7, 0.7), "gru": (0.9, 0.6), "ridge": (1.0, 1.0)})
    ranks = {
        measure: {name: 1.0 + place for place, name in enumerate(recording["methods"])} for measure in ("mae", "rmse")
    }
    return {"settings": {"window": 12}, "mean_rank": ranks, "datasets": [recording]}


def test_a_row_is_left_for_each_feature_step_and_method_and_nothing_is_told_twice():
    rows = condensed(everything())["rows"]
    assert [(row["target"], row["steps"], row["method"]) for row in rows] == [
        (target, "1", name)
        for target in ("rps", "rps:log1p")
        for name in ("gcn-gru", "gcn-gru-no-graph", "gru", "ridge")
    ]
    assert rows[0]["relative_rmse"] == [0.9] * 3
    assert rows[0]["wql"] == [1.0] * 3


def test_ours_is_held_against_the_best_of_the_others_and_not_against_its_ablations():
    (recording,) = condensed(everything())["recordings"]
    assert behind(recording, "relative_mae") == ("gru", pytest.approx(0.8 / 0.9))
    assert behind(recording, "relative_rmse") == ("gru", pytest.approx(1.5))


def test_a_method_that_could_not_answer_a_recording_has_no_number():
    results = everything()
    other = found(**{"gcn-gru": (0.8, 0.9), "ridge": (1.0, 1.0)}) | {"name": "queue"}
    results["datasets"].append(other)
    line = next(line for line in table(condensed(results)).splitlines() if line.startswith("| gru |"))
    assert line.endswith("| 0.900 / 0.600 | – / – |")


def test_data_table_and_picture_are_written(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(everything()))
    main([str(tmp_path), "--out", str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["picture.png", "results.json", "table.md"]
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["settings"] == {"window": 12}
    assert len(written["rows"]) == 8


def test_how_often_bands_held_is_told_by_recording_and_latencies_count_once():
    results = everything()
    results["datasets"][0]["scores"][0]["methods"]["gcn-gru"]["coverage"] = [0.84, 0.8, 0.9]
    text = table(condensed(results))
    assert "| highest | 84.0 |" in text
    assert "| within 3 points of 80 | 0 of 1 |" in text


def test_where_ours_failed_the_others_are_told_all_the_same(tmp_path):
    results = everything()
    results["datasets"].append(found(ridge=(1.0, 1.0), gru=(0.9, 0.9)) | {"name": "queue"})
    (tmp_path / "results.json").write_text(json.dumps(results))
    main([str(tmp_path), "--out", str(tmp_path / "out")])
    assert "nan (gru)" in (tmp_path / "out" / "table.md").read_text()
