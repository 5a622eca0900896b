"""
A mesh that lives: what a real Prometheus scrapes from it now, over HTTP.

Counters are those of a recording of the same mesh, load, seed and start: a recording that ended goes on here without
a seam, as long as Prometheus adds the same target labels (`static_configs` may set `instance`). The mesh can be changed
while it runs: what stays goes on counting, what is new begins at zero, what is gone is not reported any more.
"""

import math
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import numpy as np

from tidecast_simulator.exporting.counting import Readings, Totals
from tidecast_simulator.exporting.emission import Emission, Exporter
from tidecast_simulator.exporting.sources import LIVE, exporters_of
from tidecast_simulator.exporting.text import CONTENT_TYPE, exposition
from tidecast_simulator.flows import Clock
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.mesh_files import mesh_from_yaml, mesh_to_yaml, read_mesh
from tidecast_simulator.traffic import Simulation

_CATCH_UP_TICKS = 720


class LiveMesh:
    """
    The counters of a mesh up to now. Safe to use from several threads.

    Args:
        simulation: The mesh and its load.
        since: Unix seconds; counters begin one tick before, as in a recording that starts then.
        sources: Which exporters.
    """

    def __init__(self, simulation: Simulation, *, since: float, sources: Sequence[str] = LIVE) -> None:
        self._simulation = simulation
        self._sources = tuple(sources)
        self._exporters = exporters_of(simulation.mesh, sources)
        self._totals = {source: Totals() for source in self._exporters}
        self._tick = math.ceil(since / simulation.tick_seconds) - 1
        self._current: _Tick | None = None
        self._lock = threading.Lock()

    @property
    def mesh(self) -> Mesh:
        """The mesh as it is now."""
        return self._simulation.mesh

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of its exporters."""
        return self._sources

    def scrape(self, now: float, sources: Sequence[str] = ()) -> dict[str, Readings]:
        """
        What these exporters (all, when none is named) report at a time, unix seconds.

        A time before the last scrape's tick reads as the beginning of that tick: counters never fall.
        """
        with self._lock:
            current = self._advance(now)
            times = np.array([max(now, current.clock.ticks[0] * current.clock.tick_seconds)])
            return {
                source: self._totals[source].read(current.emissions[source], current.clock, times)
                for source in sources or self._exporters
            }

    def replace(self, mesh: Mesh, now: float) -> None:
        """Goes on with another mesh from the tick of this time on."""
        with self._lock:
            self._advance(now)
            old = self._simulation
            self._simulation = Simulation(mesh, old.shape, tick_seconds=old.tick_seconds, seed=old.seed)
            self._exporters = exporters_of(mesh, self._sources)
            self._current = None

    def _advance(self, now: float) -> "_Tick":
        """Counts all ticks that are over, and answers the one that is not."""
        last = math.ceil(now / self._simulation.tick_seconds) - 1
        if self._current and self._tick < last:
            self._count(self._current, self._tick + 1)
        while self._tick < last:
            until = min(self._tick + _CATCH_UP_TICKS, last)
            self._count(_emitted(self._simulation, self._exporters, (self._tick, until)), until)
        if self._current is None:
            self._current = _emitted(self._simulation, self._exporters, (self._tick, self._tick + 1))
        return self._current

    def _count(self, ticks: "_Tick", until: int) -> None:
        for source, emission in ticks.emissions.items():
            self._totals[source].advance(emission)
        self._tick, self._current = until, None


@dataclass(frozen=True, slots=True, eq=False)
class _Tick:
    """What the exporters say about some ticks."""

    clock: Clock
    emissions: dict[str, Emission]


def _emitted(simulation: Simulation, exporters: dict[str, Exporter], ticks: tuple[int, int]) -> _Tick:
    traffic = simulation.between(*ticks)
    return _Tick(traffic.clock, {source: exporter.emit(traffic) for source, exporter in exporters.items()})


class MeshFile:
    """A mesh file that may change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = path.stat().st_mtime_ns

    def has_changed(self) -> bool:
        """Whether it was written since it was last read or asked about."""
        try:
            written = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        changed = written != self._seen
        self._seen = written
        return changed

    def read(self) -> Mesh:
        """The mesh as it is in the file now; ValueError when it does not fit."""
        return read_mesh(self._path)


class LiveServer:
    """
    Serves a live mesh over HTTP.

    `GET /metrics` answers with all exporters, `GET /metrics/<source>` with one, `GET /mesh` with the mesh as YAML;
    `POST /reload` takes a mesh as YAML, or without a body reads its file again. A file is also followed: when it has
    changed, the next scrape sees the new mesh.

    Args:
        live: The mesh.
        address: To listen on.
        port: 0 for a free one.
        file: Where the mesh came from; None for nowhere.
    """

    def __init__(
        self, live: LiveMesh, *, address: str = "127.0.0.1", port: int = 0, file: MeshFile | None = None
    ) -> None:
        self.live = live
        self._file = file
        self._http = ThreadingHTTPServer((address, port), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, name="simulator", daemon=True)

    @property
    def target(self) -> str:
        """`host:port`, as a Prometheus configuration names it."""
        host, port = self._http.server_address[:2]
        return f"{host!s}:{port}"

    @property
    def url(self) -> str:
        """Of the server, without a slash at the end."""
        return f"http://{self.target}"

    def start(self) -> Self:
        """Begins to answer, in the background."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops answering and closes the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def get(self, path: str) -> tuple[int, str, str]:
        """The status, content type and text for a path."""
        if path == "/mesh":
            return 200, "application/yaml", mesh_to_yaml(self.live.mesh)
        if path == "/healthz":
            return 200, "text/plain", "ok\n"
        top, _, source = path.strip("/").partition("/")
        if top != "metrics" or (source and source not in self.live.sources):
            return (
                404,
                "text/plain",
                f"there are /mesh, /healthz, /metrics and /metrics/<{'|'.join(self.live.sources)}>\n",
            )
        self._follow_file()
        readings = self.live.scrape(time.time(), (source,) if source else ())
        return 200, CONTENT_TYPE, "".join(exposition(one) for one in readings.values())

    def post(self, path: str, body: str) -> tuple[int, str, str]:
        """The status, content type and text after a change."""
        if path != "/reload":
            return 404, "text/plain", "there is /reload\n"
        try:
            if body.strip():
                mesh = mesh_from_yaml(body)
            elif self._file:
                mesh = self._file.read()
            else:
                return 400, "text/plain", "the mesh came from no file; send a mesh as YAML\n"
        except ValueError as error:
            return 400, "text/plain", f"{error}\n"
        self.live.replace(mesh, time.time())
        return 200, "text/plain", f"{len(mesh.services)} services, {len(mesh.calls)} calls\n"

    def _follow_file(self) -> None:
        """Takes over a changed mesh file; one that does not fit is named once, and the mesh stays as it is."""
        if self._file and self._file.has_changed():
            try:
                self.live.replace(self._file.read(), time.time())
            except (ValueError, OSError) as error:
                print(f"the mesh stays as it is: {error}", file=sys.stderr)


def _handler(server: LiveServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(*server.get(self.path.partition("?")[0]))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            self._answer(*server.post(self.path, body))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Says nothing: a scrape is no news."""

        def _answer(self, status: int, kind: str, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
