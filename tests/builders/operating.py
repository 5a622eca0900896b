"""
What the operator core is tested with: objects as the API server sends them, and doubles of all it talks to.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from builders.snapshots import MIDDAY
from builders.telemetry import calls, series, traffic, workload_body, workload_peer
from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus, PredictorStatus, TrainingState, TrainingStatus
from tidecast_operator.api_answers import Outcome
from tidecast_operator.cycle import Cycle
from tidecast_operator.doors import Collectors
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.outlets.outlets import Outlets
from tidecast_operator.picture import Picture
from tidecast_operator.publishing.publisher import Publisher
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.publishing.writer import Writer, Writes
from tidecast_operator.settings import Settings
from tidecast_operator.telemetry.observations import Observations

STEP = 60
SHOP_LABELS = {"tidecast.dev/forecast": "enabled"}


def forecaster_spec(**changes: Any) -> dict[str, Any]:
    """A valid spec that selects the namespace shop."""
    valid = {
        "prometheus": {"url": "http://prometheus:9090"},
        "predictor": {"address": "predictor:8500"},
        "namespaceSelector": {"matchLabels": SHOP_LABELS},
        "windowSteps": 3,
        "horizonSteps": 4,
        "training": {"historySeconds": 3600, "minimumHistorySeconds": 600},
    }
    return valid | changes


def forecaster_body(name: str = "default", *, generation: int = 1, **changes: Any) -> dict[str, Any]:
    """A Forecaster as the API server sends it."""
    return {
        "apiVersion": "tidecast.dev/v1alpha1",
        "kind": "Forecaster",
        "metadata": {"name": name, "uid": f"uid-of-{name}", "generation": generation},
        "spec": forecaster_spec(**changes),
    }


def forecast_body(name: str = "checkout", **changes: Any) -> dict[str, Any]:
    """A ServicePerformanceForecast that a user wrote, as the API server sends it."""
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-of-spf-{name}",
        "generation": 1,
        "creationTimestamp": "2026-11-22T10:00:00Z",
    }
    return {
        "apiVersion": "tidecast.dev/v1alpha1",
        "kind": "ServicePerformanceForecast",
        "metadata": metadata | changes.pop("metadata", {}),
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}} | changes,
    }


def namespace_body(name: str = "shop", **labels: str) -> dict[str, Any]:
    """A Namespace, opted in unless labels are given."""
    return {"kind": "Namespace", "metadata": {"name": name, "labels": labels or SHOP_LABELS}}


@dataclass
class FakeCluster:
    """
    Keeps objects as an API server does, and shows them to a picture as a watch does.

    Attributes:
        picture: Who watches.
        objects: By (kind, namespace, name); a status is merged in.
        events: What was posted.
        patches: (kind, name) of every status patch.
        error: What every write raises; None to let them pass.
    """

    picture: Picture
    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    patches: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    def put(self, body: Mapping[str, Any], event_type: str | None = "ADDED") -> None:
        """What a user applies."""
        self.objects[_key(body)] = copy.deepcopy(dict(body))
        self.picture.observe(event_type, self.objects[_key(body)])

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """What a user deletes."""
        self.picture.observe("DELETED", self.objects.pop((kind, namespace, name)))

    def status(self, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
        """The status of an object; {} while it has none."""
        return self.objects[kind, namespace, name].get("status", {})

    def create_forecast(self, body: Mapping[str, Any]) -> Outcome:
        """As `Cluster` does."""
        self._fail()
        if _key(body) in self.objects:
            return Outcome.CONFLICT
        made = copy.deepcopy(dict(body))
        made["metadata"] |= {"uid": f"uid-of-spf-{body['metadata']['name']}", "generation": 1}
        self.put(made)
        return Outcome.DONE

    def delete_forecast(self, namespace: str, name: str, *, uid: str) -> Outcome:
        """As `Cluster` does."""
        self._fail()
        found = self.objects.get(("ServicePerformanceForecast", namespace, name))
        if found is None or found["metadata"]["uid"] != uid:
            return Outcome.GONE
        self.remove("ServicePerformanceForecast", namespace, name)
        return Outcome.DONE

    def patch_forecast_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> Outcome:
        """As `Cluster` does."""
        return self._merge(("ServicePerformanceForecast", namespace, name), status)

    def patch_forecaster_status(self, name: str, status: Mapping[str, Any]) -> Outcome:
        """As `Cluster` does."""
        return self._merge(("Forecaster", "", name), status)

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> Outcome:
        """As `Cluster` does."""
        self._fail()
        self.events.append({"namespace": namespace, **body})
        return Outcome.DONE

    def _merge(self, key: tuple[str, str, str], status: Mapping[str, Any]) -> Outcome:
        self._fail()
        if key not in self.objects:
            return Outcome.GONE
        self.patches.append((key[0], key[2]))
        found = self.objects[key]
        found["status"] = _merged(found.get("status", {}), status)
        self.picture.observe("MODIFIED", found)
        return Outcome.DONE

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class FakeCollector:
    """
    A Prometheus that knows a call from the frontend to the checkout since some time, two requests per second; the
    frontend itself gets none.

    Attributes:
        since: The first step it knows.
        until: The last step it knows.
        requests_per_second: What it measured at midday.
        rise: By how much that rises at each step.
        error: What it raises instead; None to answer.
        warnings: What storage has to say about its answers.
        is_caller_seen: Whether it knows who calls the checkout.
        asked: (start, end) of every question.
    """

    since: int = 0
    until: float = float("inf")
    requests_per_second: float = 2.0
    rise: float = 0.0
    error: Exception | None = None
    warnings: tuple[str, ...] = ()
    is_caller_seen: bool = True
    asked: list[tuple[int, int]] = field(default_factory=list)

    def collect(self, start_time: int, end_time: int, step_seconds: int) -> Observations:
        """As `Collector` does."""
        self.asked.append((start_time, end_time))
        if self.error is not None:
            raise self.error
        steps = (end_time - start_time) // step_seconds + 1
        frontend, checkout = workload_peer("frontend"), workload_peer("checkout")
        times = range(start_time, end_time + 1, step_seconds)
        rates = [
            self.requests_per_second + self.rise * (time - MIDDAY) / STEP
            if self.since <= time <= self.until
            else float("nan")
            for time in times
        ]
        found = traffic(
            calls=calls((frontend, checkout, 2.0)) if self.is_caller_seen and end_time >= self.since else calls(),
            requests=series({frontend: [0 * rate for rate in rates], checkout: rates}, steps),
            errors=series({}, steps),
            latencies={},
        )
        partial = {"warnings": self.warnings, "is_partial": bool(self.warnings)}
        return Observations(end_time, step_seconds, steps, (found,), {}, queries=4, **partial)


@dataclass
class FakePredictor:
    """
    A predictor that keeps what it is sent, and says that everything stays as it is.

    Attributes:
        kind: The model that speaks.
        history: What it holds.
        training: What it says about training.
        error: What every call raises; None to answer.
        silent: Services that it says nothing about.
        slope: Added at each step ahead.
        sent: (start, end) of every part of history.
        trained: The settings of every training that was asked for.
    """

    kind: ModelKind = ModelKind.GCN_GRU
    history: HistoryStatus = field(default_factory=HistoryStatus)
    training: TrainingStatus = field(default_factory=lambda: TrainingStatus(TrainingState.IDLE))
    error: Exception | None = None
    silent: tuple[ServiceId, ...] = ()
    slope: float = 0.0
    sent: list[tuple[int, int]] = field(default_factory=list)
    trained: list[dict[str, int]] = field(default_factory=list)

    @property
    def model(self) -> ModelInfo:
        """What it serves."""
        trained = {"version": "v1", "trained_time": MIDDAY, "error": 0.3, "naive_error": 0.4}
        return ModelInfo(self.kind, reason="says the fake", **(trained if self.kind is ModelKind.GCN_GRU else {}))

    async def status(self) -> PredictorStatus:
        """As `PredictorClient` does."""
        self._fail()
        return PredictorStatus(self.model, self.history, self.training)

    async def append_history(self, snapshots: list[Snapshot]) -> HistoryStatus:
        """As `PredictorClient` does."""
        self._fail()
        for one in snapshots:
            self.sent.append((one.start_time, one.end_time))
            known = self.history if self.history.step_seconds == one.step_seconds else None
            self.history = HistoryStatus(
                one.step_seconds,
                min(one.start_time, known.start_time) if known else one.start_time,
                max(one.end_time, known.end_time) if known else one.end_time,
                len(one.services),
            )
        return self.history

    async def train(self, **settings: int) -> bool:
        """As `PredictorClient` does."""
        self._fail()
        self.trained.append(settings)
        return True

    async def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """As `PredictorClient` does."""
        self._fail()
        shape = (len(snapshot.services), len(FORECAST_FEATURES), horizon_steps, len(QUANTILES))
        values = np.broadcast_to(np.nan_to_num(snapshot.values[-1, :, 0], nan=1).reshape(-1, 1, 1, 1), shape).copy()
        values += self.slope * np.arange(1, horizon_steps + 1, dtype=np.float32).reshape(-1, 1)
        kinds = [ModelKind.NONE if service in self.silent else self.kind for service in snapshot.services]
        values[[kind is ModelKind.NONE for kind in kinds]] = np.nan
        return Forecast(
            snapshot.end_time,
            snapshot.step_seconds,
            snapshot.services,
            QUANTILES,
            values.astype(np.float32),
            tuple(kinds),
            self.model,
        )

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class Operator:
    """
    The whole operator core among doubles; its clock stands still until a test moves it.

    Attributes:
        now: Unix seconds.
        is_leader: Whether it may write.
    """

    now: float = MIDDAY + 10.0
    is_leader: bool = True
    collector: FakeCollector = field(default_factory=FakeCollector)
    history_collector: FakeCollector = field(default_factory=FakeCollector)
    capacity_collector: FakeCollector = field(default_factory=FakeCollector)
    predictor: FakePredictor = field(default_factory=FakePredictor)
    doors_error: Exception | None = None

    def __post_init__(self) -> None:
        self.picture = Picture()
        self.cluster = FakeCluster(self.picture)
        self.metrics, self.noticeboard = SelfMetrics(), Noticeboard()
        self.gauges = Gauges(clock=lambda: self.now)
        self.outlets = Outlets(self.noticeboard, self.gauges)
        self.writes: Writes = self.cluster
        self.restart()

    def restart(self) -> None:
        """Forgets all but what stands in the cluster."""
        writer = Writer(self.writes, may_write=lambda: self.is_leader, threads=2, pause=lambda _: None)
        publisher = Publisher(writer, self.metrics, self.outlets, clock=lambda: self.now)
        self.cycle = Cycle(self.picture, FakeDoors(self), publisher=publisher, leadership=self, clock=lambda: self.now)

    async def run(self, cycles: int = 1) -> str:
        """Runs cycles, one a step, each with the history that follows from it; the outcome of the last."""
        outcome = ""
        for number in range(cycles):
            self.now += STEP if number else 0
            outcome = await self.cycle.run_once()
            await self.cycle.idle()
        return outcome

    def enter(self) -> bool:
        """As `Leadership` does."""
        return self.is_leader

    def conditions(self, kind: str, name: str, namespace: str = "") -> dict[str, tuple[str, str]]:
        """Status and reason of every condition of an object."""
        found = self.cluster.status(kind, name, namespace).get("conditions", [])
        return {condition["type"]: (condition["status"], condition["reason"]) for condition in found}


@dataclass
class FakeDoors:
    """Opens the doors to the doubles."""

    operator: "Operator"

    async def collectors(self, _: Settings) -> Collectors:
        """As `Doors` does."""
        if self.operator.doors_error is not None:
            raise self.operator.doors_error
        return Collectors(self.operator.collector, self.operator.history_collector, self.operator.capacity_collector)

    async def predictor(self, _: Settings) -> FakePredictor:
        """As `Doors` does."""
        return self.operator.predictor


def operator(*bodies: Mapping[str, Any], **changes: Any) -> Operator:
    """An operator that watches the shop: the Forecaster, an opted-in namespace, the frontend and the checkout."""
    made = Operator(**changes)
    shop = (namespace_body(), workload_body("frontend"), workload_body("checkout"), forecaster_body())
    for body in bodies or shop:
        made.cluster.put(body, None)
    return made


def _key(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
