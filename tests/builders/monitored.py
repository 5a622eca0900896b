"""
What Prometheus has of a release after some time: expositions of the project's own code, minute after minute, with the
labels of their targets as a scrape with honor_labels adds them.
"""

import asyncio
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from builders.engines import FakeForecaster, engine
from builders.gauges import STEP, Clock, board, facts, floors, forecast, measured, services, skills
from builders.hints import entry
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_operator.condition_gauges import ConditionGauges
from tidecast_operator.hints.board import Entry
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.scaling import Mode, Scaling
from tidecast_predictor.engine import LateEngine
from tidecast_predictor.metrics import Metrics
from tidecast_simulator.testbed import binaries

MINUTES = 45
KNOWN = (ServiceId("shop", "Deployment", "checkout"), *services(2))
OPERATOR = {"namespace": "tidecast-system", "job": "tidecast-operator", "instance": "10.0.0.1:8080"}
STANDBY = OPERATOR | {"instance": "10.0.0.2:8080"}
PREDICTOR = {"namespace": "tidecast-system", "job": "tidecast-predictor", "instance": "10.0.0.3:8501"}
SAID = (
    ("Ready", "False", "Misconfigured"),
    ("PrometheusReachable", "False", "Misconfigured"),
    ("TelemetryFound", "Unknown", "NotObserved"),
    ("ModelReady", "True", "ModelTrained"),
)
"""Type, status and reason of conditions of the Forecaster, one of each status at least."""

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="')


def entries(now: int) -> tuple[Entry, ...]:
    """An offered hint, one that is wanted and withheld, and a preview."""
    times = {"issued_time": now - 60, "expire_time": now + 540}
    withheld = {"target": KNOWN[1], "withheld": "NotTrusted: its forecasts do not err less."}
    return (
        entry(**times),
        entry(name="service-0", **withheld, **times),
        entry(name="service-1", target=KNOWN[2], scaling=Scaling(mode=Mode.PREVIEW), withheld="Preview", **times),
    )


class Release:
    """
    Two replicas of the operator and a predictor.

    Attributes:
        now: Unix seconds.
    """

    def __init__(self, now: int, late: LateEngine) -> None:
        self.now = now
        self._clock = Clock(now)
        self._gauges = Gauges(clock=self._clock)
        self._conditions = ConditionGauges(leads=lambda: True)
        self._leader, self._standby = SelfMetrics(), SelfMetrics()
        self._predictor = Metrics(late)

    @classmethod
    async def begin(cls, now: int) -> "Release":
        """With a predictor that serves a trained model."""
        model = ModelInfo(ModelKind.GCN_GRU, "v1", trained_time=now - 3600, error=1.0, naive_error=2.0)
        late = LateEngine(lambda: engine(forecaster=FakeForecaster(model)))
        await late.load()
        return cls(now, late)

    def cycle(self) -> None:
        """A step goes by, with all that is told of it."""
        self.now += STEP
        self._clock.now = self.now
        self._gauges.show(
            facts(
                board=board(*entries(self.now)),
                forecast=replace(forecast(KNOWN), issued_time=self.now),
                expire_time=self.now + 540,
                skills=skills(KNOWN),
                trusted={("shop", "checkout"): True, ("shop", "service-0"): False},
                measured=measured(KNOWN, end_time=self.now),
            )
        )
        self._gauges.show_floors(floors(forced_time=self.now - 60))
        self._conditions.told(
            {"conditions": [dict(zip(("type", "status", "reason"), one, strict=True)) for one in SAID]}
        )
        self._count(self._leader, "Forecast", leads=True)
        self._count(self._standby, "Standby", leads=False)
        self._predictor.count_inference(code="OK", seconds=0.2)
        self._predictor.observe_batch(len(KNOWN))

    def scrape(self) -> Iterator[tuple[Mapping[str, str], str]]:
        """What each target tells, with the labels of the target."""
        yield OPERATOR, b"".join(told.exposition() for told in (self._leader, self._gauges, self._conditions)).decode()
        yield STANDBY, self._standby.exposition().decode()
        yield PREDICTOR, self._predictor.text().decode()

    def _count(self, metrics: SelfMetrics, outcome: str, *, leads: bool) -> None:
        metrics.cycles.labels(outcome).inc()
        metrics.leader.set(leads)
        metrics.last_cycle.set(self.now)
        if not leads:
            return
        for stage in ("observe", "predict", "write"):
            metrics.stage_seconds.labels(stage).observe(0.5)
        metrics.writes.labels("done").inc(3)
        metrics.queries.inc(9)
        metrics.services.set(len(KNOWN))
        metrics.calls.set(2)
        metrics.unattributed.set(1.5)
        metrics.missing_ratio.set(0.01)
        metrics.forecasts.set(len(KNOWN))
        metrics.history_progress.set(0.4)


def recorded(folder: Path, end: int) -> Path:
    """
    A storage with the blocks of a release that ran until *end*, unix seconds.

    Raises:
        CalledProcessError: If promtool does not take a series.
    """
    release = asyncio.run(Release.begin(end - MINUTES * STEP))
    lines: dict[str, list[str]] = {}
    for _ in range(MINUTES):
        release.cycle()
        for target, text in release.scrape():
            for name, line in _samples(text, target):
                lines.setdefault(name, []).append(f"{line} {release.now}")
    told, storage = folder / "told.txt", folder / "storage"
    told.write_text("".join(f"{line}\n" for name in lines for line in lines[name]) + "# EOF\n")
    subprocess.run(
        [binaries.find("promtool"), "tsdb", "create-blocks-from", "openmetrics", told, storage],
        check=True,
        capture_output=True,
        text=True,
    )
    return storage


def _samples(text: str, target: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for sample in filter(None, (_SAMPLE.match(line) for line in text.splitlines())):
        name, labels, value = sample.groups()
        told = set(_LABEL.findall(labels or ""))
        added = [f'{key}="{text}"' for key, text in target.items() if key not in told]
        yield name, f"{name}{{{','.join(filter(None, (labels, *added)))}}} {value}"
