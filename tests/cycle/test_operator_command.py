import logging

import pytest

from builders.kubeconfigs import unreachable
from tidecast_operator.cli import main


@pytest.fixture(autouse=True)
def logging_as_before():
    """The command sends the logs of its process to its own standard error, which ends with the test."""
    root, quieted = logging.getLogger(), [name for name in logging.root.manager.loggerDict if name.startswith("kopf")]
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in ["", *quieted]}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    ("flag", "value"), [("--kubeconfig", "/there/is/none"), ("--http-address", "localhost"), ("--http-address", "")]
)
def test_a_flag_that_cannot_be_followed_is_named(tmp_path, capfd, flag, value):
    assert main(["run", unreachable(tmp_path), "--http-address=127.0.0.1:0", f"{flag}={value}"]) == 2
    assert flag in capfd.readouterr().err


def test_without_a_command_it_explains_itself(capsys):
    with pytest.raises(SystemExit):
        main([])

    assert "run" in capsys.readouterr().err
