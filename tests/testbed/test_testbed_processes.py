import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidecast_simulator.testbed.process import NotReady, Process, free_port, listens


def never():
    return False


def started(tmp_path, code):
    return Process.start([sys.executable, "-c", code], log=tmp_path / "log")


def test_a_port_is_not_given_out_twice():
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert not listens(ports[0])


def test_what_a_program_says_is_in_its_log(tmp_path):
    process = started(tmp_path, "print('hello')")
    with pytest.raises(NotReady, match="hello"):
        process.wait_until(never)


def test_a_program_that_is_not_ready_in_time_is_an_error(tmp_path):
    process = started(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(NotReady, match=r"not ready in 0\.1 s"):
        process.wait_until(never, timeout_seconds=0.1)
    process.kill()


def test_stopping_ends_a_program_that_ignores_the_request(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = started(tmp_path, code)
    process.wait_until(lambda: "up" in process.tail())
    process.stop(timeout_seconds=0.2)
    assert process.exit_code == -9
    process.stop()


def test_a_program_ends_with_the_one_that_started_it(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from tidecast_simulator.testbed.process import Process\n"
        "sleep = 'import time; print(1, flush=True); time.sleep(60)'\n"
        f"log = pathlib.Path({str(tmp_path)!r}) / 'log'\n"
        "child = Process.start([sys.executable, '-c', sleep], log=log)\n"
        "child.wait_until(child.tail)\n"
        "print(child.pid, flush=True)\n"
        "os._exit(1)\n"
    )
    child = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout)
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_paused_program_goes_on_after_it_is_resumed(tmp_path):
    process = started(tmp_path, "import os, time\nwhile True: print(os.times()[4], flush=True); time.sleep(0.01)")
    process.wait_until(lambda: bool(process.tail()))
    process.pause()
    time.sleep(0.1)
    before = process.log.stat().st_size
    time.sleep(0.2)
    assert process.log.stat().st_size == before
    process.resume()
    process.wait_until(lambda: process.log.stat().st_size > before)
    process.stop()
