import asyncio
import contextlib
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from builders.snapshots import snapshot
from tidecast_operator.errors import PredictorUnavailable
from tidecast_operator.predictor_client import PredictorClient
from tidecast_predictor import cli
from tidecast_predictor.history import History
from tidecast_simulator.testbed.process import free_port

TESTS = Path(__file__).parents[1]

SERVE_FAKES = """
import asyncio, logging, sys
from builders.engines import engine
from tidecast_predictor.server import ServerSettings, serve

def fail():
    raise OSError("the disk is gone")

logging.basicConfig(level="INFO")
load = fail if sys.argv[2] == "broken" else engine
asyncio.run(serve(load, ServerSettings(sys.argv[1], "127.0.0.1:0")))
"""


@contextlib.asynccontextmanager
async def program(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready(client, process):
    while process.returncode is None:
        with contextlib.suppress(PredictorUnavailable):
            return await client.status()
    pytest.fail("the predictor ended before it was ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_gracefully(number):
    address = f"127.0.0.1:{free_port()}"
    async with program("-c", SERVE_FAKES, address, "sound") as process:
        client = PredictorClient(address, timeout_seconds=5)
        await ready(client, process)
        await client.close()
        process.send_signal(number)
        _, log = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"stopped" in log


async def test_a_predictor_that_cannot_load_ends_with_the_reason():
    async with program("-c", SERVE_FAKES, f"127.0.0.1:{free_port()}", "broken") as process:
        _, log = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"OSError: the disk is gone" in log


async def test_a_port_that_is_taken_is_not_shared():
    address = f"127.0.0.1:{free_port()}"
    async with program("-c", SERVE_FAKES, address, "sound") as process:
        client = PredictorClient(address, timeout_seconds=5)
        await ready(client, process)
        await client.close()
        async with program("-c", SERVE_FAKES, address, "sound") as second:
            _, log = await asyncio.wait_for(second.communicate(), 30)
    assert second.returncode == 1
    assert b"Failed to bind" in log


def test_a_flag_that_makes_no_sense_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["serve", "--horizon-steps", "0"])
    assert "--horizon-steps: must be positive, not 0" in capsys.readouterr().err


async def test_what_the_predictor_learnt_of_the_past_survives_a_restart(tmp_path):
    address, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    flags = ("serve", "--address", address, "--http-address", http, "--data-dir", str(tmp_path))
    client = PredictorClient(address, timeout_seconds=20)
    async with program("-m", "tidecast_predictor", *flags) as process:
        assert (await ready(client, process)).history.steps == 0
        measured = snapshot(end_time=int(time.time()) // 60 * 60)
        held = await client.append_history([measured])
        assert (await client.forecast(measured, 5)).horizon_steps == 5
        with await asyncio.to_thread(urllib.request.urlopen, f"http://{http}/readyz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
    async with program("-m", "tidecast_predictor", *flags) as process:
        assert (await ready(client, process)).history == held
    await client.close()


async def test_a_day_of_history_that_cannot_be_read_at_present_ends_the_predictor_with_the_remedy(tmp_path):
    now = int(time.time()) // 60 * 60
    History(tmp_path / "history", limit_seconds=3600).append(snapshot(end_time=now))
    [day] = tmp_path.joinpath("history").iterdir()
    day.joinpath("values.f32").rename(day / "aside")
    day.joinpath("values.f32").symlink_to("values.f32")  # whoever follows it gets an OSError, as from a broken disk
    flags = [f"--{name}=127.0.0.1:0" for name in ("address", "http-address")]
    async with program("-m", "tidecast_predictor", "serve", *flags, f"--data-dir={tmp_path}") as process:
        _, log = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert f"history of {day.name} cannot be read at present" in log.decode().splitlines()[-1]
    assert day.joinpath("aside").exists()
