"""
The predictor's command line: the one place that reads flags and puts everything together.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tidecast_contract.rpc.tls import TlsFiles
from tidecast_predictor.config import DAY_SECONDS, TrainingSettings
from tidecast_predictor.engine import Engine
from tidecast_predictor.evaluation.command import add_flags
from tidecast_predictor.retraining import Schedule
from tidecast_predictor.server import ServerSettings, serve

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    flags = _parser().parse_args(arguments)
    logging.basicConfig(
        level=flags.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    run: Callable[[argparse.Namespace], int] = flags.run
    return run(flags)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidecast-predictor", description="Forecasts all services of a cluster together, along the call graph."
    )
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    what = "answer forecasts over gRPC and train in the background"
    _add_serve(commands.add_parser("serve", help=what, formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    what = "measure methods against each other on recordings"
    add_flags(commands.add_parser("evaluate", help=what, formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    return parser


def _add_serve(command: argparse.ArgumentParser) -> None:
    server, training = ServerSettings(), TrainingSettings()
    add = command.add_argument
    add("--address", default=server.address, metavar="HOST:PORT", help="gRPC")
    add("--http-address", default=server.http_address, metavar="HOST:PORT", help="/healthz, /readyz and /metrics")
    what = "with tls.crt, tls.key and ca.crt, as in a Secret: clients must show a certificate; left out, no TLS"
    add("--tls-folder", type=Path, metavar="DIR", help=what)
    add("--data-dir", type=Path, metavar="DIR", help="for history and checkpoints; left out, both are gone at the end")
    add("--history-seconds", type=_positive, default=14 * DAY_SECONDS, help="older history is forgotten")
    add("--minimum-history-seconds", type=_positive, default=training.minimum_history_seconds, help="to train at all")
    add("--window-steps", type=_positive, default=training.window_steps, help="steps a forecast looks back on")
    add("--horizon-steps", type=_positive, default=training.horizon_steps, help="steps a forecast reaches ahead")
    add("--training-seconds", type=_positive, default=int(training.seconds), help="wall time of one training at most")
    add("--training-updates", type=_positive, help="optimiser steps of one training; left out, as the history is worth")
    add("--training-threads", type=_positive, help="CPU threads of a training; left out, half of the processors")
    add("--retrain-seconds", type=_positive, default=DAY_SECONDS, help="after a training until the next one")
    add("--device", help="cpu or cuda; left out, cuda where there is one")
    command.set_defaults(run=_serve)


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be positive, not {value}")
    return value


def _serve(flags: argparse.Namespace) -> int:
    training = TrainingSettings(
        minimum_history_seconds=flags.minimum_history_seconds,
        window_steps=flags.window_steps,
        horizon_steps=flags.horizon_steps,
        seconds=flags.training_seconds,
        updates=flags.training_updates,
        threads=flags.training_threads,
    )
    settings = ServerSettings(
        address=flags.address,
        http_address=flags.http_address,
        training=training,
        schedule=Schedule(retrain_seconds=flags.retrain_seconds),
        tls=None if flags.tls_folder is None else TlsFiles.in_folder(flags.tls_folder),
    )
    try:
        asyncio.run(serve(lambda: load(flags, training), settings))
    except Exception:
        logger.exception("the predictor cannot go on")
        return 1
    return 0


def load(flags: argparse.Namespace, training: TrainingSettings) -> Engine:
    """History, forecaster and trainer as *flags* say, warmed up; raises OSError when the data cannot be read."""
    # torch takes seconds to import: health is answered meanwhile, and --help does not wait for it.
    from tidecast_predictor.history import History  # noqa: PLC0415
    from tidecast_predictor.inference import Forecaster  # noqa: PLC0415
    from tidecast_predictor.training import Trainer  # noqa: PLC0415

    data: Path | None = flags.data_dir
    checkpoints = data / "checkpoints" if data else None
    history = History(data / "history" if data else None, limit_seconds=flags.history_seconds)
    forecaster = Forecaster(history, checkpoints, device=flags.device)
    engine = Engine(history, forecaster, Trainer(history, forecaster, checkpoints, training))
    engine.warm_up(training)
    return engine
