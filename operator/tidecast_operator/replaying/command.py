"""
The command `tidecast replay`: its progress, what it leaves behind, and what becomes of its errors.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.forecast import ModelInfo
from tidecast_operator.errors import TidecastError
from tidecast_operator.predictor_client import PredictorClient
from tidecast_operator.replaying import npz_reading
from tidecast_operator.replaying.candidates import Asked, Subject, choose
from tidecast_operator.replaying.cluster_reading import Objects, read_objects
from tidecast_operator.replaying.fetching import Progress, fetch
from tidecast_operator.replaying.forecasting import MethodForecasts
from tidecast_operator.replaying.notes import notes_of
from tidecast_operator.replaying.options import Span, add_flags, connection_of, predictor_of, scaling_of
from tidecast_operator.replaying.planning import Fetch, plan_of, span_within
from tidecast_operator.replaying.predictor_forecasts import PredictorForecasts
from tidecast_operator.replaying.recording import Recording
from tidecast_operator.replaying.replay import Outcome, Plan, replay
from tidecast_operator.replaying.report import Report, ranked, rows_of
from tidecast_operator.telemetry.collector import Collector
from tidecast_operator.telemetry.prometheus import Prometheus

_DEFAULT_METHOD = "seasonal-naive"
_PREDICTOR_TIMEOUT_SECONDS = 60.0
_PANELS = 6
_UNUSABLE, _INTERRUPTED = 2, 130  # exit statuses; the second as a shell says it
_EVERY_SECONDS = 2.0
_FLAGS = {
    "spec.prometheus.authSecretRef": "--bearer-token-file",
    "spec.prometheus.url": "--prometheus",
    "spec.prometheus.caBundle": "--ca-file",
    "spec.prometheus.timeoutSeconds": "--timeout-seconds",
    "spec.telemetry.sources": "--sources",
}


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command to those of a program; its default `run` takes the flags and answers the exit status."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "replay",
        help="what hints would have done in the last days, beside a HorizontalPodAutoscaler alone",
        description="Says what hints would have done in the last days, beside a HorizontalPodAutoscaler alone on the same "
        "load. It writes to no cluster.",
    )
    add_flags(parser)
    parser.set_defaults(run=run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command by itself; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tidecast")
    add_parser(parser.add_subparsers(required=True, metavar="COMMAND"))
    flags = parser.parse_args(arguments)
    return int(flags.run(flags))


def run(flags: argparse.Namespace) -> int:
    """Runs the command; its exit status: 2 if nothing could be done, 130 if interrupted."""
    logging.basicConfig(stream=sys.stderr, level="WARNING", format="%(levelname)s %(message)s")
    try:
        draw = _drawing() if flags.out is not None else None
        report, drawn = asyncio.run(_replayed(flags))
    except (TidecastError, ContractMismatch) as error:
        _tell(f"tidecast replay: {_in_flags(str(error))}\n")
        return _UNUSABLE
    except KeyboardInterrupt:
        _tell("\ntidecast replay: interrupted\n")
        return _INTERRUPTED
    sys.stdout.write(report.markdown(most=flags.rows))
    try:
        if flags.out is not None:
            _leave(report, drawn, flags.out, draw)
    except OSError as error:
        _tell(f"tidecast replay: --out: {error}; name a folder that can be written\n")
        return _UNUSABLE
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """What pictures are made of."""

    subject: Subject
    outcome: Outcome
    span: tuple[int, int]


async def _replayed(flags: argparse.Namespace) -> tuple[Report, _Drawn]:
    with tempfile.TemporaryDirectory(prefix="tidecast-replay-") as folder:
        objects = None if flags.objects is None else read_objects(flags.objects)
        client = predictor_of(flags, timeout_seconds=_PREDICTOR_TIMEOUT_SECONDS)
        recording, counted = await asyncio.to_thread(_recorded, flags, objects, Path(folder))
        plan = plan_of(flags, recording, counted)
        asked = Asked(flags.namespace, flags.name, scaling_of(flags), target=flags.target)
        if objects is not None:
            asked = replace(asked, resources=objects.resources, autoscalers=objects.autoscalers)
        chosen = await asyncio.to_thread(choose, recording, asked)
        subject = Subject.of(recording, chosen.each)
        outcome, model = await _forecast_and_replay(flags, client, subject, plan)
        method = _method(flags)
        total, rows = rows_of(outcome, subject.candidates)
        span = recording.time_of(plan.first - 1), recording.time_of(plan.last)
        report = Report(
            begin_time=span[0],
            end_time=span[1],
            source=recording.name,
            notes=notes_of(subject, outcome, plan, method=method, model=model),
            settings=_settings(flags, recording, plan, model),
            total=total,
            rows=rows,
            left_out=chosen.left_out,
        )
        return report, _Drawn(subject, outcome, span)


async def _forecast_and_replay(
    flags: argparse.Namespace, client: PredictorClient | None, subject: Subject, plan: Plan
) -> tuple[Outcome, ModelInfo | None]:
    teller = Teller("replay")
    if client is None:
        forecasts = MethodForecasts(_method(flags), subject)
        return await replay(subject, forecasts, plan, teller.tell), None
    try:
        model = (await client.status()).model
        asking = PredictorForecasts(
            client,
            subject,
            last_step=plan.last,
            window_steps=flags.window_steps,
            horizon_steps=flags.horizon_steps,
        )
        try:
            return await replay(subject, asking, plan, teller.tell), model
        finally:
            await asking.close()
    finally:
        await client.close()


def _recorded(flags: argparse.Namespace, objects: Objects | None, folder: Path) -> tuple[Recording, Span]:
    """What was measured, and what of it counts."""
    if flags.recording is not None:
        recording = npz_reading.read(flags.recording)
        return recording, span_within(flags, recording)
    wanted = Fetch.until_now(flags, needs_day_before=_method(flags) == _DEFAULT_METHOD)
    prometheus = Prometheus(connection_of(flags))
    try:
        collector = Collector(prometheus, tuple(flags.sources.split(",")))
        workloads = None if objects is None else objects.workloads
        return fetch(collector, wanted.grid, folder, workloads=workloads, tell=Teller("fetch").tell), wanted.span
    finally:
        prometheus.close()


def _method(flags: argparse.Namespace) -> str:
    """Where forecasts come from; empty for the predictor."""
    return "" if flags.predictor is not None else flags.forecasts or _DEFAULT_METHOD


def _settings(flags: argparse.Namespace, recording: Recording, plan: Plan, model: ModelInfo | None) -> dict[str, Any]:
    predictor = None if model is None else {"kind": model.kind.value, "version": model.version}
    return {
        "forecasts": _method(flags) if model is None else "predictor",
        **({} if predictor is None else {"model": predictor}),
        "trust": flags.trust,
        "stepSeconds": recording.step_seconds,
        "windowSteps": flags.window_steps,
        "target": plan.target,
        "startupSeconds": flags.startup_seconds,
        "metricDelaySeconds": flags.metric_delay_seconds,
        "scaling": dict(scaling_of(flags)),
    }


def _drawing() -> Callable[..., list[Path]]:
    try:
        from tidecast_operator.replaying.picture import draw  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        return _without_picture
    return draw


def _without_picture(*_: Any) -> list[Path]:
    _tell("tidecast replay: no picture: matplotlib is missing; install 'tidecast[replay]', or do without\n")
    return []


def _leave(report: Report, drawn: _Drawn, folder: Path, draw: Callable[..., list[Path]] | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "replay.json", folder / "replay.md"]
    paths[0].write_text(report.json())
    paths[1].write_text(report.markdown())
    if draw is not None:
        places = ranked(drawn.outcome)[:_PANELS]
        paths += draw(drawn.outcome.trace, drawn.subject.candidates, places, drawn.span, folder)
    _tell("".join(f"{path}\n" for path in paths))


def _in_flags(text: str) -> str:
    for name, flag in _FLAGS.items():
        text = text.replace(name, flag)
    return text


def _tell(text: str) -> None:
    with suppress(BrokenPipeError):
        sys.stderr.write(text)
        sys.stderr.flush()


@dataclass(slots=True)
class Teller:
    """
    Says on standard error how far something has come: one line that is written over on a terminal, else few lines.

    Attributes:
        what: It is.
    """

    what: str
    _began: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)

    def tell(self, progress: Progress) -> None:
        """So far it has come."""
        now, is_terminal = time.monotonic(), sys.stderr.isatty()
        is_done = progress.done >= progress.total
        pause = _EVERY_SECONDS if is_terminal else 15 * _EVERY_SECONDS
        if now - self._told < pause and not is_done:
            return
        self._told = now
        left = (now - self._began) / max(1, progress.done) * (progress.total - progress.done)
        share = progress.done / max(1, progress.total)
        line = f"{self.what}: {progress.done} of {progress.total} steps, {share:.0%}, {left / 60:.0f} min left"
        end = "\n" if is_done or not is_terminal else "\r"
        _tell(f"{line}   {end}" if is_terminal else f"{line}{end}")
