"""
A Prometheus-compatible endpoint that answers as if a mesh of N services had been scraped for weeks. SIMULATED numbers.

It reads no PromQL: it tells the questions of the Istio, cAdvisor and kube-state-metrics schemas apart by the metric
they ask for, and makes the answer up for each time asked. So the operator's own work is measured, not Prometheus'.
"""

import argparse
import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import perf_counter
from time import time as now
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

SERVICES_PER_NAMESPACE = 100
CALLS_PER_SERVICE = 3
DAY_SECONDS = 86_400
SCRAPE_SECONDS = 15
EXPORTED = ("istio_requests_total", "kube_pod_owner", "container_cpu_usage_seconds_total")


def namespace_of(service: int) -> str:
    """The namespace of a service by its number."""
    return f"team-{service // SERVICES_PER_NAMESPACE:03d}"


def name_of(service: int) -> str:
    """The name of a service by its number."""
    return f"service-{service:05d}"


@dataclass(frozen=True)
class Mesh:
    """N services; each is called by services of smaller numbers, so that the graph is as deep as a real one is."""

    services: int
    callers: NDArray[np.int64]
    callees: NDArray[np.int64]
    base: NDArray[np.float64]
    phase: NDArray[np.float64]

    @classmethod
    def of(cls, services: int) -> "Mesh":
        """The same mesh every time."""
        random = np.random.default_rng(7)
        callees = np.repeat(np.arange(1, services), CALLS_PER_SERVICE)
        callers = (callees * random.random(callees.size) ** 0.5).astype(np.int64)
        pairs = np.unique(np.stack([callers, callees]), axis=1)
        base, phase = random.lognormal(3, 1, services), random.random(services) * 0.5
        return cls(services, pairs[0], pairs[1], base, phase)

    def requests(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Requests per second of shape (T, N)."""
        day = np.sin(2 * np.pi * (times[:, None] / DAY_SECONDS + self.phase))
        minute = np.sin(times[:, None] / 700 + 10 * self.phase)
        return self.base * (1 + 0.5 * day + 0.1 * minute)


def series(labels: Iterable[dict[str, str]], times: NDArray[np.float64], columns: NDArray[np.float64]) -> str:
    """The `result` of a range query as JSON text; one series for each column of shape (T, S)."""
    stamps = [f"{time:.0f}" for time in times]
    rows = []
    for label, column in zip(labels, columns.T, strict=True):
        points = ",".join(f'[{stamp},"{value:.4g}"]' for stamp, value in zip(stamps, column, strict=True))
        rows.append(f'{{"metric":{json.dumps(label)},"values":[{points}]}}')
    return "[" + ",".join(rows) + "]"


class Answers:
    """Makes answers up, and counts what was asked."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.queries = 0
        self.seconds = 0.0
        self._lock = threading.Lock()
        numbers = range(mesh.services)
        self._callee = [
            {"destination_workload_namespace": namespace_of(n), "destination_workload": name_of(n)} for n in numbers
        ]
        self._owner = [
            {"namespace": namespace_of(n), "owner_kind": "Deployment", "owner_name": name_of(n)} for n in numbers
        ]
        self._pair = [
            {"source_workload_namespace": namespace_of(a), "source_workload": name_of(a), **self._callee[b]}
            for a, b in zip(mesh.callers.tolist(), mesh.callees.tolist(), strict=True)
        ]

    def count(self, seconds: float) -> None:
        """Notes that a question was answered."""
        with self._lock:
            self.queries += 1
            self.seconds += seconds

    def answer(self, query: str, times: NDArray[np.float64]) -> str:
        """The result for a question at *times*; an empty one for what this mesh does not export."""
        requests = self.mesh.requests(times)
        calls = requests[:, self.mesh.callees] / CALLS_PER_SERVICE
        table: list[tuple[str, list[dict[str, str]], Callable[[], NDArray[np.float64]]]] = [
            ("histogram_quantile(0.95, sum by (le, dest", self._callee, lambda: 60 + requests / 10),
            ("histogram_quantile(0.5, sum by (le, dest", self._callee, lambda: 20 + requests / 20),
            ("response_code=~", self._callee, lambda: requests * 0.001),
            ("source_workload_namespace", self._pair, lambda: calls),
            ("istio_requests_total", self._callee, lambda: requests),
            ("container_cpu_usage", self._owner, lambda: requests * 0.01),
            ("container_memory", self._owner, lambda: 1e8 + requests * 1e5),
            ("kube_deployment_status_replicas_ready", self._owner, lambda: np.full_like(requests, 3)),
        ]
        for mark, labels, values in table:
            if mark in query:
                return series(labels, times, values())
        return "[]"


class Handler(BaseHTTPRequestHandler):
    """GET and POST of /api/v1/query and /api/v1/query_range; GET of /counts."""

    protocol_version = "HTTP/1.1"
    answers: Answers

    def do_GET(self) -> None:  # noqa: D102  # the class says it
        self._serve(parse_qs(urlsplit(self.path).query))

    def do_POST(self) -> None:  # noqa: D102
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._serve(parse_qs(body) | parse_qs(urlsplit(self.path).query))

    def _serve(self, form: dict[str, list[str]]) -> None:
        path = urlsplit(self.path).path
        if path == "/counts":
            self._reply(json.dumps({"queries": self.answers.queries, "seconds": self.answers.seconds}))
        elif path.endswith("/query_range"):
            self._range(form)
        elif path.endswith("/query"):
            self._instant(form["query"][0], float(form.get("time", [str(now())])[0]))
        else:
            self._reply('{"status":"success","data":[]}')

    def _range(self, form: dict[str, list[str]]) -> None:
        begin = perf_counter()
        start, end, step = (float(form[key][0].rstrip("s")) for key in ("start", "end", "step"))
        result = self.answers.answer(form["query"][0], np.arange(start, end + step / 2, step))
        self.answers.count(perf_counter() - begin)
        self._reply(f'{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}')

    def _instant(self, query: str, time: float) -> None:
        begin = perf_counter()
        if query.endswith("]"):  # the samples of one series, which tell how often it is scraped
            scrapes = [[time - age, "1"] for age in range(300, 0, -SCRAPE_SECONDS)]
            data = {"resultType": "matrix", "result": [{"metric": {}, "values": scrapes}]}
            self._reply(json.dumps({"status": "success", "data": data}))
            return
        if "count_over_time" in query:
            found = _detected(query)
        else:
            rows = json.loads(self.answers.answer(query, np.array([time])))
            found = [{"metric": row["metric"], "value": row["values"][0]} for row in rows]
        self.answers.count(perf_counter() - begin)
        self._reply(json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}}))

    def _reply(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing: the counts tell enough."""


def _detected(query: str) -> list[dict[str, Any]]:
    """Which of the metrics that are asked for have data."""
    asked = dict.fromkeys(re.findall(r'"metric_asked_for", "(\w+)"', query))
    return [{"metric": {"metric_asked_for": metric}, "value": [0, "5"]} for metric in asked if metric in EXPORTED]


def main() -> None:
    """Serves until it is ended."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--services", type=int, default=10_000)
    arguments.add_argument("--port", type=int, required=True)
    chosen = arguments.parse_args()
    Handler.answers = Answers(Mesh.of(chosen.services))
    ThreadingHTTPServer(("127.0.0.1", chosen.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
