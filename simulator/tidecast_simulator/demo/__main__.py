"""
`make demo`: sets the stage, waits for forecasts, shows what kubectl shows, and draws two pictures.
"""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tidecast_simulator.demo import charts, forecasts, scores
from tidecast_simulator.demo.progress import await_forecasts
from tidecast_simulator.demo.stage import SCRAPE_SECONDS, Stage, set_up
from tidecast_simulator.demo.telling import command, heading
from tidecast_simulator.shop import NAMESPACE, shop
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.process import NotReady

_PANELS = 8
_DESCRIBED = "checkout"


def main() -> int:
    """Run the demo; its exit status."""
    flags = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if reason := binaries.why_missing():
        print(f"This host cannot have a real control plane: {reason}", file=sys.stderr)
        return 1
    try:
        run(flags.directory, keep=flags.keep)
    except KeyboardInterrupt:
        print("\n  stopped; everything that was started has ended.")
        return 130
    except NotReady as problem:
        print(f"\n  The demo cannot go on: {problem}\n  Logs are in {flags.directory / 'run'}.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("out/demo"), help="for pictures and logs")
    parser.add_argument("--keep", action="store_true", help="keep all running until Ctrl-C, to look around")
    return parser


def run(directory: Path, *, keep: bool = False) -> None:
    """The whole demo, with its files below *directory*; with *keep* it goes on until it is interrupted."""
    started = time.monotonic()
    runtime = directory / "run"
    shutil.rmtree(runtime, ignore_errors=True)
    runtime.mkdir(parents=True)
    heading("Tidecast on a real API server and a real Prometheus, with the SIMULATED traffic of a shop of 20 services")
    print()
    with ExitStack() as stack:
        stage = set_up(shop(), runtime, stack)
        reason = await_forecasts(stage.world)
        _show_resources(stage)
        _show_scores(stage, directory, reason)
        print(f"\n  {time.monotonic() - started:.0f} s in all; the logs are in {runtime}.")
        if keep:
            _keep(stage)


def _show_resources(stage: Stage) -> None:
    heading("What kubectl shows")
    described = f"describe spf {_DESCRIBED} -n {NAMESPACE}"
    for arguments in ("get spf -A", "get fcst", described):
        command(arguments, stage.world.kubectl(*arguments.split()))


def _show_scores(stage: Stage, directory: Path, reason: str) -> None:
    resources = stage.world.get("spf", "-A")["items"]
    spoken = forecasts.read_forecasts(resources)
    measured = _measure(stage, spoken)
    heading("The same forecasts against what came true in Prometheus (simulated traffic)")
    print(f"\n  Who spoke: {', '.join(f'{name} {count}x' for name, count in forecasts.methods(spoken).items())}")
    print(f"  Why: {reason}")
    print("\n  Error of the requests per second, as a part of what was measured, over all services; one moment only:\n")
    print(_indented(scores.as_table([scores.score(spoken, measured, minutes=minutes) for minutes in (15, 30)])))
    print(f"\n  {scores.coverage(spoken, measured):.0%} of what came true lies between p10 and p90; 80 % should.")
    graph, panels = directory / "service-graph.png", directory / "forecasts.png"
    calls = forecasts.read_calls(resources)
    charts.draw_graph(calls, graph, title=f"The service graph that Tidecast discovered: {len(calls)} calls (simulated)")
    charts.draw_forecasts(_spread(spoken, measured), measured, panels)
    print(f"\n  {graph}: the discovered service graph\n  {panels}: forecasts with their bands and what came true")


def _measure(stage: Stage, spoken: Sequence[forecasts.RequestForecast]) -> forecasts.Measured:
    first = int(min(forecast.issued_time for forecast in spoken))
    last = int(max(forecast.times[-1] for forecast in spoken))
    start = (first - forecasts.DAY_SECONDS) // 60 * 60
    return forecasts.measure(stage.prometheus, NAMESPACE, start=start, end=last, range_seconds=3 * SCRAPE_SECONDS)


def _spread(
    spoken: Sequence[forecasts.RequestForecast], measured: forecasts.Measured
) -> list[forecasts.RequestForecast]:
    """A few forecasts for the picture, evenly spread from the busiest service to the quietest: no chosen ones."""
    ranked = sorted(spoken, key=lambda forecast: -measured.at(forecast.name, forecast.issued_time))
    count = min(_PANELS, len(ranked))
    return [ranked[round(index * (len(ranked) - 1) / max(count - 1, 1))] for index in range(count)]


def _keep(stage: Stage) -> None:
    print(f"\n  Still running. Look around with:\n\n  export KUBECONFIG={stage.world.control_plane.kubeconfig}")
    print(f"  Prometheus: {stage.prometheus.url}\n\n  Ctrl-C ends everything.")
    while True:
        time.sleep(1)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
