import gzip
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from tidecast_operator.errors import Misconfigured
from tidecast_operator.health import Health, HealthServer


@pytest.fixture
def time():
    return [0.0]


@pytest.fixture
def why():
    """What keeps it from being ready, beside cycles."""
    return [""]


@pytest.fixture
def health(time, why):
    return Health(why_not_ready=lambda: why[0], clock=lambda: time[0])


@contextmanager
def serving(health, metrics):
    server = HealthServer(("127.0.0.1", 0), health, metrics=lambda: metrics)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(health):
    with serving(health, b"tidecast_cycles_total 1\n") as started:
        yield started


@pytest.fixture
def ask(server):
    def answer(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return answer


def test_it_is_healthy_from_the_start_but_ready_after_a_cycle(health, ask):
    assert (ask("/healthz")[0], ask("/readyz")[0]) == (200, 503)

    health.completed(step_seconds=60)

    assert ask("/readyz")[0] == 200


def test_what_else_keeps_it_from_being_ready_is_told_and_is_no_reason_for_a_restart(health, ask, why):
    health.completed(step_seconds=60)
    why[0] = "metrics API: no certificate is there"

    assert ask("/healthz")[0] == 200
    code, told = ask("/readyz")
    assert (code, told.partition("\n")[0]) == (503, "not ready: metrics API: no certificate is there")
    why[0] = ""
    assert ask("/readyz")[0] == 200


def test_it_is_stuck_when_no_cycle_has_completed_for_five_minutes(health, ask, time):
    health.completed(step_seconds=60)
    time[0] = 299.0
    assert ask("/healthz")[0] == 200

    time[0] = 300.0
    assert ask("/healthz")[0] == 503
    assert ask("/readyz")[0] == 503


def test_long_steps_have_more_time(health, time):
    health.completed(step_seconds=600)
    time[0] = 2999.0

    assert health.is_healthy


def test_metrics_are_served(ask):
    assert ask("/metrics") == (200, "tidecast_cycles_total 1\n")


def test_another_path_is_not_found(ask):
    assert ask("/")[0] == 404


def test_large_metrics_are_compressed_for_who_can_read_that():
    with serving(Health(), b"tidecast_forecast_samples 1\n" * 1000) as server:
        address = f"http://127.0.0.1:{server.port}/metrics"
        asking = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(asking, timeout=5) as packed, urllib.request.urlopen(address, timeout=5) as plain:  # noqa: S310
            assert packed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(packed.read()) == plain.read()


def test_a_port_that_is_taken_is_an_error_with_a_remedy(server, health):
    with pytest.raises(
        Misconfigured, match=r"--http-address: cannot listen .* in use; write host and port that are free"
    ):
        HealthServer(("127.0.0.1", server.port), health, metrics=lambda: b"")
