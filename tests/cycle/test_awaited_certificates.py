"""
Ports whose certificate somebody is still to bring: who is told that they are not answered yet, and when they are.
"""

import sys

import pytest

from builders.kubeconfigs import unreachable
from builders.metrics_api import Authority, config_map
from builders.serving import FakeCluster, Probed, comes_true, running, served, write_certificate
from builders.waiting import eventually
from tidecast_operator.outlets.metrics_api import server
from tidecast_simulator.testbed.process import Process


def keda_with_tls(folder):
    return (
        "--keda-address=127.0.0.1:0",
        f"--keda-tls-certificate={folder / 'tls.crt'}",
        f"--keda-tls-key={folder / 'tls.key'}",
    )


def metrics_api(folder):
    return "--metrics-api-address=127.0.0.1:0", f"--metrics-api-tls-folder={folder}"


async def test_a_port_whose_certificate_is_not_there_yet_opens_when_it_is_and_keeps_nobody_waiting(tmp_path, caplog):
    (tmp_path / "there").mkdir()
    write_certificate(tmp_path / "there")
    serves = served(*keda_with_tls(tmp_path), *metrics_api(tmp_path / "there"))
    caplog.set_level("INFO")

    async with running(serves):
        await comes_true(lambda: "no certificate yet" in caplog.text and "metrics API on port" in caplog.text)
        assert "KEDA on port" not in caplog.text
        write_certificate(tmp_path)
        await comes_true(lambda: "KEDA on port" in caplog.text)


@pytest.mark.parametrize("is_empty", [False, True], ids=["no files", "empty files"])
@pytest.mark.parametrize(("flags", "name"), [(keda_with_tls, "KEDA"), (metrics_api, "metrics API")])
async def test_who_is_not_answered_is_told_until_the_certificate_is_there(tmp_path, monkeypatch, flags, name, is_empty):
    monkeypatch.setattr(server, "AWAITING_SECONDS", 0.05)
    if is_empty:
        write_certificate(tmp_path, is_empty=True)
    serves = served(*flags(tmp_path), cluster=FakeCluster(config_map(Authority().pem)))
    assert serves.unanswered == f"{name}: not started"

    async with running(serves):
        await comes_true(lambda: str(tmp_path) in serves.unanswered)
        assert serves.unanswered.startswith(f"{name}: ")
        write_certificate(tmp_path)
        await comes_true(lambda: not serves.unanswered)


async def test_a_certificate_that_is_gone_after_it_was_read_leaves_everybody_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "REFRESH_SECONDS", 0.01)
    write_certificate(tmp_path)
    serves = served(*metrics_api(tmp_path), cluster=FakeCluster(config_map(Authority().pem)))

    async with running(serves):
        await comes_true(lambda: not serves.unanswered)
        (tmp_path / "tls.crt").unlink()
        await comes_true(lambda: "no certificate is there" in serves._metrics_api.why_not_ready)
        assert not serves.unanswered


async def test_an_authority_that_is_taken_away_leaves_nobody_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "REFRESH_SECONDS", 0.01)
    write_certificate(tmp_path)
    cluster = FakeCluster(config_map(Authority().pem))
    serves = served(*metrics_api(tmp_path), cluster=cluster)

    async with running(serves):
        await comes_true(lambda: not serves.unanswered)
        cluster.config_map = None
        await comes_true(lambda: "extension-apiserver-authentication" in serves.unanswered)
        assert not serves.awaited


async def test_an_authority_that_is_taken_away_neither_holds_up_cycles_nor_takes_keda_away(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "REFRESH_SECONDS", 0.01)
    write_certificate(tmp_path)
    cluster = FakeCluster(config_map(Authority().pem))
    serves = served("--keda-address=127.0.0.1:0", *metrics_api(tmp_path), cluster=cluster)

    async with running(serves):
        await comes_true(lambda: not serves.unanswered)
        cluster.config_map = None
        await comes_true(lambda: "extension-apiserver-authentication" in serves._metrics_api.why_not_ready)
        assert not serves.awaited
        assert not serves.unanswered


async def test_the_relay_is_for_replicas_and_keeps_no_autoscaler_away(tmp_path):
    files = {"certificate": "tls.crt", "key": "tls.key", "authority": "ca.crt"}
    flags = [f"--relay-tls-{name}={tmp_path / file}" for name, file in files.items()]

    assert not served("--relay-address=127.0.0.1:0", *flags).unanswered


def test_a_process_is_alive_and_not_ready_until_the_certificate_is_there(tmp_path):
    """It only answers, and its API server is away."""
    probed = Probed()
    flags = [unreachable(tmp_path), f"--http-address={probed.address}"]
    flags += ["--relay-target=127.0.0.1:9", *keda_with_tls(tmp_path)]
    process = Process.start([sys.executable, "-m", "tidecast_operator", "serve", *flags], log=tmp_path / "log")
    try:
        eventually(lambda: probed.answers("/readyz", 503, f"KEDA: --keda-tls-certificate: {tmp_path / 'tls.crt'}"), 90)
        assert probed.answers("/healthz", 200)
        write_certificate(tmp_path)
        eventually(lambda: probed.answers("/readyz", 200), 90)
    finally:
        process.stop(timeout_seconds=60)
