"""
A real Prometheus: scrapes given targets, or serves a storage folder that promtool has filled, or both.

A storage may reach into the future: Prometheus answers up to the time it is asked about, so what has not come true yet
is out of sight of whoever asks about now. Such a Prometheus refuses samples older than its newest block, so
it is given no targets.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.process import Process, free_port


class PrometheusServer:
    """
    A running Prometheus; use it as a context manager, or call `stop`.

    Attributes:
        url: Of its API; the same after a restart.
        storage: The folder with its blocks.
    """

    def __init__(self, directory: Path, *, storage: Path | None = None, retention: str = "60d") -> None:
        self.directory = directory.resolve()
        self.storage = (storage or directory / "data").resolve()
        self._retention = retention
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.process: Process | None = None

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        targets: Mapping[str, Sequence[str]] | Sequence[str] = (),
        scrape_interval_seconds: float = 1,
        retention: str = "60d",
        storage: Path | None = None,
    ) -> Self:
        """
        Start a Prometheus and wait until it answers.

        Args:
            directory: For its configuration and log, and for its data unless *storage* is given.
            targets: What to scrape, as `host:port` or `host:port/path`, by job name or all in one job.
            scrape_interval_seconds: How often.
            retention: How long samples are kept, counted back from the newest.
            storage: A folder with blocks, as promtool makes it.

        Raises:
            MissingProgram: If Prometheus is not on this machine.
            NotReady: If it does not start.
        """
        server = cls(directory, storage=storage, retention=retention)
        jobs = targets if isinstance(targets, Mapping) else {"mesh": targets}
        server.directory.mkdir(parents=True, exist_ok=True)
        server.storage.mkdir(parents=True, exist_ok=True)
        server._configuration.write_text(json.dumps(_configuration(jobs, scrape_interval_seconds), indent=2))
        server.resume()
        return server

    @property
    def _configuration(self) -> Path:
        return self.directory / "prometheus.yml"

    def resume(self) -> None:
        """Start it again after `stop`, on the same port with the same storage."""
        self.process = Process.start(
            [
                binaries.find("prometheus"),
                f"--config.file={self._configuration}",
                f"--storage.tsdb.path={self.storage}",
                f"--storage.tsdb.retention.time={self._retention}",
                # With both the same, nothing is compacted: merging two weeks of blocks would take the first minutes.
                "--storage.tsdb.min-block-duration=2h",
                "--storage.tsdb.max-block-duration=2h",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--log.level=warn",
            ],
            log=self.directory / "prometheus.log",
        )
        try:
            self.process.wait_until(self.is_ready)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it: its clients see refused connections until `resume`."""
        if self.process is not None:
            self.process.stop()

    def restart(self) -> None:
        """End it and start it again on the same port with the same storage."""
        self.stop()
        self.resume()

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def query(self, expression: str, *, time: float | None = None) -> list[dict[str, Any]]:
        """The result of an instant query, now or at *time* (unix seconds), as the API has it."""
        parameters = {"query": expression} | ({} if time is None else {"time": str(time)})
        return self._ask("query", parameters)

    def query_range(self, expression: str, *, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The result of a range query, times in unix seconds, as the API has it."""
        return self._ask("query_range", {"query": expression, "start": start, "end": end, "step": step})

    def _ask(self, endpoint: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        answer = requests.post(f"{self.url}/api/v1/{endpoint}", data=parameters, timeout=60)
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _configuration(jobs: Mapping[str, Sequence[str]], interval_seconds: float) -> dict[str, Any]:
    interval = f"{int(interval_seconds * 1000)}ms"
    scrapes: list[dict[str, Any]] = []
    for job, targets in jobs.items():
        for number, target in enumerate(targets):
            address, _, path = target.partition("/")
            # One target a job, since each may have a path of its own; the name of the first is the given one.
            name = job if number == 0 else f"{job}-{number}"
            scrapes.append(
                {"job_name": name, "metrics_path": f"/{path or 'metrics'}", "static_configs": [{"targets": [address]}]}
            )
            # cAdvisor and kube-state-metrics bring `namespace` and `pod` labels that must stay as they are.
            scrapes[-1]["honor_labels"] = True
    timing = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": "15s"}
    return {"global": timing, "scrape_configs": scrapes}
