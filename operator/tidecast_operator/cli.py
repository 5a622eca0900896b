"""
`tidecast-operator`: flags in, one process out.
"""

import argparse
import asyncio
import logging
import math
import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tidecast_operator import hook_commands, running, serving, watching
from tidecast_operator.autoscalers import Autoscalers
from tidecast_operator.certificates import wanted
from tidecast_operator.cluster import load_configuration
from tidecast_operator.errors import Misconfigured
from tidecast_operator.outlets.floors.floors import Floors
from tidecast_operator.outlets.gauges.gauges import SERVICES_LIMIT

_log = logging.getLogger(__name__)
_OWN_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; returns the exit status."""
    options = _parser().parse_args(arguments)
    _log_to_stderr(options.log_level)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except Misconfigured as error:
        _log.error("%s", error)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tidecast-operator", description="Forecasts every service of a cluster.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run until told to stop")
    _add_common(run)
    run.add_argument("--http-address", default="127.0.0.1:8080", help="for /healthz, /readyz and /metrics")
    run.add_argument("--namespace", default=_own_namespace(), help="of the Lease that one replica holds")
    run.add_argument("--identity", default=_own_identity(), help="unique among the replicas")
    run.add_argument("--state-folder", type=Path, help="keeps what came of past forecasts over a restart")
    run.add_argument(
        "--metrics-services-limit", type=int, default=SERVICES_LIMIT, help="forecasts of so many are in /metrics"
    )
    run.add_argument("--hpa-floors", action="store_true", help="raise floors of HorizontalPodAutoscalers as specs ask")
    watching.add_flags(run)
    serving.add_flags(run)
    wanted.add_flags(run)
    run.set_defaults(command=lambda options: asyncio.run(running.run(options)) or 0)
    serve = commands.add_parser("serve", help="only answer autoscalers, with what the leading replica knows")
    _add_common(serve)
    serve.add_argument("--http-address", default="127.0.0.1:8080", help="for /healthz and /readyz")
    serving.add_flags(serve)
    serve.set_defaults(command=lambda options: asyncio.run(running.serve(options)) or 0)
    clean_up = commands.add_parser("clean-up", help="prepare for being taken away, and end")
    _add_common(clean_up)
    hook_commands.add_clean_up(clean_up, own_namespace=_own_namespace())
    check = commands.add_parser("check", help="say what works and what does not, and end")
    _add_common(check)
    hook_commands.add_check(check, own_namespace=_own_namespace())
    release = commands.add_parser("release-floors", help="give every raised floor back, and end")
    _add_common(release)
    release.add_argument("--namespace", action="append", default=[], help="only there; can be given several times")
    release.set_defaults(command=_release_floors)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", type=Path, help="default: the pod's service account, else the user's own")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])


def _release_floors(options: argparse.Namespace) -> int:
    autoscalers = Autoscalers(load_configuration(options.kubeconfig))
    try:
        report = Floors(autoscalers, may_write=lambda: True, budget_seconds=math.inf).release_all(options.namespace)
    finally:
        autoscalers.close()
    _log.info("floors given back: %d, left: %d", report.restored, report.left)
    for problem in report.problems:
        _log.log(logging.ERROR if problem.is_final else logging.WARNING, "%s", problem.message)
    if report.error is not None:
        _log.error("not all floors were looked at: %s", report.error)
    return 0 if report.is_complete and not report.lost else 1


def _own_namespace() -> str:
    return _OWN_NAMESPACE_FILE.read_text().strip() if _OWN_NAMESPACE_FILE.exists() else "tidecast-system"


def _own_identity() -> str:
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{secrets.token_hex(3)}"


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    # kopf reports every single event that it has passed on, and that signals are left to us.
    for name in ("kopf.objects", "kopf.activities", "kopf._core.engines.activities", "kopf._core.reactor.running"):
        logging.getLogger(name).setLevel(max(logging.ERROR, logging.getLevelName(level)))
