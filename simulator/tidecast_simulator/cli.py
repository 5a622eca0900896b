"""
The command line: `tidecast-simulator serve | record | apply | truth | mesh`.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tidecast_simulator.exporting.sources import LIVE, RECORDED, SOURCES
from tidecast_simulator.load import Accelerated, Constant, Shape, read_series, usual_load
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.mesh_files import mesh_to_yaml, read_mesh
from tidecast_simulator.mesh_generation import Blueprint, generate
from tidecast_simulator.shop import shop
from tidecast_simulator.traffic import Simulation

_DESCRIPTION = """\
A simulated mesh of services under moving load. What it makes looks like what Istio, cAdvisor, kube-state-metrics and an
OpenTelemetry collector export; it is simulated and no measurement. The same mesh, load and seed give the same numbers
at any time, so what was recorded goes on live."""

_RANDOM = Blueprint()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; answers the exit status: 0, or 2 when an argument or a file does not fit."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except (ValueError, OSError) as error:
        print(f"tidecast-simulator {parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tidecast-simulator", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    mesh, load = _mesh_arguments(), _load_arguments()
    _add_serve(
        commands.add_parser("serve", parents=[mesh, load], help="live metrics over HTTP, for Prometheus to scrape")
    )
    _add_record(
        commands.add_parser("record", parents=[mesh, load], help="weeks of scrapes into a Prometheus data directory")
    )
    _add_apply(commands.add_parser("apply", parents=[mesh], help="the mesh's Kubernetes objects onto an API server"))
    _add_truth(
        commands.add_parser("truth", parents=[mesh, load], help="the true calls and features, printed or as npz")
    )
    shown = commands.add_parser("mesh", parents=[mesh], help="the mesh as YAML, to be changed and passed as --mesh")
    shown.set_defaults(run=lambda parsed: print(mesh_to_yaml(_mesh(parsed)), end=""))
    return parser


def _mesh_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("mesh")
    group.add_argument(
        "--mesh",
        default="shop",
        metavar="shop|random|FILE",
        help="a shop of 20 services (default), one from a seed, or a YAML file",
    )
    group.add_argument("--size", type=int, default=_RANDOM.size, help="random: services (default %(default)s)")
    group.add_argument("--depth", type=int, default=_RANDOM.depth, help="random: levels (default %(default)s)")
    group.add_argument(
        "--fan-out", type=float, default=_RANDOM.fan_out, help="random: callees of a service (default %(default)s)"
    )
    group.add_argument(
        "--sparse-share",
        type=float,
        default=_RANDOM.sparse_share,
        help="random: share of services called in episodes only (default %(default)s)",
    )
    group.add_argument(
        "--queue-share", type=float, default=_RANDOM.queue_share, help="random: share of queues (default %(default)s)"
    )
    group.add_argument(
        "--namespaces",
        type=int,
        default=_RANDOM.namespaces,
        help="random: over so many namespaces (default %(default)s)",
    )
    group.add_argument(
        "--seed", type=int, default=0, help="of a random mesh, the load and the traffic (default %(default)s)"
    )
    return parser  # fmt: skip


def _load_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("load")
    group.add_argument(
        "--load",
        default="usual",
        metavar="usual|constant|FILE",
        help="days, weeks, bursts and noise (default), a constant, or a series in a .csv or .npz, repeated for ever",
    )
    group.add_argument(
        "--load-column", default="", help="of the file (default: the last of a .csv, the first array of an .npz)"
    )
    group.add_argument(
        "--load-step-seconds", type=float, default=60.0, help="time between two rows of the file (default %(default)s)"
    )
    group.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="from now on the load's days pass so many times as fast (default %(default)s)",
    )
    group.add_argument(
        "--tick-seconds",
        type=float,
        default=60.0,
        help="the finest time at which anything changes (default %(default)s)",
    )
    return parser  # fmt: skip


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "GET /metrics, /metrics/<source>, /mesh, /healthz; POST /reload with a mesh as YAML changes it."
    )
    parser.add_argument("--address", default="127.0.0.1:9400", help="host:port to listen on (default %(default)s)")
    parser.add_argument(
        "--since",
        type=int,
        help="unix seconds at which the counters begin; with the start of a recording they continue it (default: an hour ago)",
    )
    _add_sources(parser, LIVE)
    parser.set_defaults(run=_serve)  # fmt: skip


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", type=Path, help="a Prometheus data directory (--storage.tsdb.path); made when it is not there"
    )
    parser.add_argument("--days", type=float, default=14.0, help="how far back from --end (default %(default)s)")
    parser.add_argument("--end", type=int, help="unix seconds of the last scrape (default: now)")
    parser.add_argument(
        "--future-hours",
        type=float,
        default=0.0,
        help="go on beyond the end; such a Prometheus takes no live samples until then (default %(default)s)",
    )
    parser.add_argument("--scrape-seconds", type=int, default=60, help="time between two scrapes (default %(default)s)")
    parser.add_argument(
        "--openmetrics",
        action="store_true",
        help="write OpenMetrics text instead, one file for every two hours, for promtool tsdb create-blocks-from openmetrics",
    )
    _add_sources(parser, RECORDED)
    parser.set_defaults(run=_record)  # fmt: skip


def _add_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", help="file (default: $KUBECONFIG or ~/.kube/config)")
    parser.add_argument("--delete", action="store_true", help="delete the objects instead")
    parser.set_defaults(run=_apply)


def _add_truth(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", type=int, help="unix seconds (default: an hour before the end)")
    parser.add_argument("--end", type=int, help="unix seconds (default: now)")
    parser.add_argument("--npz", type=Path, help="write calls and features to this file instead of printing the calls")
    parser.set_defaults(run=_truth)


def _add_sources(parser: argparse.ArgumentParser, default: Sequence[str]) -> None:
    text = f"comma-separated, of {', '.join(SOURCES)} (default {','.join(default)})"
    parser.add_argument("--sources", type=lambda value: tuple(value.split(",")), default=default, help=text)


def _mesh(parsed: argparse.Namespace) -> Mesh:
    if parsed.mesh == "shop":
        return shop()
    if parsed.mesh != "random":
        return read_mesh(Path(parsed.mesh))
    return generate(
        Blueprint(
            size=parsed.size,
            depth=parsed.depth,
            fan_out=parsed.fan_out,
            sparse_share=parsed.sparse_share,
            queue_share=parsed.queue_share,
            namespaces=parsed.namespaces,
            seed=parsed.seed,
        )
    )


def _simulation(parsed: argparse.Namespace) -> Simulation:
    return Simulation(_mesh(parsed), _load(parsed), tick_seconds=parsed.tick_seconds, seed=parsed.seed)


def _load(parsed: argparse.Namespace) -> Shape:
    load: Shape
    if parsed.load == "usual":
        load = usual_load(parsed.seed)
    elif parsed.load == "constant":
        load = Constant()
    else:
        load = read_series(Path(parsed.load), column=parsed.load_column, step_seconds=parsed.load_step_seconds)
    return load if parsed.speed == 1 else Accelerated(load, parsed.speed, since=time.time())


def _serve(parsed: argparse.Namespace) -> None:
    # Here, since the other commands need no server.
    from tidecast_simulator.live import LiveMesh, LiveServer, MeshFile  # noqa: PLC0415

    host, _, port = parsed.address.rpartition(":")
    if not port.isdigit():
        raise ValueError(f"--address must be host:port, not {parsed.address}")
    since = parsed.since if parsed.since is not None else int(time.time()) - 3600
    live = LiveMesh(_simulation(parsed), since=since, sources=parsed.sources)
    file = None if parsed.mesh in ("shop", "random") else MeshFile(Path(parsed.mesh))
    server = LiveServer(live, address=host or "127.0.0.1", port=int(port), file=file).start()
    print(f"{live.mesh.name}: {len(live.mesh.services)} simulated services at {server.url}/metrics", flush=True)
    try:
        while True:
            time.sleep(3600)
    finally:
        server.stop()


def _record(parsed: argparse.Namespace) -> None:
    from tqdm import tqdm  # noqa: PLC0415

    from tidecast_simulator.openmetrics import write_openmetrics  # noqa: PLC0415
    from tidecast_simulator.recording import Span, record  # noqa: PLC0415

    now = parsed.end if parsed.end is not None else int(time.time())
    now -= now % parsed.scrape_seconds
    start, end = now - round(parsed.days * 86_400), now + round(parsed.future_hours * 3600)
    start -= start % parsed.scrape_seconds
    if parsed.openmetrics:
        span = Span(start, end, parsed.scrape_seconds)
        files = write_openmetrics(_simulation(parsed), span, parsed.directory, sources=parsed.sources)
        count = sum(1 for _ in tqdm(files, desc="OpenMetrics", unit="files", total=(end - start) // 7200 + 1))
        print(f"{count} files in {parsed.directory}, from {start} to {end}")
        print(f"promtool tsdb create-blocks-from openmetrics {parsed.directory}/<file> <data directory>")
        return
    started = time.monotonic()
    record(
        _mesh(parsed),
        _load(parsed),
        start=start,
        end=end,
        directory=parsed.directory,
        scrape_seconds=parsed.scrape_seconds,
        tick_seconds=parsed.tick_seconds,
        seed=parsed.seed,
        sources=parsed.sources,
        progress=True,
    )
    print(f"recorded {start} to {end} into {parsed.directory} in {time.monotonic() - started:.1f} s")


def _apply(parsed: argparse.Namespace) -> None:
    from kubernetes import config  # noqa: PLC0415

    from tidecast_simulator.kubernetes_objects import apply, delete, objects_of  # noqa: PLC0415

    objects = objects_of(_mesh(parsed))
    with config.new_client_from_config(parsed.kubeconfig) as api:  # type: ignore[no-untyped-call]
        if parsed.delete:
            delete(objects, api)
        else:
            apply(objects, api)
    print(f"{'deleted' if parsed.delete else 'applied'} {len(objects)} objects")


def _truth(parsed: argparse.Namespace) -> None:
    from tidecast_simulator.datasets import to_npz  # noqa: PLC0415
    from tidecast_simulator.truth import call_rates  # noqa: PLC0415

    simulation = _simulation(parsed)
    end = parsed.end if parsed.end is not None else int(time.time()) // 60 * 60
    start = parsed.start if parsed.start is not None else end - 3600
    if parsed.npz:
        print(to_npz(simulation, parsed.npz, start=start, end=end))
        return
    for (caller, callee), rate in call_rates(simulation, start=start, end=end).items():
        print(f"{caller!s:45} {callee!s:45} {rate:12.4f}/s")
