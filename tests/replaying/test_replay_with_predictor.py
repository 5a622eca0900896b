"""
The command with forecasts of a predictor's server.
"""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from builders.certificates import mount
from builders.engines import FakeForecaster, engine, serving
from builders.replays import START, waves, write_npz
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_operator.certificates import signing
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
