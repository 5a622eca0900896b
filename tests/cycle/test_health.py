import gzip
import urllib.error
import urllib.request

import pytest

from tidecast_operator.health import Health, HealthServer


@pytest.fixture
def time():
    return [0.0]


@pytest.fixture
def health(time):
    return Health(clock=lambda: time[0])


@pytest.fixture
def ask(health):
    server = HealthServer(("127.0.0.1", 0), health, metrics=lambda: b"tidecast_cycles_total 1\n")
    server.start()

    def answer(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    yield answer
    server.stop()


def test_it_is_healthy_from_the_start_but_ready_after_a_cycle(health, ask):
    assert (ask("/healthz")[0], ask("/readyz")[0]) == (200, 503)

    health.completed(step_seconds=60)

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
    server = HealthServer(("127.0.0.1", 0), Health(), metrics=lambda: b"tidecast_forecast_samples 1\n" * 1000)
    server.start()
    address = f"http://127.0.0.1:{server.port}/metrics"
    asking = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(asking, timeout=5) as packed, urllib.request.urlopen(address, timeout=5) as plain:  # noqa: S310
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.read()) == plain.read()
    server.stop()
