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

from tidecast_simulator.demo import charts, forecasts, scores, without_cluster
from tidecast_simulator.demo.progress import await_forecasts
from tidecast_simulator.demo.stage import HISTORY_SECONDS, PREDICTOR_ARGUMENTS, SCRAPE_SECONDS, Stage, set_up
from tidecast_simulator.demo.telling import command, heading
from tidecast_simulator.load import usual_load
from tidecast_simulator.shop import NAMESPACE, shop
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.control_plane import CommandFailed
from tidecast_simulator.testbed.process import NotReady
from tidecast_simulator.traffic import Simulation

_PANELS = 8
_DESCRIBED = "checkout"


def main() -> int:
    """Run the demo; its exit status."""
    flags = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    runtime = flags.directory / "run"
    shutil.rmtree(runtime, ignore_errors=True)
    runtime.mkdir(parents=True)
    started = time.monotonic()
    try:
        if reason := binaries.why_missing():
            _run_without_cluster(flags.directory, reason)
        else:
            _run(flags.directory, keep=flags.keep)
    except KeyboardInterrupt:
        print("\n  Stopped; everything that was started has ended.")
        return 130
    except (NotReady, CommandFailed) as problem:
        print(f"\n  The demo cannot go on: {problem}\n  Logs are in {runtime}.", file=sys.stderr)
        return 1
    print(f"\n  {time.monotonic() - started:.0f} s in all; the logs are in {runtime}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("out/demo"), help="for pictures and logs")
    parser.add_argument("--keep", action="store_true", help="keep all running until Ctrl-C, to look around")
    return parser


def _run(directory: Path, *, keep: bool) -> None:
    """The demo on real components; with *keep* it goes on until it is interrupted."""
    heading(
        "Tidecast on a real API server and a real Prometheus, with the SIMULATED traffic of a shop of 20 services\n"
    )
    with ExitStack() as stack:
        stage = set_up(shop(), directory / "run", stack)
        reason = await_forecasts(stage.world)
        _show_resources(stage)
        resources = stage.world.get("spf", "-A")["items"]
        spoken = forecasts.read_forecasts(resources)
        measured = _measure(stage, spoken)
        _show_scores(spoken, measured, reason)
        _draw(directory, forecasts.read_calls(resources), spoken, measured)
        if keep:
            _keep(stage)


def _run_without_cluster(directory: Path, reason: str) -> None:
    heading("Tidecast's predictor with the SIMULATED traffic of a shop of 20 services\n")
    print(f"  This host cannot have a real API server and Prometheus: {reason}.")
    print("  The simulator stands in for both: it hands its measurements to the predictor directly. Discovery,")
    print("  telemetry and custom resources are not shown.\n")
    simulation = Simulation(shop(), usual_load())
    answer, why = without_cluster.forecast(
        simulation, directory / "run", history_seconds=HISTORY_SECONDS, arguments=PREDICTOR_ARGUMENTS
    )
    spoken = without_cluster.request_forecasts(answer)
    measured = without_cluster.measured_of(simulation, answer)
    _show_scores(spoken, measured, why)
    _draw(directory, without_cluster.calls_of(simulation, answer), spoken, measured)


def _show_resources(stage: Stage) -> None:
    heading("What kubectl shows")
    described = f"describe spf {_DESCRIBED} -n {NAMESPACE}"
    for arguments in (described, "get spf -A", "get fcst"):
        command(arguments, stage.world.kubectl(*arguments.split()))


def _show_scores(spoken: Sequence[forecasts.RequestForecast], measured: forecasts.Measured, reason: str) -> None:
    heading("The same forecasts against what came true (simulated traffic)")
    print(f"\n  Who spoke: {', '.join(f'{name} {count}x' for name, count in forecasts.methods(spoken).items())}")
    print(f"  Why: {reason}")
    print("\n  Error of the requests per second, as a part of what was measured, over all services; one moment only:\n")
    print(_indented(scores.as_table([scores.score(spoken, measured, minutes=minutes) for minutes in (15, 30)])))
    print(f"\n  {scores.coverage(spoken, measured):.0%} of what came true lies between p10 and p90; 80 % should.")


def _draw(
    directory: Path,
    calls: Sequence[forecasts.DiscoveredCall],
    spoken: Sequence[forecasts.RequestForecast],
    measured: forecasts.Measured,
) -> None:
    graph, panels = directory / "service-graph.png", directory / "forecasts.png"
    charts.draw_graph(calls, graph, title=f"The service graph: who calls whom, {len(calls)} calls (simulated traffic)")
    charts.draw_forecasts(_spread(spoken, measured), measured, panels)
    print(f"\n  {graph}: the service graph\n  {panels}: forecasts with their bands and what came true")


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
