"""
A real Prometheus for each test, filled with what the test writes down.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.recorded_series import Recorded, store
from tidecast_operator.telemetry.collector import Collector
from tidecast_operator.telemetry.prometheus import Connection, Prometheus
from tidecast_simulator.testbed.prometheus import PrometheusServer


@pytest.fixture
def recorded(tmp_path: Path, start_prometheus: Callable[..., PrometheusServer]) -> Callable[..., PrometheusServer]:
    """Starts a Prometheus that holds the given series."""

    def start(*series: Recorded) -> PrometheusServer:
        return start_prometheus(storage=store(tmp_path, series))

    return start


@pytest.fixture
def asking() -> Iterator[Callable[..., Prometheus]]:
    """Clients of a URL with attempts in quick succession; they are closed after the test."""
    clients: list[Prometheus] = []

    def client(url: str, **changes: object) -> Prometheus:
        valid = {"url": url, "timeout_seconds": 20.0, "backoff_seconds": 0.01}
        clients.append(Prometheus(Connection(**(valid | changes))))  # type: ignore[arg-type]
        return clients[-1]

    yield client
    for each in clients:
        each.close()


@pytest.fixture
def collect(asking: Callable[..., Prometheus]) -> Callable[..., object]:
    """Collects from a Prometheus the steps that end at a time, having looked for sources then."""

    def collect(server: object, end_time: int, *, steps: int = 5, **arguments: object) -> object:
        collector = Collector(asking(server.url), **arguments)  # type: ignore[attr-defined, arg-type]
        collector.detect(at=end_time)
        return collector.collect(end_time - (steps - 1) * 60, end_time, 60)

    return collect
