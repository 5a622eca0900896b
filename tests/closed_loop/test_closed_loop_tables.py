import json
import subprocess
import sys
from pathlib import Path

import pytest
from runs import PATTERN, Run, paired
from settings import SCALERS, Settings
from tables import BEGIN, END, put_into, summary

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "closed_loop"
CLOSED_LOOP = ROOT / "benchmarks" / "closed_loop"
LINES_OF_HEADING = 2


def settings(**changes):
    valid = {
        "load": "rhythm", "scaler": "floor", "minutes": 1.0, "warm_up_minutes": 1.0, "history_hours": 1.0, "factor": 12.0,
        "seed": 0, "share": 0.85, "lead": 120.0, "quantile": 0.9, "from_hour": 10.75, "training_seconds": 1,
        "trust": "earned",
    }  # fmt: skip
    return valid | changes


def written(folder, over, replicas=2, **changes):
    """A run of one service: its p95 over the target minute by minute, and its replicas all along."""
    told = Settings(**settings(**changes))
    course = {
        "names": ["checkout"],
        "tick_seconds": 60.0,
        "over": [[one] for one in over],
        "replicas": [[replicas]] * len(over),
        "refused": [0] * len(over),
        "entered": [100] * len(over),
        "trusted": [0.5] * len(over) if told.has_forecasts else None,
    }
    path = folder / f"{told.name}.json"
    path.write_text(json.dumps({"settings": settings(**changes), "pace": {"sync": 15.0}, "course": course}))
    return path


def rows(folder):
    """Cells of the summary, without its heading."""
    table = summary(paired([Run.read(path) for path in sorted(folder.glob(PATTERN))]))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[LINES_OF_HEADING:]]


def test_every_load_scaler_seed_and_kind_of_trust_has_a_file_of_its_own():
    all_settings = [
        settings(load=load, scaler=scaler, seed=seed, trust=trust)
        for load in ("rhythm", "spikes")
        for scaler in SCALERS
        for seed in (0, 1)
        for trust in ("earned", "always")
        if scaler != "hpa" or trust == "earned"
    ]
    names = [Settings(**one).name for one in all_settings]

    assert len(set(names)) == len(names)
    assert all(Path(f"{name}.json").match(PATTERN) for name in names)


def test_a_run_is_compared_with_hpa_alone_over_the_stretch_that_both_have(tmp_path):
    """HPA alone was over the target for two of the first four minutes, and for one that the other run does not have."""
    written(tmp_path, [2, 2, 0, 0, 2], scaler="hpa")
    written(tmp_path, [2, 0, 0, 0], replicas=3)

    (row,) = rows(tmp_path)

    assert row[5:7] == ["2.0 → 1.0 (-50.0 %)", "0.1 → 0.2 (+50.0 %)"]


def test_a_run_that_lasts_longer_than_hpa_alone_is_cut(tmp_path):
    written(tmp_path, [2, 2], scaler="hpa")
    written(tmp_path, [2, 0, 2, 2])

    (row,) = rows(tmp_path)

    assert row[4:6] == ["0.0", "2.0 → 1.0 (-50.0 %)"]


def test_of_several_seeds_there_are_medians_and_the_lowest_to_the_highest_change(tmp_path):
    for seed, violated in enumerate((1, 2, 4)):
        written(tmp_path, [2] * 4 + [0], scaler="hpa", seed=seed)
        written(tmp_path, [2] * violated + [0] * (5 - violated), seed=seed)

    (row,) = rows(tmp_path)

    assert row[3] == "0, 1, 2"
    assert row[5] == "4.0 → 2.0 (-50.0, -75.0 to +0.0 %)"


@pytest.mark.parametrize("change", [{"seed": 1}, {"load": "spikes"}, {"from_hour": 9.0}, {"factor": 6.0}])
def test_hpa_alone_under_another_load_is_nothing_to_compare_with(tmp_path, change):
    written(tmp_path, [2, 2], scaler="hpa", **change)
    written(tmp_path, [2, 0])

    (row,) = rows(tmp_path)

    assert row[5] == "1.0"


@pytest.mark.parametrize("change", [{"scaler": "external"}, {"lead": 180.0}, {"trust": "always"}, {"load": "spikes"}])
def test_what_was_told_otherwise_has_a_line_of_its_own(tmp_path, change):
    written(tmp_path, [2, 0])
    written(tmp_path, [2, 2], seed=1, **change)

    assert sorted(row[5] for row in rows(tmp_path)) == ["1.0", "2.0"]


def test_there_is_no_change_from_nothing(tmp_path):
    written(tmp_path, [0, 0], scaler="hpa")
    written(tmp_path, [2, 0])

    assert rows(tmp_path)[0][5] == "0.0 → 1.0"


def test_only_what_is_between_the_marks_of_a_document_is_replaced():
    assert put_into(f"before\n{BEGIN}\nold\n{END}\nafter", "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter"


@pytest.mark.parametrize("text", ["nothing", BEGIN, END, f"{END} {BEGIN}"])
def test_a_document_without_the_marks_is_refused(text):
    with pytest.raises(ValueError, match="write <!--"):
        put_into(text, "new")


def test_the_command_writes_tables_a_picture_and_the_document(tmp_path):
    written(tmp_path, [2, 2], scaler="hpa")
    written(tmp_path, [2, 0], scaler="external")
    document = tmp_path / "README.md"
    document.write_text(f"{BEGIN}\n{END}\n")

    command = [sys.executable, CLOSED_LOOP / "tables.py", f"--out={tmp_path}", f"--readme={document}"]
    subprocess.run(command, check=True, capture_output=True)

    told = "| rhythm | external | lead 120, p90, share 0.85, 1 h of history | 0 |"
    assert told in document.read_text()
    assert told in (tmp_path / "runs.md").read_text()
    assert (tmp_path / "rhythm-0.png").stat().st_size > 0


def test_the_table_in_the_readme_is_that_of_the_results():
    text = (CLOSED_LOOP / "README.md").read_text()
    runs = [Run.read(path) for path in sorted(RESULTS.glob(PATTERN))]

    assert put_into(text, summary(paired(runs))) == text, "run tables.py with --readme"
