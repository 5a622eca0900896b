import sys

import pytest

from tidecast_simulator.testbed.process import NotReady
from tidecast_simulator.testbed.program import Program


@pytest.fixture
def sleeper(tmp_path):
    """A program that says "up" at each start and then sleeps."""
    code = "import time; print('up', flush=True); time.sleep(60)"
    log = tmp_path / "log"
    with Program([sys.executable, "-c", code], log, lambda: "up" in log.read_text()) as program:
        yield program


def test_a_restarted_program_is_a_new_process_with_the_same_log(sleeper):
    first = sleeper.start().process.pid
    sleeper.restart()
    sleeper.process.wait_until(lambda: sleeper.log.read_text().split() == ["up", "up"])
    assert sleeper.process.pid != first


def test_a_killed_program_does_not_run(sleeper):
    sleeper.start().kill()
    assert not sleeper.is_running


def test_a_program_ends_with_its_block(sleeper):
    with sleeper.start():
        assert sleeper.is_running
    assert not sleeper.is_running


def test_the_process_of_a_program_that_was_not_started_is_an_error(sleeper):
    with pytest.raises(NotReady, match="was not started"):
        sleeper.process.tail()
