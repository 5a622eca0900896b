"""
The command with forecasts of a predictor's server.
"""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from builders.certificates import mount
from builders.engines import FakeForecaster, engine, serving
from builders.replays import START, recording, waves, write_npz
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_operator.certificates import signing
from tidecast_operator.replaying import command
from tidecast_predictor.history import History
from tidecast_predictor.inference import Forecaster


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


@pytest.mark.parametrize(("known", "told"), [(None, 2), ("one", 1), ("both", 0)])
async def test_workloads_whose_day_before_the_predictor_does_not_know_are_told(tmp_path, known, told):
    loads = waves(120)
    history = History(None, limit_seconds=7 * 86_400)
    if known is not None:
        before = recording(loads[:, :1] if known == "one" else loads, start_time=START - 86_400)
        history.append(before.snapshot(0, before.steps))
    async with serving(engine(history=history, forecaster=Forecaster(history, None, device="cpu"))) as server:
        assert await replayed(tmp_path, server.port, "--horizon-steps", "10") == 0
    notes = json.loads((tmp_path / "out" / "replay.json").read_text())["notes"]

    said = [note for note in notes if "the predictor's history knew no day before" in note]
    assert [note.split(" workloads")[0] for note in said] == ([f"For {told} of 2"] if told else [])


async def test_of_a_method_it_is_not_told_what_a_predictor_knows(tmp_path, capsys):
    path = write_npz(tmp_path / "week.npz", waves(120))

    assert await asyncio.to_thread(command.main, ["replay", "--recording", str(path), "--per-replica", "50"]) == 0
    assert "knew no day before" not in capsys.readouterr().out


async def test_a_predictor_that_is_not_there_is_said(tmp_path, capsys):
    assert await replayed(tmp_path, 9) == 2
    assert "the predictor at 127.0.0.1:9 answered UNAVAILABLE" in capsys.readouterr().err


def tls_folder(path, host):
    """As a Secret that the operator fills, of the one authority that all of them have here."""
    now = datetime.now(UTC)
    authority = signing.new_authority(now)
    for folder in ("server", "client"):
        issued = signing.issue(authority, [host], now)
        data = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": authority.certificate}
        files = mount(path / folder, data)
        yield files


async def test_a_predictor_with_tls_is_asked_with_the_certificate_in_a_folder(tmp_path, capsys):
    server_files, client_files = tls_folder(tmp_path, "tidecast-predictor")
    folder = f"--predictor-tls-folder={client_files.key.parent}"
    async with serving(engine(forecaster=FakeForecaster()), tls=server_files) as server:
        assert await replayed(tmp_path, server.port) == 2
        assert await replayed(tmp_path, server.port, folder) == 2
        assert "UNAVAILABLE" in capsys.readouterr().err

        assert await replayed(tmp_path, server.port, folder, "--predictor-tls-name=tidecast-predictor") == 0


@pytest.mark.parametrize("made", [{}, {"tls.crt": b"", "tls.key": b"", "ca.crt": b""}], ids=["none", "empty"])
async def test_a_folder_without_a_certificate_is_named(tmp_path, capsys, made):
    mount(tmp_path / "tls", made)

    assert await replayed(tmp_path, 9, f"--predictor-tls-folder={tmp_path / 'tls'}") == 2
    assert str(tmp_path / "tls" / "tls.crt") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        (["--predictor-tls-folder=tls"], "--predictor: is missing"),
        (["--predictor=localhost:8500", "--predictor-tls-name=it"], "--predictor-tls-folder: is missing"),
    ],
)
def test_flags_of_tls_that_lack_another_one_name_it(tmp_path, capsys, flags, missing):
    path = write_npz(tmp_path / "week.npz", waves(120))

    assert command.main(["replay", "--recording", str(path), *flags]) == 2
    assert missing in capsys.readouterr().err
