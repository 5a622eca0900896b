import logging

import pytest

from tidecast_operator.cli import main

KUBECONFIG = (
    "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], "
    "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {}}]}"
)


@pytest.fixture(autouse=True)
def logging_as_before():
    """The command sends the logs of its process to its own standard error, which ends with the test."""
    root, quieted = logging.getLogger(), [name for name in logging.root.manager.loggerDict if name.startswith("kopf")]
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in ["", *quieted]}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def nowhere(tmp_path):
    """The flag that leads to an API server that is not there."""
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG)
    return f"--kubeconfig={file}"


@pytest.mark.parametrize("command", [("run", "--http-address=127.0.0.1:0"), ("check",)])
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--watch-namespaces=shop"], "--forecaster-file: is missing"),
        (["--watch-namespaces=", "--forecaster-file=f"], "--watch-namespaces: names no namespace"),
        (["--watch-namespaces=Shop", "--forecaster-file=f"], "--watch-namespaces: 'Shop' is no name"),
    ],
)
def test_flags_that_do_not_fit_together_are_named(capfd, nowhere, command, flags, told):
    assert main([*command, nowhere, *flags]) == 2
    assert told in capfd.readouterr().err


def test_a_check_without_an_api_server_fails_with_one_line(capfd, nowhere):
    assert main(["check", nowhere, "--timeout-seconds=0"]) == 1
    out = capfd.readouterr().out
    assert out.startswith("FAIL  API server: the API server does not answer")
    assert len(out.splitlines()) == 1


def test_a_clean_up_without_an_api_server_fails_and_says_why(capfd, nowhere):
    assert main(["clean-up", nowhere, "--with-forecaster"]) == 1
    told = capfd.readouterr().err
    for text in ("could not be put to rest", "not all floors were looked at"):
        assert text in told
    # It stays as long as floors are raised: whoever repeats this finds the release as it was.
    assert "Forecaster" not in told
