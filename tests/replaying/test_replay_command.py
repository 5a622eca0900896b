"""
The command `tidecast replay`, from flags to what it leaves behind.
"""

import json
import sys

import numpy as np
import pytest

from builders.documents import rows
from builders.replays import START, STEP, waves, write_npz
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_operator.published import from_time
from tidecast_operator.replaying import command, notes


def replay(tmp_path, *arguments, loads=None, **changes):
    path = write_npz(tmp_path / "week.npz", waves(240) if loads is None else loads, **changes)
    return command.main(["replay", "--recording", str(path), "--per-replica", "50", *arguments])


def test_a_table_says_what_hints_would_have_done(tmp_path, capsys):
    assert replay(tmp_path, "--forecasts", "perfect") == 0
    written = capsys.readouterr().out
    head, total, *workloads = rows(f"|{'|'.join(['x'] * 13)}|\n" + written, columns=13)

    assert written.startswith("# Replay of week.npz, 2027-01-15T01:59:00Z to 2027-01-15T03:59:00Z\n")
    assert "- The load is simulated, not measured." in written
    assert "- Forecasts are what came true: this bounds what hints can do" in written
    assert "does not answer to capacity" in written
    assert total[0] == "all"
    assert {cells[0] for cells in workloads} == {"shop/Deployment/web", "shop/Deployment/cart"}
    alone, hinted = (float(total[column]) for column in (3, 4))
    assert hinted < alone
    assert head


def test_files_hold_all_of_it(tmp_path, capsys):
    assert replay(tmp_path, "--forecasts", "perfect", "--out", str(tmp_path / "out"), "--rows", "1") == 0
    out = tmp_path / "out"
    told = json.loads((out / "replay.json").read_text())
    total, shown = told["total"], capsys.readouterr()

    assert {path.name for path in out.iterdir()} == {"replay.json", "replay.md", "replay.svg", "replay.png"}
    assert "1 more workloads are in the files" in shown.out
    assert (out / "replay.md").read_text().count("shop/Deployment") == 2
    assert (out / "replay.png").stat().st_size > 10_000
    assert total["measuredMinutes"] == 240
    for name in ("hpa", "hint", "perfect"):
        parts = [workload[name] for workload in told["workloads"]]
        assert total[name]["replicaHours"] == pytest.approx(sum(part["replicaHours"] for part in parts), abs=0.01)
        assert total[name]["scaleEvents"] == sum(part["scaleEvents"] for part in parts)
    assert told["settings"]["scaling"] == {"perReplica": "50"}
    assert "replay: 240 of 240 steps, 100%" in shown.err


def test_without_matplotlib_there_is_all_but_the_picture(tmp_path, capsys, monkeypatch):
    for name in [*sys.modules]:
        if name.startswith(("matplotlib.", "tidecast_operator.replaying.picture")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert replay(tmp_path, "--out", str(tmp_path / "out")) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"replay.json", "replay.md"}
    assert "matplotlib is missing; install 'tidecast[replay]'" in capsys.readouterr().err


def test_from_and_to_bound_what_counts(tmp_path, capsys):
    begin, end = START + 100 * STEP, START + 160 * STEP
    assert replay(tmp_path, "--from", str(begin), "--to", str(end), "--out", str(tmp_path / "out")) == 0
    told = json.loads((tmp_path / "out" / "replay.json").read_text())

    assert (from_time(told["beginTime"]), from_time(told["endTime"])) == (begin, end)
    assert told["total"]["measuredMinutes"] == 2 * 60
    assert capsys.readouterr().out


def test_so_long_ago_counts_from_the_end_of_the_data(tmp_path):
    replay(tmp_path, "--from", "1h", "--out", str(tmp_path / "out"))

    assert json.loads((tmp_path / "out" / "replay.json").read_text())["total"]["measuredMinutes"] == 2 * 60


def test_what_was_not_measured_is_told(tmp_path, capsys):
    loads = waves(240)
    loads[180:192, 0] = np.nan
    assert replay(tmp_path, loads=loads) == 0

    assert "5.0% of the load was not measured" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "yesterday"], "--from: 'yesterday' is no time; write a time as in"),
        (["--from", "9d"], "--from: 9d is not inside: the data are from 2027-01-15T00:00:00Z to 2027-01-15T03:59:00Z"),
        (["--to", "2028-01-01"], "--to: 2028-01-01 is not inside"),
        (["--from", "1h", "--to", "2h"], "--from: 1h does not lie before --to"),
        (["--namespace", "bank"], "--namespace: nothing of 'bank' was measured"),
        (["--per-replica", "0"], "--per-replica: '0' is not above 0"),
        (["--min-replicas", "3", "--max-replicas", "2"], "--min-replicas: 3 exceeds maxReplicas 2"),
        (["--predictor", "predictor"], "--predictor: 'predictor' is not host and port; write it as in localhost:8500"),
        (["--objects", "gone.json"], "--objects: gone.json holds no Kubernetes objects"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_flag_and_the_remedy(tmp_path, capsys, arguments, told):
    assert replay(tmp_path, *arguments) == 2
    said = capsys.readouterr()

    assert f"tidecast replay: {told}" in said.err
    assert not said.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "70"], "write a number from 0.01 to 1 as --target"),
        (["--startup-seconds", "-1"], "--startup-seconds"),
        (["--forecasts", "arima"], "--forecasts"),
        (["--forecasts", "perfect", "--predictor", "a:1"], "not allowed with argument"),
        (["--prometheus", "http://a"], "not allowed with argument"),
    ],
)
def test_a_flag_that_does_not_fit_is_named(tmp_path, capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        replay(tmp_path, *arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--prometheus", "ftp://a"], "--prometheus: 'ftp://a' is no address"),
        (["--prometheus", "http://127.0.0.1:9", "--header", "X"], "--header: 'X' is no header"),
        (["--prometheus", "http://127.0.0.1:9", "--ca-file", "gone.pem"], "--ca-file: gone.pem is not there"),
        (
            ["--prometheus", "http://127.0.0.1:9", "--bearer-token-file", "gone"],
            "--bearer-token-file: gone cannot be read",
        ),
        (["--prometheus", "http://127.0.0.1:9", "--sources", "Zipkin"], "--sources: 'Zipkin' is no source"),
    ],
)
def test_what_is_wrong_with_prometheus_is_said_with_the_flag(capsys, arguments, told):
    assert command.main(["replay", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")

    assert replay(tmp_path, "--out", str(tmp_path / "file" / "out")) == 2
    assert "--out: " in capsys.readouterr().err


def test_a_model_that_may_have_learned_from_the_days_is_told():
    after = notes._of_model(ModelInfo(ModelKind.GCN_GRU, "v7", trained_time=START + 9), START)
    before = notes._of_model(ModelInfo(ModelKind.GCN_GRU, "v7", trained_time=START - 9), START)

    assert "may have learned from the days that are replayed" in after
    assert "before the days that are replayed" in before
    assert "no model has been trained" in notes._of_model(ModelInfo(ModelKind.LAST_VALUE), START)


def test_a_load_that_is_real_is_not_called_simulated(tmp_path, capsys):
    assert replay(tmp_path, meta=np.array('{"real": true}')) == 0
    assert "simulated" not in capsys.readouterr().out
