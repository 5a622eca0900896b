"""
The command against a real Prometheus.
"""

import json

import pytest

from builders.replays import START
from tidecast_operator.replaying import command
from tidecast_simulator.datasets import to_npz
from tidecast_simulator.load import usual_load
from tidecast_simulator.recording import record
from tidecast_simulator.shop import shop
from tidecast_simulator.traffic import Simulation

pytestmark = pytest.mark.real("prometheus")
END = START + 6 * 3600


def replayed(tmp_path, *arguments):
    out = tmp_path / "out"
    assert command.main(["replay", *arguments, "--out", str(out), "--per-replica", "20", "--forecasts", "perfect"]) == 0
    return json.loads((out / "replay.json").read_text())


def test_what_prometheus_holds_gives_what_its_recording_gives(tmp_path, start_prometheus):
    load = usual_load(0)
    record(shop(), load, start=START, end=END + 600, directory=tmp_path / "data", tick_seconds=60.0, seed=0)
    server = start_prometheus(storage=tmp_path / "data")
    file = to_npz(Simulation(shop(), load, tick_seconds=60.0, seed=0), tmp_path / "shop.npz", start=START, end=END)
    span = ["--from", str(START + 5 * 3600), "--to", str(END), "--namespace", "shop", "--warm-up-hours", "2"]

    measured = replayed(tmp_path, "--prometheus", server.url, *span)
    true = replayed(tmp_path, "--recording", str(file), *span)

    assert measured["source"] == "Prometheus"
    assert len(measured["workloads"]) == len(true["workloads"]) == 20
    assert measured["total"]["measuredMinutes"] == 20 * 60
    assert measured["total"]["trustedRatio"] > 0.8
    for name in ("hpa", "hint", "perfect"):
        hours = [told["total"][name]["replicaHours"] for told in (measured, true)]
        assert hours[0] == pytest.approx(hours[1], rel=0.05)


def test_a_time_of_which_prometheus_knows_nothing_is_said(tmp_path, start_prometheus, capsys):
    record(shop(), usual_load(0), start=START, end=START + 7200, directory=tmp_path / "data", tick_seconds=60.0, seed=0)
    server = start_prometheus(storage=tmp_path / "data")

    told = ["--from", str(START - 9 * 86_400), "--to", str(START - 8 * 86_400), "--forecasts", "perfect"]
    assert command.main(["replay", "--prometheus", server.url, *told]) == 2
    assert "correct --from and --to" in capsys.readouterr().err
