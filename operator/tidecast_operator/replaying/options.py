"""
The flags of `tidecast replay`, checked: every error names the flag and what to write instead.
"""

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tidecast_contract.rpc.tls import TlsFiles
from tidecast_operator.errors import Misconfigured
from tidecast_operator.predictor_client import PredictorClient
from tidecast_operator.replaying.forecasting import METHODS
from tidecast_operator.scaling import SIGNALS
from tidecast_operator.telemetry.prometheus import Connection

EARNED, ALWAYS = "earned", "always"
DEFAULT_TARGET = 0.7
_AGO = re.compile(r"(\d+(?:\.\d+)?)([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_TIME = "a time as in 2026-11-20T08:00Z, unix seconds, or so long before the end of the data, as in 3d or 12h"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Says what the command understands."""
    what = parser.add_argument_group("what is replayed")
    source = what.add_mutually_exclusive_group(required=True)
    source.add_argument("--prometheus", metavar="URL", help="what it holds")
    source.add_argument("--recording", type=Path, metavar="FILE.npz", help="a file; docs/evaluation.md has the form")
    what.add_argument(
        "--from", dest="begin", metavar="TIME", help=f"{_TIME}; left out: 3d, of a file its second day on"
    )
    what.add_argument("--to", dest="end", metavar="TIME", help="the same; left out: now, of a file its end")
    what.add_argument("--namespace", default="", help="of the workloads; left out: all")
    what.add_argument("--name", default="", help="of one workload or ServicePerformanceForecast; left out: all")
    what.add_argument("--objects", type=Path, metavar="FILE.json", help="the cluster's objects, as kubectl writes them")
    _add_forecasts(parser.add_argument_group("forecasts and trust"))
    _add_scaling(parser.add_argument_group("hints; left out: as in the ServicePerformanceForecast, or its defaults"))
    _add_autoscaler(parser.add_argument_group("autoscaler and pods"))
    _add_prometheus(parser.add_argument_group("how Prometheus is asked"))
    told = parser.add_argument_group("what is told")
    told.add_argument("--out", type=Path, metavar="DIR", help="for replay.json, replay.md and pictures")
    told.add_argument("--rows", type=_whole("--rows", 1), default=20, help="workloads in the table and its order")


def _add_forecasts(group: Any) -> None:
    source = group.add_mutually_exclusive_group()
    source.add_argument("--predictor", metavar="HOST:PORT", help="the running predictor is asked at every step")
    group.add_argument(
        "--predictor-tls-folder", type=Path, metavar="DIR", help="with tls.crt, tls.key and ca.crt; left out: no TLS"
    )
    group.add_argument(
        "--predictor-tls-name", metavar="HOST", help="that its certificate is for; left out: the host of --predictor"
    )
    source.add_argument("--forecasts", choices=[*METHODS], help="without a predictor; left out: seasonal-naive")
    group.add_argument("--trust", choices=[EARNED, ALWAYS], default=EARNED, help="whether hints have to be trusted")
    group.add_argument("--warm-up-hours", type=_number("--warm-up-hours", 0), default=24.0, help="before --from")
    group.add_argument("--window-steps", type=_whole("--window-steps", 2), default=60, help="as in the Forecaster")
    group.add_argument("--horizon-steps", type=_whole("--horizon-steps", 1), default=30, help="as in the Forecaster")


def _add_scaling(group: Any) -> None:
    group.add_argument("--signal", choices=[*SIGNALS], help="what replicas are derived from")
    group.add_argument("--per-replica", help="what one ready replica carries; left out: learned")
    group.add_argument("--quantile", help="of the forecast")
    group.add_argument(
        "--lead-time-seconds", type=_whole("--lead-time-seconds", 0), help="from a decision to a ready pod"
    )
    both = "of the autoscaler as well, also of a HorizontalPodAutoscaler in --objects"
    group.add_argument("--min-replicas", type=_whole("--min-replicas", 1), help=both)
    group.add_argument("--max-replicas", type=_whole("--max-replicas", 1), help=both)


def _add_autoscaler(group: Any) -> None:
    whole = _whole("--startup-seconds", 0)
    group.add_argument(
        "--target",
        type=_number("--target", 0.01, 1),
        help="share of what a replica carries; left out: as in its HorizontalPodAutoscaler in --objects, or "
        f"{DEFAULT_TARGET}",
    )
    group.add_argument("--startup-seconds", type=whole, default=90, help="until a new pod is ready")
    delay = _whole("--metric-delay-seconds", 0)
    group.add_argument("--metric-delay-seconds", type=delay, default=30, help="how old the load is that it sees")


def _add_prometheus(group: Any) -> None:
    step, seconds = _whole("--step-seconds", 5), _whole("--timeout-seconds", 1)
    group.add_argument("--step-seconds", type=step, default=60, help="as in the Forecaster; a file has its own")
    group.add_argument("--timeout-seconds", type=seconds, default=30, help="for one query")
    group.add_argument("--sources", default="Auto", metavar="A,B", help="telemetry, in order of preference")
    group.add_argument("--header", action="append", default=[], metavar="NAME: VALUE", help="sent along")
    group.add_argument("--bearer-token-file", type=Path, metavar="FILE", help="holds the token")
    group.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to trust")


def scaling_of(flags: argparse.Namespace) -> Mapping[str, Any]:
    """The fields of `spec.scaling` that were given."""
    given = {
        "signal": flags.signal,
        "perReplica": flags.per_replica,
        "quantile": flags.quantile,
        "leadTimeSeconds": flags.lead_time_seconds,
        "minReplicas": flags.min_replicas,
        "maxReplicas": flags.max_replicas,
    }
    return {name: value for name, value in given.items() if value is not None}


def connection_of(flags: argparse.Namespace) -> Connection:
    """
    How Prometheus is reached.

    Raises:
        Misconfigured: If a header is none, or the token cannot be read.
    """
    headers = {}
    for header in flags.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise Misconfigured("--header", f"{header!r} is no header", "write it as in 'X-Scope-OrgID: team'")
        headers[name.strip()] = value.strip()
    if flags.ca_file is not None and not flags.ca_file.is_file():
        raise Misconfigured("--ca-file", f"{flags.ca_file} is not there", "name a file with PEM certificates")
    return Connection(
        url=flags.prometheus,
        timeout_seconds=flags.timeout_seconds,
        headers=headers,
        bearer_token=_token(flags.bearer_token_file),
        ca_file=flags.ca_file,
    )


def predictor_of(flags: argparse.Namespace, *, timeout_seconds: float) -> PredictorClient | None:
    """
    The predictor, not connected yet; None if none is to be asked.

    Raises:
        Misconfigured: If its address is not host and port, or flags do not fit together.
    """
    folder, name = flags.predictor_tls_folder, flags.predictor_tls_name
    if name is not None and folder is None:
        raise Misconfigured("--predictor-tls-folder", "is missing", "give it with --predictor-tls-name")
    if folder is not None and flags.predictor is None:
        raise Misconfigured("--predictor", "is missing", "give it with --predictor-tls-folder")
    if flags.predictor is None:
        return None
    tls = None if folder is None else TlsFiles.in_folder(folder)
    return PredictorClient(_predictor_address(flags), timeout_seconds=timeout_seconds, tls=tls, tls_name=name)


def _predictor_address(flags: argparse.Namespace) -> str:
    host, _, port = flags.predictor.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise Misconfigured("--predictor", f"{flags.predictor!r} is not host and port", "write it as in localhost:8500")
    return str(flags.predictor)


@dataclass(frozen=True, slots=True)
class Span:
    """
    What counts, in unix seconds.

    Attributes:
        begin: From when on; None where nothing was said.
        end: Until when; None where nothing was said.
    """

    begin: int | None
    end: int | None


def span_of(flags: argparse.Namespace, *, now: int, data_end: int) -> Span:
    """
    The span that the flags name.

    Args:
        flags: As they were parsed.
        now: Unix seconds.
        data_end: When the data end, unix seconds.

    Raises:
        Misconfigured: If a time is none, or the end lies before the beginning.
    """
    begin = None if flags.begin is None else _moment("--from", flags.begin, now=now, end=data_end)
    end = None if flags.end is None else _moment("--to", flags.end, now=now, end=data_end)
    if begin is not None and begin >= (data_end if end is None else end):
        raise Misconfigured("--from", f"{flags.begin} does not lie before --to", "write an earlier time")
    return Span(begin, end)


def _moment(flag: str, text: str, *, now: int, end: int) -> int:
    ago = _AGO.fullmatch(text)
    if ago:
        return int(end - float(ago[1]) * _SECONDS[ago[2]])
    if text == "now":
        return now
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(flag, f"{text!r} is no time", f"write {_TIME}") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            "--bearer-token-file", f"{path} cannot be read", "name a file that holds the token"
        ) from error


def _whole(flag: str, least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"{text!r} is out of range; write a whole number from {least} on as {flag}"
            )
        return int(text)

    return parse


def _number(flag: str, least: float, most: float = float("inf")) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not least <= number <= most or number == float("inf"):
            upper = "on" if most == float("inf") else f"to {most:g}"
            raise argparse.ArgumentTypeError(
                f"{text!r} is out of range; write a number from {least:g} {upper} as {flag}"
            )
        return number

    return parse
