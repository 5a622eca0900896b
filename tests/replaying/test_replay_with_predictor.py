"""
The command with forecasts of a predictor's server.
"""

import asyncio
import json

from builders.engines import FakeForecaster, engine, serving
from builders.replays import START, waves, write_npz
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_operator.replaying import command


async def replayed(tmp_path, port, *arguments):
    path = write_npz(tmp_path / "week.npz", waves(120))
    told = ["--recording", str(path), "--per-replica", "50", "--predictor", f"127.0.0.1:{port}", *arguments]
    return await asyncio.to_thread(command.main, ["replay", *told, "--out", str(tmp_path / "out")])


async def test_the_running_predictor_is_asked_at_every_step(tmp_path):
    model = ModelInfo(ModelKind.GCN_GRU, "v7", trained_time=START + 86_400, error=1.0, naive_error=2.0)
    async with serving(engine(forecaster=FakeForecaster(model))) as server:
        assert await replayed(tmp_path, server.port, "--horizon-steps", "10") == 0
    told = json.loads((tmp_path / "out" / "replay.json").read_text())

    assert told["settings"]["forecasts"] == "predictor"
    assert told["settings"]["model"] == {"kind": "GCN-GRU", "version": "v7"}
    assert any("may have learned from the days that are replayed" in note for note in told["notes"])
    assert not any("no new forecast" in note for note in told["notes"])


async def test_a_predictor_that_is_not_there_is_said(tmp_path, capsys):
    assert await replayed(tmp_path, 9) == 2
    assert "the predictor at 127.0.0.1:9 answered UNAVAILABLE" in capsys.readouterr().err
